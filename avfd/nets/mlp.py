"""The multi-layer perceptron of the thesis' first experiment (Gino, 5.3.1, after Tripathi et al.).

1024, 512 and 256 units with ReLU on 10 s of emobase2010 descriptors, flattened.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avfd.nets.settings import MlpSettings

PAPER = MlpSettings()
SMALL = MlpSettings(first_units=32, second_units=16, third_units=8, normalise=True)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that a batch of one clip (the rest of an epoch) does not stop.

    One value has no deviation; it is normalised by what earlier batches gave.
    """

    def forward(self, input: Tensor) -> Tensor:
        if len(input) > 1:
            return super().forward(input)
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(input, mean, variance, self.weight, self.bias, False, 0.0, self.eps)


class EmoMlp(nn.Module):
    """Descriptors [batch, steps, columns] → 256 features → logits [batch, classes]."""

    def __init__(self, settings: MlpSettings = PAPER) -> None:
        super().__init__()
        self.settings = settings
        inputs = settings.steps * settings.columns
        self.norm = BatchNorm(inputs) if settings.normalise else nn.Identity()
        widths = (inputs, settings.first_units, settings.second_units, settings.third_units)
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(settings.third_units, settings.classes)

    def features(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """The last hidden layer [batch, 256]; steps where `valid` [batch, steps] is False are 0."""
        if valid is not None:
            x = x.where(valid.bool().unsqueeze(2), 0.0)
        values: Tensor = self.norm(x.flatten(1))
        for layer in self.hidden:
            values = self.dropout(torch.relu(layer(values)))
        return values

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [batch, classes]; arguments as in `features`."""
        logits: Tensor = self.out(self.features(x, valid))
        return logits
