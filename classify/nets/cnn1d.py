"""A small 1-D CNN over vectors through time: avfd's own network for descriptors and embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FAR_BELOW = -1e4
_LAYERS = ((5, 1), (5, 1), (3, 2), (3, 3))
"""Kernel and dilation of each; together they see 19 slots."""


class Cnn1d(nn.Module):
    """Vectors [batch, slots, dim] → logits [batch, classes].

    What the convolutions give is pooled by attention (mean and deviation) and by maximum, over
    valid slots only.
    """

    def __init__(self, dim: int, classes: int, width: int, dropout: float, lost: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (kernel, dilation) in enumerate(_LAYERS):
            inputs = width if number else dim
            reach = dilation * (kernel // 2)
            layers += [
                nn.Conv1d(inputs, width, kernel, padding=reach, dilation=dilation, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Dropout(dropout / 2),
            ]
        self.lost = nn.Dropout1d(lost)
        self.layers = nn.Sequential(*layers)
        self.attention = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(3 * width, classes)

    def pooled(self, values: Tensor, mask: Tensor) -> Tensor:
        """Clip features [batch, 3 * width] of values [batch, slots, dim], mask [batch, slots]."""
        steps = self.layers(self.lost(values.transpose(1, 2))).transpose(1, 2)
        known = mask.unsqueeze(2)
        share = torch.softmax(self.attention(steps).masked_fill(~known, _FAR_BELOW), dim=1)
        mean = (steps * share).sum(dim=1)
        spread = ((steps - mean.unsqueeze(1)).square() * share).sum(dim=1)
        most = steps.masked_fill(~known, _FAR_BELOW).amax(dim=1)
        return torch.cat([mean, spread.clamp_min(1e-5).sqrt(), most], dim=1)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Logits [batch, classes]; arguments as in `pooled`."""
        logits: Tensor = self.out(self.dropout(self.pooled(values, mask)))
        return logits
