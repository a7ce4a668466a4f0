"""A small 2-D CNN on log-mel spectra: avfd's own network for the emotion of a voice."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool1d

_FAR_BELOW = -1e4


class MelCnn(nn.Module):
    """Spectra [batch, slots, bands] → logits [batch, classes].

    Convolutions with batch normalisation halve time and frequency at every stage; what is left of
    time is pooled by attention and by maximum, over valid slots only.
    """

    def __init__(self, bands: int, classes: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        first, *_ = widths
        layers: list[nn.Module] = [*_convolution(1, first, kernel=5, stride=2)]
        for inputs, outputs in pairwise(widths):
            layers += [*_convolution(inputs, outputs), nn.MaxPool2d(2, ceil_mode=True)]
            layers += [nn.Dropout2d(dropout / 3)]
        self.layers = nn.Sequential(*layers)
        self.features_dim = widths[-1] * _halved(bands, len(widths))
        self.attention = nn.Linear(self.features_dim, 1)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * self.features_dim, classes)

    def forward(self, audio: Tensor, audio_mask: Tensor) -> Tensor:
        """Logits; `audio_mask` is bool [batch, slots]."""
        maps = self.layers(audio.unsqueeze(1))
        batch, _, slots, _ = maps.shape
        steps = maps.transpose(1, 2).reshape(batch, slots, self.features_dim)
        known = adaptive_max_pool1d(audio_mask.float().unsqueeze(1), slots)[:, 0] > 0
        score = self.attention(steps)[..., 0].masked_fill(~known, _FAR_BELOW)
        mean = (steps * torch.softmax(score, dim=1).unsqueeze(2)).sum(dim=1)
        most = steps.masked_fill(~known.unsqueeze(2), _FAR_BELOW).amax(dim=1)
        logits: Tensor = self.out(self.dropout(torch.cat([mean, most], dim=1)))
        return logits


def _convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1
) -> tuple[nn.Module, nn.Module, nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _halved(size: int, times: int) -> int:
    for _ in range(times):
        size = (size + 1) // 2
    return size
