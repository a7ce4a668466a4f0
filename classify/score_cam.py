"""Score-CAM: where a network that looks at pictures finds what speaks for a class.

Wang et al. 2020, Algorithm 1, on films: a channel of the last convolution, brought to the size of
the input and scaled to 0 … 1, lets a part of the film through; how much that part raises the
class' score over an empty film weighs the channel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Layers = Callable[[Tensor], Tensor]
"""[batch, 3, frames, rows, columns] → the convolution's output [batch, channels, t, h, w]."""
Scores = Callable[[Tensor], Tensor]
"""[batch, 3, frames, rows, columns] → the class' score before softmax, [batch]."""


def score_cam(
    x: Tensor, layers: Layers, scores: Scores, *, channels: int = 0, at_once: int = 8
) -> Tensor:
    """The heat of one film, [frames, rows, columns], 0 … 1; 0 all over where nothing speaks for it.

    Args:
        x: the film as the network wants it, [3, frames, rows, columns]; 0 is an empty film.
        layers, scores: of the network.
        channels: look at so many of the strongest; 0: all.
        at_once: films that are scored together; a matter of memory.
    """
    with torch.inference_mode():
        found = layers(x[None])[0]
        if channels and channels < len(found):
            strongest = found.flatten(1).sum(dim=1).topk(channels).indices
            found = found[strongest]
        found = found[found.flatten(1).amax(dim=1) > found.flatten(1).amin(dim=1)]
        if not len(found):
            return x.new_zeros(x.shape[1:])
        size = tuple(x.shape[1:])
        gained = []
        for some in torch.split(found, at_once):
            masks = _scaled(interpolate(some[None], size, mode="trilinear")[0])
            gained.append(scores(x[None] * masks[:, None]))
        weights = (torch.cat(gained) - scores(torch.zeros_like(x[None]))).softmax(dim=0)
        heat = torch.einsum("k,kthw->thw", weights, found).relu()
        full = interpolate(heat[None, None], size, mode="trilinear")[0, 0]
        return _scaled(full[None])[0]


def _scaled(maps: Tensor) -> Tensor:
    """Each map [maps, frames, rows, columns] from 0 to 1; a constant one is 0."""
    flat = maps.flatten(1)
    low, high = flat.amin(dim=1), flat.amax(dim=1)
    spread = torch.where(high > low, high - low, torch.ones_like(high))
    shape = (-1, *[1] * (maps.ndim - 1))
    return (maps - low.view(shape)) / spread.view(shape)
