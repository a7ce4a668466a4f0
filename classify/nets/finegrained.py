"""The fine-grained detector: how far each place of the face is from the sound (Astrid et al. 2024).

Looks at one second at a time: a distance map between the sound's features and those of every place
of the picture, weighted by an attention map, and a linear head on it. The equations' numbers are
the paper's; where it is silent its code counts (FACTS.md, 11).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, pad

from classify.nets.finegrained_branches import AudioBranch, VisualBranch, visual_steps
from classify.nets.finegrained_options import FineGrainedOptions
from classify.nets.pixels import centred

EMBEDDED = 4  # the embeddings of the attention have C' / 4 channels


class Maps(NamedTuple):
    """What the network makes of a batch of seconds; maps are [seconds, height, width].

    Attributes:
        logits: [seconds, classes].
        distance: M, equation 2.
        attention: A, equation 4; all 1 without attention.
        weighted: M̂, equation 3, which the head sees.
    """

    logits: Tensor
    distance: Tensor
    attention: Tensor
    weighted: Tensor


class FineGrained(nn.Module):
    """Both branches, distance map, attention map, linear head.

    Args:
        frames, size_px: of a second of the face.
        samples: of a second of the sound.
        classes: logits given; for two, the first is 0 and the second the head's only number, so
            that the softmax is the sigmoid of the paper.
    """

    def __init__(
        self,
        frames: int,
        size_px: int,
        samples: int,
        options: FineGrainedOptions,
        classes: int = 2,
    ) -> None:
        super().__init__()
        self.options = options
        steps = visual_steps(frames, options.blocks)
        embedded = max(1, options.channels // EMBEDDED)
        self.visual = VisualBranch(options)
        self.audio = AudioBranch(samples, steps, options)
        self.scale = steps * (
            embedded if options.attention_scale == "embedded" else options.channels
        )
        self.embed_visual: nn.Conv3d | None = None
        if options.attention != "none":
            # No bias: it would add the same to all places, which the softmax takes away.
            self.embed_visual = nn.Conv3d(options.channels, embedded, 1, bias=False)
            self.embed_audio = nn.Conv1d(options.channels, embedded, 1)
        self.side = options.map_size or feature_side(size_px)
        self.binary = classes == 2
        self.head = nn.Linear(self.side**2, 1 if self.binary else classes)

    def forward(self, video: Tensor, audio: Tensor) -> Maps:
        """Verdicts on seconds.

        Args:
            video: uint8 [seconds, frames, size, size, 3].
            audio: [seconds, samples], or in slots, [seconds, slots, samples].
        """
        dtype = self.head.weight.dtype
        seen = self.visual(centred(video, dtype).permute(0, 4, 1, 2, 3))
        if self.options.map_size:
            seen = adaptive_avg_pool3d(seen, (None, self.side, self.side))
        heard = self.audio(self._scaled(audio.flatten(1).to(dtype)).unsqueeze(1))
        distance = distance_map(seen, heard)
        attention = self._attention(seen, heard)
        weighted = distance * attention
        if self.options.attention == "residual":
            weighted = weighted + distance
        logits = self.head(weighted.flatten(1))
        if self.binary:
            logits = pad(logits, (1, 0))
        return Maps(logits, distance, attention, weighted)

    def _scaled(self, samples: Tensor) -> Tensor:
        return minmax(samples) if self.options.audio_scale == "minmax" else samples

    def _attention(self, seen: Tensor, heard: Tensor) -> Tensor:
        """A [seconds, height, width], which sums to 1; all 1 without attention."""
        if self.embed_visual is None:
            return torch.ones_like(seen[:, 0, 0])
        v, a = self.embed_visual(seen), self.embed_audio(heard)
        scores = torch.einsum("ncthw,nct->nhw", v, a) / self.scale
        return scores.flatten(1).softmax(dim=1).view_as(scores)


def distance_map(seen: Tensor, heard: Tensor) -> Tensor:
    """M (equation 2): L2 distance between the sound's features and those of each place.

    Args:
        seen: F^v [seconds, C', T', height, width].
        heard: F^a [seconds, C', T'].

    Returns:
        [seconds, height, width].
    """
    distance: Tensor = torch.linalg.vector_norm(seen - heard[..., None, None], dim=(1, 2))
    return distance


def minmax(samples: Tensor) -> Tensor:
    """Each row of samples [seconds, samples] scaled to -1 … 1; a constant row becomes 0."""
    low, high = samples.amin(dim=1, keepdim=True), samples.amax(dim=1, keepdim=True)
    flat = high == low
    scaled = (samples - low) / (high - low).masked_fill(flat, 1.0) * 2.0 - 1.0
    return scaled.masked_fill(flat, 0.0)


def feature_side(size_px: int) -> int:
    """Height and width of the visual features: three times halved, rounded up."""
    for _ in range(3):
        size_px = (size_px + 1) // 2
    return size_px
