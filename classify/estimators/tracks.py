"""The modalities of samples as networks read them: at their own rates, in their own shapes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from classify.features import Features, Index, Mask, Sequences, Slots
from classify.held import AS_IT_IS, View, held

Tracks = dict[str, Slots]
"""Modality → slots of one sample; all have the same rows (but clip-level columns: one)."""


class TrackReader:
    """Samples by number, each a `Tracks`.

    Rows at the end in which no modality has a valid slot are cut off, and values are 0 where they
    are not valid, so nothing that stands in padding can reach a network. A modality that is
    missing has all its rows, invalid. Floats are float32; pictures stay uint8. Where nothing of a
    sample has to be changed, its slots are views of what is held, read-only.
    """

    def __init__(self, features: Features, views: Mapping[str, View]) -> None:
        self._features = dict(features)
        self._held = {m: held(s, views.get(m, AS_IT_IS)) for m, s in features.items()}
        self._views = views
        self._spans = {m: s.spans for m, s in features.items()}
        self._covered = {m: s.covered for m, s in features.items()}

    def __len__(self) -> int:
        return len(next(iter(self._features.values())))

    def __getitem__(self, index: int) -> Tracks:
        masks = {m: self.validity(m, index) for m in self._features}
        rows = max(filled_rows(mask) for mask in masks.values())
        return {m: self._slots(m, index, rows) for m in self._features}

    def validity(self, modality: str, index: int) -> Mask:
        """The mask of one modality, [rows, rate]; no rows where it is missing."""
        sequences = self._features[modality]
        if not self._covered[modality][index]:
            return np.zeros((0, max(1, sequences.rate_hz)), dtype=bool)
        sample, first, stop = self._spans[modality][index].tolist()
        mask = self._held[modality].validity(sample)
        return mask[first:stop] if sequences.rate_hz else mask

    @cached_property
    def filled(self) -> Index:
        """Samples with a valid slot in any modality."""
        found = [i for i in range(len(self)) if any(self.validity(m, i).any() for m in self._held)]
        return np.array(found, dtype=np.intp)

    def _slots(self, modality: str, index: int, rows: int) -> Slots:
        sequences = self._features[modality]
        wanted = rows if sequences.rate_hz else 1
        if not self._covered[modality][index]:
            return self._missing(modality, sequences, wanted)
        sample, first, stop = self._spans[modality][index].tolist()
        slots = self._held[modality].read(sample, first, min(stop, first + wanted))
        kind = np.uint8 if slots.values.dtype == np.uint8 else np.float32
        if len(slots.valid) == wanted and slots.values.dtype == kind and slots.valid.all():
            return slots
        values = np.zeros((wanted, *slots.values.shape[1:]), dtype=kind)
        valid = np.zeros((wanted, slots.valid.shape[1]), dtype=bool)
        valid[: len(slots.valid)] = slots.valid
        values[valid] = slots.values[slots.valid]
        return Slots(values, valid)

    def _missing(self, modality: str, sequences: Sequences, rows: int) -> Slots:
        shape = self._views.get(modality, AS_IT_IS).shape(sequences.shape)
        kind = np.uint8 if sequences.source.dtype == np.uint8 else np.float32
        rate = max(1, sequences.rate_hz)
        empty = np.zeros((rows, rate, *shape), dtype=kind)
        return Slots(empty, np.zeros((rows, rate), dtype=bool))


def filled_rows(mask: Mask) -> int:
    """Rows up to and with the last that has a valid slot, of a mask [rows, rate]."""
    there = np.flatnonzero(mask.any(axis=1))
    return int(there[-1]) + 1 if len(there) else 0
