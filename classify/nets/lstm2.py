"""LSTM_II of the thesis (Gino, chapter 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
        last = states[torch.arange(len(x), device=x.device), lengths - 1]
        logits: Tensor = self.out(torch.relu(self.dense(self.dropout(last))))
        return logits
