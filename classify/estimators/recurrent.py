"""LSTM_II of the thesis on sequences of vectors (Gino, chapter 5), in PyTorch through skorch.

Invalid slots are taken out before the network sees a sample, so padding cannot change a score;
the scores come from batches of equal length only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.base import (
    Estimator,
    Floats,
    Validation,
    check_classes,
    class_weights,
    register,
)
from classify.estimators.steps import StepReader, Steps, scale_of
from classify.features import Features, Index, Mask

if TYPE_CHECKING:
    from torch import nn

WEIGHTS_FILE = "lstm2.safetensors"
SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class Preset:
    """What the thesis states (units, dense_units, rate, learning rate) and what it does not.

    Attributes:
        units, dense_units: width of the LSTM and of the dense layer.
        rate_hz: vectors a second after resampling; the thesis' 300 rows cover 10 s.
        learning_rate: of Adam.
        dropout, epochs, patience, batch: ours.
    """

    units: int = 32
    dense_units: int = 8
    rate_hz: int = 30
    learning_rate: float = 4e-4
    dropout: float = 0.2
    epochs: int = 60
    patience: int = 8
    batch: int = 32


PRESETS = {
    "paper": Preset(),
    "small": Preset(units=8, dense_units=8, rate_hz=5, learning_rate=1e-2, epochs=40, batch=16),
}


@register("lstm2")
class LSTM2(Estimator):
    """LSTM → dropout → dense, ReLU → dense, softmax; several modalities are concatenated."""

    stops_early = True

    @property
    def preset(self) -> Preset:
        return PRESETS[self.options.preset]

    def usable(self, features: Features) -> Mask:
        """Samples that a modality covers; those without a valid slot are found on reading."""
        return np.asarray(np.stack([s.covered for s in features.values()]).any(axis=0))

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        check_sequences(features)
        reader = StepReader(features, self.preset.rate_hz)
        self.mean_, self.deviation_ = scale_of(reader)
        check_classes(y[reader.filled], self.options.classes)
        with seeded(self.options.seed):
            self.module_ = self._network()
            self._train(reader, y, validation)

    def _network(self) -> nn.Module:
        from classify.estimators.networks import LSTM2Network

        several = len(self.dims_) if len(self.dims_) > 1 else 0
        return LSTM2Network(
            inputs=sum(self.dims_.values()) + several,
            units=self.preset.units,
            dense_units=self.preset.dense_units,
            classes=self.options.classes,
            dropout=self.preset.dropout,
        )

    def _train(self, reader: StepReader, y: Index, validation: Validation | None) -> None:
        import torch
        from skorch import NeuralNet

        from classify.estimators.networks import LabelledSteps, collate

        weight = np.ones(self.options.classes, dtype=np.float32)
        seen = y[reader.filled]
        weight[seen] = class_weights(seen, self.options)
        net = NeuralNet(
            self.module_,
            criterion=torch.nn.CrossEntropyLoss,
            criterion__weight=torch.from_numpy(weight),
            optimizer=torch.optim.Adam,
            lr=self.preset.learning_rate,
            max_epochs=self.preset.epochs,
            batch_size=self.preset.batch,
            iterator_train__shuffle=True,
            iterator_train__collate_fn=collate,
            iterator_valid__collate_fn=collate,
            verbose=0,
            **self._stopping(validation),
        )
        net.fit(LabelledSteps(reader, y, self.scaled), y=None)
        self.module_ = net.module_.eval()

    def _stopping(self, validation: Validation | None) -> dict[str, Any]:
        """How skorch stops: at the best epoch on validation, else after the last one."""
        from skorch.callbacks import EarlyStopping
        from skorch.helper import predefined_split

        from classify.estimators.networks import LabelledSteps

        plain: dict[str, Any] = {"train_split": None}
        if validation is None:
            return plain
        reader = StepReader(validation.features, self.preset.rate_hz)
        if not len(reader.filled):
            return plain
        stop = EarlyStopping(patience=self.preset.patience, load_best=True, sink=_quiet)
        held = LabelledSteps(reader, validation.y, self.scaled)
        return {"train_split": predefined_split(held), "callbacks": [("stop", stop)]}

    def scaled(self, values: Steps, valid: Mask) -> Steps:
        """Network input [steps, channels]: scaled values, 0 where invalid, and who is valid."""
        dims = list(self.dims_.values())
        known = np.repeat(valid, dims, axis=1)
        scaled = np.where(known, (values - self.mean_) / self.deviation_, 0.0)
        if len(dims) == 1:
            return scaled.astype(np.float32)
        return np.concatenate([scaled, valid], axis=1).astype(np.float32)

    def _predict(self, features: Features) -> Floats:
        check_sequences(features)
        reader = StepReader(features, self.preset.rate_hz)
        out = np.full((len(reader), self.options.classes), np.nan)
        with one_thread():
            for first in range(0, len(reader), SCORED_AT_ONCE):
                stop = min(first + SCORED_AT_ONCE, len(reader))
                steps = {i: self.scaled(*reader[i]) for i in range(first, stop)}
                for same in _equal_lengths(steps):
                    out[same] = self._scores(np.stack([steps[i] for i in same]))
        return out

    def _scores(self, batch: NDArray[np.float32]) -> Floats:
        """Probabilities of samples of one length: [samples, steps, channels]."""
        import torch

        lengths = torch.full((len(batch),), batch.shape[1])
        with torch.inference_mode():
            logits = self.module_(torch.from_numpy(batch), lengths)
            return np.asarray(torch.softmax(logits.double(), dim=1).numpy(), dtype=np.float64)

    def _save(self, folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        scale = {
            "scale.mean": torch.from_numpy(self.mean_),
            "scale.deviation": torch.from_numpy(self.deviation_),
        }
        save_file({**self.module_.state_dict(), **scale}, folder / WEIGHTS_FILE)

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        state = load_file(folder / WEIGHTS_FILE)
        self.mean_ = state.pop("scale.mean").numpy()
        self.deviation_ = state.pop("scale.deviation").numpy()
        with seeded(0):
            self.module_ = self._network()
        self.module_.load_state_dict(state, strict=True)
        self.module_.eval()


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


def _equal_lengths(steps: dict[int, Steps]) -> Iterator[list[int]]:
    """Samples of one length together; those without a step not at all."""
    lengths = sorted({len(x) for x in steps.values()} - {0})
    for length in lengths:
        yield [i for i, x in steps.items() if len(x) == length]


def _quiet(message: str) -> None:
    """Where skorch's remarks on early stopping go."""


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: the same sums in the same order on every machine load."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """One thread and PyTorch's generator at `seed`; the caller's generator is left as it was."""
    import torch

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
