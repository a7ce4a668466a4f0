"""Columns held for the length of a fit: in memory, in a mapped file, or left in the cache.

Training reads every clip once an epoch. What fits is copied once, in storage order, into one array
with the clips one after the other, so an epoch opens no cache and decodes no chunk. The copy is
made once for a source and a view, whatever folds, members and trials read it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary, proxy

import numpy as np
from numpy.typing import NDArray

from classify.features import Index, Mask, Sequences, Slots, Source

MEMORY_BYTES = 1 << 30
"""A column up to this size is held in memory, a larger one in a mapped file."""
DISK_SHARE = 0.5
"""Of the free space for temporary files, for one column; beyond it the cache is read."""


@dataclass(frozen=True)
class View:
    """How a network wants to see a column's vectors.

    Attributes:
        size_px: pictures are resized to this square (bilinear with antialiasing, still uint8);
            None: as they are.
    """

    size_px: int | None = None

    def shape(self, native: tuple[int, ...]) -> tuple[int, ...]:
        """Of a vector, after the view."""
        return native if self.size_px is None else (self.size_px, self.size_px, *native[2:])

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values [rows, rate, *shape] as the view shows them."""
        if self.size_px is None or values.shape[2:4] == (self.size_px, self.size_px):
            return values
        return resized(values, self.size_px)


AS_IT_IS = View()


class Held(Protocol):
    """Where samples are read from again and again."""

    def read(self, sample: int, first: int, stop: int) -> Slots:
        """Rows [first, stop) of a covered sample."""

    def validity(self, sample: int) -> Mask:
        """The mask of a covered sample, [rows, rate]."""


class Copied:
    """All covered samples of a source in one array, in memory or in a mapped file.

    Attributes:
        values: [all rows, rate, *shape], samples in their order, read-only once copied.
        valid: [all rows, rate], read-only too.
        starts: first row of each sample, [samples].
    """

    def __init__(self, source: Source, view: View, values: NDArray[Any]) -> None:
        self._rate = max(1, source.rate_hz)
        rows = held_rows(source)
        self.starts: Index = np.concatenate([[0], np.cumsum(rows)]).astype(np.intp)
        self.values, self.valid = values, np.zeros(values.shape[:2], dtype=bool)
        for sample, slots in source.iterate(np.flatnonzero(source.covered), native=True):
            start, stop = self.starts[sample : sample + 2].tolist()
            values[start:stop] = view.apply(slots.values)
            self.valid[start:stop] = slots.valid
        # What is read are views, which networks' examples are made of without another copy.
        values.flags.writeable = self.valid.flags.writeable = False

    def read(self, sample: int, first: int, stop: int) -> Slots:
        start, end = self.starts[sample : sample + 2].tolist()
        low, high = min(start + first, end), min(start + stop, end)
        return Slots(self.values[low:high], self.valid[low:high])

    def validity(self, sample: int) -> Mask:
        start, stop = self.starts[sample : sample + 2].tolist()
        return self.valid[start:stop]


class Direct:
    """A source too large to copy, read when asked; it does not keep the source alive."""

    def __init__(self, source: Source, view: View) -> None:
        self._source, self._view = proxy(source), view

    def read(self, sample: int, first: int, stop: int) -> Slots:
        slots = self._source.native(sample, first, stop)
        return Slots(self._view.apply(slots.values), slots.valid)

    def validity(self, sample: int) -> Mask:
        mask: Mask = self._source.validity(sample)
        return mask


_HELD: WeakKeyDictionary[Source, dict[View, Held]] = WeakKeyDictionary()


def held(sequences: Sequences, view: View = AS_IT_IS) -> Held:
    """The source of these sequences, held as it best can be; the same object for every subset."""
    views = _HELD.setdefault(sequences.source, {})
    if view not in views:
        views[view] = hold(sequences.source, view)
    return views[view]


def hold(source: Source, view: View, memory_bytes: int = MEMORY_BYTES) -> Held:
    """Copy a source into memory or into a mapped file, or leave it where it is.

    Args:
        memory_bytes: the most that is held in memory.
    """
    shape = (int(held_rows(source).sum()), max(1, source.rate_hz), *view.shape(source.shape))
    size = int(np.prod(shape, dtype=np.int64)) * source.dtype.itemsize
    if size <= memory_bytes:
        return Copied(source, view, np.zeros(shape, dtype=source.dtype))
    if size > DISK_SHARE * shutil.disk_usage(tempfile.gettempdir()).free:
        return Direct(source, view)
    # The file has no name any more; its space is free when the array goes.
    with tempfile.TemporaryFile() as file:
        return Copied(source, view, np.memmap(file, source.dtype, "w+", shape=shape))


def held_rows(source: Source) -> Index:
    """Rows of each sample as they are held: none where it is not covered, [samples]."""
    rows = source.rows if source.rate_hz else np.ones_like(source.rows)
    return np.where(source.covered, rows, 0).astype(np.intp)


def resized(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Pictures [rows, rate, height, width, channels] as squares, bilinear with antialiasing."""
    import torch
    from torch.nn.functional import interpolate

    lead, rest = pixels.shape[:2], pixels.shape[2:]
    flat = torch.from_numpy(np.ascontiguousarray(pixels).reshape(-1, *rest)).permute(0, 3, 1, 2)
    if not len(flat):
        return np.zeros((*lead, size_px, size_px, rest[2]), dtype=np.uint8)
    size = (size_px, size_px)
    small = interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(small.permute(0, 2, 3, 1).reshape(*lead, *size, rest[2]).numpy())
