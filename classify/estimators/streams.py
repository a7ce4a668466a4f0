"""Clips as streams of vectors: gaps left out, cut or filled to a length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classify.features import Index, Mask, Slots

if TYPE_CHECKING:
    from classify.estimators.network import Input


@dataclass(frozen=True)
class Stream:
    """One modality of a clip without its seconds.

    Attributes:
        values: [slots, *shape], 0 where there is nothing.
        there: which slots are there, bool [slots].
    """

    values: NDArray[Any]
    there: Mask

    @classmethod
    def of(cls, slots: Slots) -> Stream:
        """Slot after slot."""
        return cls(slots.values.reshape(-1, *slots.values.shape[2:]), slots.valid.reshape(-1))

    def __len__(self) -> int:
        return len(self.there)

    def at(self, index: Index) -> Stream:
        """The slots at these places."""
        return Stream(self.values[index], self.there[index])

    def gathered(self) -> Stream:
        """Without the gaps."""
        return self if self.there.all() else self.at(np.flatnonzero(self.there))

    def cut(self, most: int) -> Stream:
        """The first slots."""
        return Stream(self.values[:most], self.there[:most])

    def middle(self, most: int) -> Stream:
        """The slots in the middle."""
        start = max(0, len(self) - most) // 2
        return Stream(self.values[start : start + most], self.there[start : start + most])

    def evenly(self, count: int) -> Stream:
        """So many slots evenly spread (IAT's rule); all where there are no more than that."""
        n = len(self)
        if n <= count:
            return self
        return self.at(np.arange(count) * n // count + n // (2 * count))

    def filled(self, least: int) -> Stream:
        """With zeros after it up to a length.

        They count as slots, as every gap does, unless there is no slot at all: then none of the
        stream is there.
        """
        length = max(len(self), least)
        there = np.full(length, bool(self.there.any()))
        if length == len(self):
            return Stream(self.values, there)
        values = np.zeros((length, *self.values.shape[1:]), dtype=self.values.dtype)
        values[: len(self)] = self.values
        return Stream(values, there)


def has_time(facts: Input) -> bool:
    """Whether a column has slots through time: vectors or maps a second, or tokens of a clip."""
    return len(facts.shape) == 2 or (len(facts.shape) == 1 and facts.rate_hz > 0)


def tokens_as_slots(slots: Slots) -> Slots:
    """Vectors [rows, rate, tokens, width] as so many times more slots; other shapes as they are."""
    if slots.values.ndim != 4:
        return slots
    rows, rate, tokens, width = slots.values.shape
    values = slots.values.reshape(rows, rate * tokens, width)
    return Slots(values, np.repeat(slots.valid, tokens, axis=1))


def columns_as_slots(slots: Slots) -> Slots:
    """Maps [rows, rate, width, columns], such as MFCCs, as a slot a column."""
    return tokens_as_slots(Slots(slots.values.swapaxes(2, 3), slots.valid))
