"""The multi-layer perceptron of the thesis' first experiment (Gino, 5.3.1, after Tripathi et al.).

1024, 512 and 256 units with ReLU on 10 s of emobase2010 descriptors, flattened.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MlpSettings:
    """What the thesis states, and our choice where it does not.

    Attributes:
        steps, columns: of an utterance: (100, 39) for 10 s, so `rate_hz` is 10.
        classes: anger, happiness, sadness, neutral.
        first_units, second_units, third_units: widths of the hidden layers.
        dropout: share dropped after each hidden layer; none is mentioned.
        rate_hz: steps a second.
        normalise: batch normalisation of the input. The thesis applies no normalisation (5.3.1);
            descriptors as unlike in size as F0 and MFCCs then drown each other, so it can be had.
    """

    steps: int = 100
    columns: int = 39
    classes: int = 4
    first_units: int = 1024
    second_units: int = 512
    third_units: int = 256
    dropout: float = 0.0
    rate_hz: int = 10
    normalise: bool = False

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.third_units


PAPER = MlpSettings()
SMALL = MlpSettings(first_units=32, second_units=16, third_units=8, normalise=True)


class EmoMlp(nn.Module):
    """Descriptors [batch, steps, columns] → 256 features → logits [batch, classes]."""

    def __init__(self, settings: MlpSettings = PAPER) -> None:
        super().__init__()
        self.settings = settings
        inputs = settings.steps * settings.columns
        self.norm = nn.BatchNorm1d(inputs) if settings.normalise else nn.Identity()
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
