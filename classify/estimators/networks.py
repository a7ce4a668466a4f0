"""The networks of the estimators. Importing this file imports torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from classify.estimators.steps import StepReader, Steps
from classify.features import Index, Mask


class LSTM2Network(nn.Module):
    """LSTM_II: LSTM → dropout → dense, ReLU → dense.

    Args:
        inputs: channels of a step.
        units, dense_units: width of the LSTM and of the dense layer.
        classes: logits given.
        dropout: share dropped between LSTM and dense layer.
    """

    def __init__(
        self, inputs: int, units: int, dense_units: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(units, dense_units)
        self.out = nn.Linear(dense_units, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Logits [batch, classes] of `x` [batch, steps, inputs], read up to `lengths` [batch].

        The LSTM looks backwards only, so what stands after a sample's length cannot reach it.
        """
        states, _ = self.lstm(x)
        last = states[torch.arange(len(x)), lengths - 1]
        logits: Tensor = self.out(torch.relu(self.dense(self.dropout(last))))
        return logits


class LabelledSteps(Dataset[tuple[Steps, int]]):
    """The samples that have steps: (network input [steps, channels], class)."""

    def __init__(
        self, reader: StepReader, y: Index, prepare: Callable[[Steps, Mask], Steps]
    ) -> None:
        self._reader, self._y, self._prepare = reader, y, prepare

    def __len__(self) -> int:
        return len(self._reader.filled)

    def __getitem__(self, at: int) -> tuple[Steps, int]:
        index = int(self._reader.filled[at])
        return self._prepare(*self._reader[index]), int(self._y[index])


def collate(items: list[tuple[Steps, int]]) -> tuple[dict[str, Tensor], Tensor]:
    """One padded batch; the network is told the lengths."""
    steps = [torch.from_numpy(x) for x, _ in items]
    lengths = torch.tensor([len(x) for x in steps])
    padded = pad_sequence(steps, batch_first=True)
    return {"x": padded, "lengths": lengths}, torch.tensor([y for _, y in items])
