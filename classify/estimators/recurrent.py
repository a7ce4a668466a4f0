"""LSTM_II of the thesis on sequences of vectors (Gino, chapter 5).

Invalid slots are taken out before the network sees a sample, so padding cannot change a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.base import register
from classify.estimators.network import Example, NetworkEstimator
from classify.estimators.settings import Span, Training
from classify.estimators.steps import StepReader, Steps, scale_of
from classify.features import Features, Mask

if TYPE_CHECKING:
    from torch import nn

    from classify.estimators.network import Batch


@dataclass(frozen=True)
class LSTM2Settings(Training):
    """What the thesis states (units, dense_units, rate, learning rate) and what it does not.

    Attributes:
        units, dense_units: width of the LSTM and of the dense layer.
        rate_hz: vectors a second after resampling; the thesis' 300 rows cover 10 s.
        seconds: so many of a sample are read, the first that have anything; None: all.
        presence: several columns have a channel each that says whether it is there; without
            (the thesis' 64 inputs) a missing one looks like its mean.
        dropout: between LSTM and dense layer; ours, as epochs, patience and batch are.
    """

    learning_rate: float = 4e-4
    units: int = 32
    dense_units: int = 8
    rate_hz: int = 30
    seconds: int | None = None
    presence: bool = True
    dropout: float = 0.2


PAPER = LSTM2Settings()
SMALL = LSTM2Settings(units=8, rate_hz=5, learning_rate=1e-2, epochs=40, batch=16)


class FirstSteps(StepReader):
    """No more than so many valid steps of each sample; None: all."""

    def __init__(self, features: Features, rate_hz: int, seconds: int | None) -> None:
        super().__init__(features, rate_hz)
        self._most = None if seconds is None else seconds * rate_hz

    def __getitem__(self, index: int) -> tuple[Steps, Mask]:
        values, valid = super().__getitem__(index)
        return values[: self._most], valid[: self._most]


@register("lstm2")
class LSTM2(NetworkEstimator):
    """LSTM → dropout → dense, ReLU → dense, softmax; several modalities are concatenated."""

    presets: ClassVar = {"paper": PAPER, "small": SMALL}
    settings: LSTM2Settings
    search: ClassVar = {
        "learning_rate": Span(1e-4, 1e-2, log=True),
        "units": (16, 32, 64),
        "dense_units": (8, 16, 32),
        "dropout": Span(0.0, 0.5),
        "batch": (16, 32, 64),
    }

    def network(self) -> nn.Module:
        from classify.nets.lstm2 import LSTM2Network

        return LSTM2Network(
            inputs=sum(self.dims_.values()) + (len(self.dims_) if self._says_presence else 0),
            units=self.settings.units,
            dense_units=self.settings.dense_units,
            classes=self.options.classes,
            dropout=self.settings.dropout,
        )

    @property
    def _says_presence(self) -> bool:
        return self.settings.presence and len(self.dims_) > 1

    def reader(self, features: Features) -> StepReader:
        """The modalities at one rate, without the invalid steps."""
        check_sequences(features)
        return FirstSteps(features, self.settings.rate_hz, self.settings.seconds)

    def learn_constants(self, reader: Any) -> dict[str, NDArray[np.float32]]:
        """The scale; always, whatever the settings say."""
        mean, deviation = scale_of(reader)
        return {"scale.mean": mean, "scale.deviation": deviation}

    def example(self, tracks: Any) -> Example:
        """Network input [steps, channels]."""
        return {"x": self.scaled(*tracks)}

    def scaled(self, values: Steps, valid: Mask) -> Steps:
        """Network input [steps, channels]: scaled values, 0 where invalid, and who is valid."""
        known = np.repeat(valid, list(self.dims_.values()), axis=1)
        mean, deviation = self.constants_["scale.mean"], self.constants_["scale.deviation"]
        scaled = np.where(known, (values - mean) / deviation, 0.0)
        if not self._says_presence:
            return scaled.astype(np.float32)
        return np.concatenate([scaled, valid], axis=1).astype(np.float32)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """One padded batch; the network is told the lengths."""
        import torch

        lengths = torch.tensor([len(example["x"]) for example in examples])
        return {**super().collate(examples), "lengths": lengths}


def check_sequences(features: Features) -> None:
    """Refuse columns that have no time."""
    for sequences in features.values():
        if sequences.rate_hz == 0:
            raise InputError(
                "lstm2 needs vectors a second, not one vector a clip",
                where=sequences.source.name,
                accepted="a column with a rate",
                next_step="take --model lightgbm, svm or logreg for this column",
            )
