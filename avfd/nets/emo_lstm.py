"""LSTM_I of the thesis: emotion of a voice from its openSMILE descriptors (Gino, 4.6.1, 5.3).

LSTM 64 → dropout → LSTM 32 → dropout → dense 32 → dense 5. What the dense layer of 32 gives at
each step is EMO_s, [steps, 32]. The thesis is silent on several points (FACTS.md, 13.5); each is
a setting here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avfd.nets.settings import Activation, EmoLstmSettings

PAPER = EmoLstmSettings()
SMALL = EmoLstmSettings(units=16, second_units=16, rate_hz=20)


class EmoLstm(nn.Module):
    """Descriptors [batch, steps, inputs] → EMO_s [batch, steps, 32] → logits [batch, classes].

    The LSTMs look backwards only, so what follows a window's last valid step cannot change its
    logits. Invalid steps count as zeros inside and not at all in the reduction.
    """

    low: Tensor
    high: Tensor

    def __init__(self, settings: EmoLstmSettings = PAPER) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("low", -torch.ones(settings.inputs))
        self.register_buffer("high", torch.ones(settings.inputs))
        self.lstm1 = nn.LSTM(settings.inputs, settings.units, batch_first=True)
        self.lstm2 = nn.LSTM(settings.units, settings.second_units, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.dense = nn.Linear(settings.second_units, settings.dense_units)
        self.out = nn.Linear(settings.dense_units, settings.classes)

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Tell what training saw: least and greatest of each descriptor, [inputs] each."""
        if self.settings.scaling == "global":
            low, high = low.min().expand_as(low), high.max().expand_as(high)
        with torch.no_grad():
            self.low.copy_(low)
            self.high.copy_(high)

    def scaled(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """`x` [batch, steps, inputs] with its range laid on [-1, 1]; 0 where invalid."""
        known = _known(x, valid)
        if self.settings.scaling == "window":
            low = x.masked_fill(~known, torch.inf).amin(dim=1, keepdim=True)
            high = x.masked_fill(~known, -torch.inf).amax(dim=1, keepdim=True)
        else:
            low, high = self.low, self.high
        if self.settings.scaling != "none":
            span = high - low
            x = torch.where(span > 0, 2 * (x - low) / span.where(span > 0, 1.0) - 1, 0.0)
        return x.where(known, 0.0)

    def features(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """EMO_s [batch, steps, 32] of `x` [batch, steps, inputs], `valid` [batch, steps]."""
        states, _ = self.lstm1(self.scaled(x, valid))
        states, _ = self.lstm2(self.dropout(states))
        return _activated(self.dense(self.dropout(states)), self.settings.activation)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [batch, classes]; arguments as in `features`."""
        each = self.out(self.features(x, valid))
        known = _known(each, valid)
        if self.settings.reduction == "last":
            return _last(each, known)
        if self.settings.reduction == "mean-probability":
            return _mean(torch.softmax(each, dim=2), known).clamp_min(1e-12).log()
        return _mean(each, known)


def _known(x: Tensor, valid: Tensor | None) -> Tensor:
    """Bool [batch, steps, 1]: every step where nothing is said."""
    if valid is None:
        return x.new_ones((*x.shape[:2], 1), dtype=torch.bool)
    return valid.bool().unsqueeze(2)


def _mean(each: Tensor, known: Tensor) -> Tensor:
    return (each * known).sum(dim=1) / known.sum(dim=1).clamp_min(1)


def _last(each: Tensor, known: Tensor) -> Tensor:
    steps = torch.arange(each.shape[1], device=each.device).view(1, -1, 1)
    last = (steps * known).amax(dim=1)[:, 0]
    return each[torch.arange(len(each), device=each.device), last]


def _activated(x: Tensor, activation: Activation) -> Tensor:
    if activation == "tanh":
        return torch.tanh(x)
    return torch.relu(x) if activation == "relu" else x
