"""Columns of a cache as sequences: read when needed, joined where a sample is several clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfd.cache import ClipColumn, ColumnReader, Reader
from avfd.errors import FingerprintError
from avfd.specs import DONE
from classify.features import Index, Mask, Slots
from classify.moments import small_pictures


@dataclass(frozen=True)
class Unit:
    """What becomes one sample: one clip, or several joined in time.

    Attributes:
        dataset: the data set of all its clips.
        keys: clip keys in time order.
        group: never on two sides of a split.
        label: name of the class, None where unlabelled.
    """

    dataset: str
    keys: tuple[str, ...]
    group: str
    label: str | None


@dataclass(frozen=True)
class PictureOptions:
    """How pixel columns become numbers; see `moments.small_pictures`."""

    size_px: int = 16
    gray: bool = True


class CacheSource:
    """One column of one or more data sets; see `features.Source`.

    Clips of a unit that the backbone could not read count as invalid seconds, so that the
    modalities of a unit stay aligned. Of clip-level columns a unit takes the mean of its clips.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        column: str,
        units: Sequence[Unit],
        pictures: PictureOptions | None = None,
    ) -> None:
        self.name = column
        self._columns = {name: reader.column(column) for name, reader in readers.items()}
        self._pictures = pictures or PictureOptions()
        check_same_fingerprint(self._columns)
        first = next(iter(self._columns.values()))
        self.rate_hz, self._shape = first.rate_hz, first.shape
        self._pixels = is_pixels(first)
        self.dim = self._dim()
        self._units = list(units)
        self._rows = {
            key: readers[unit.dataset].rows(key) for unit in self._units for key in unit.keys
        }
        self._done = self._find_done()
        counts = [sum(self._rows[key] for key in unit.keys) for unit in self._units]
        self.rows: Index = np.array(counts, dtype=np.intp)
        covered = [any(key in self._done for key in unit.keys) for unit in self._units]
        self.covered: Mask = np.array(covered, dtype=bool)

    def _dim(self) -> int:
        if self._pixels:
            return self._pictures.size_px**2 * (1 if self._pictures.gray else 3)
        return int(np.prod(self._shape, dtype=int))

    def _find_done(self) -> set[str]:
        done: set[str] = set()
        for dataset, keys in _keys_by_dataset(self._units).items():
            statuses = self._columns[dataset].statuses(keys)
            done.update(key for key, status in zip(keys, statuses, strict=True) if status == DONE)
        return done

    def read(self, sample: int) -> Slots:
        """One covered sample."""
        unit = self._units[sample]
        column = self._columns[unit.dataset]
        return self._joined(unit, {k: column.read(k) for k in unit.keys if k in self._done})

    def iterate(self, samples: Index) -> Iterator[tuple[int, Slots]]:
        """Samples in storage order; a unit of several clips waits until all of them were read."""
        wanted = samples.tolist()
        owners: dict[str, list[int]] = defaultdict(list)
        for i in wanted:
            for key in self._done.intersection(self._units[i].keys):
                owners[key].append(i)
        lacking = {i: len(self._done.intersection(self._units[i].keys)) for i in wanted}
        waiting: dict[int, dict[str, ClipColumn]] = defaultdict(dict)
        for key, content in self._contents([self._units[i] for i in wanted]):
            for sample in owners[key]:
                waiting[sample][key] = _kept(content, lacking[sample] > 1)
                if len(waiting[sample]) == lacking[sample]:
                    yield sample, self._joined(self._units[sample], waiting.pop(sample))

    def _contents(self, units: Sequence[Unit]) -> Iterator[tuple[str, ClipColumn]]:
        """Every clip of these units that was read, once, in storage order."""
        for dataset, keys in _keys_by_dataset(units).items():
            done = sorted(self._done.intersection(keys))
            yield from self._columns[dataset].iterate(done)

    def _joined(self, unit: Unit, parts: Mapping[str, ClipColumn]) -> Slots:
        if self.rate_hz == 0:
            vectors = [np.asarray(part.values).reshape(1, 1, -1) for part in parts.values()]
            return Slots(np.concatenate(vectors).mean(axis=0, keepdims=True), np.ones((1, 1), bool))
        slots = [self._slots(key, parts.get(key)) for key in unit.keys]
        if len(slots) == 1:
            return slots[0]
        return Slots(
            np.concatenate([s.values for s in slots]), np.concatenate([s.valid for s in slots])
        )

    def _slots(self, key: str, part: ClipColumn | None) -> Slots:
        rows = self._rows[key]
        if part is None:
            empty = np.zeros((rows, self.rate_hz, self.dim), dtype=np.float32)
            return Slots(empty, np.zeros((rows, self.rate_hz), dtype=bool))
        return Slots(self._numbers(part.values, rows), part.valid)

    def _numbers(self, values: NDArray[Any], rows: int) -> NDArray[np.floating]:
        if self._pixels:
            return small_pictures(values, self._pictures.size_px, self._pictures.gray)
        return values.reshape(rows, self.rate_hz, self.dim)


def is_pixels(column: ColumnReader) -> bool:
    """Whether a vector of the column is an RGB picture."""
    return column.dtype == np.uint8 and len(column.shape) == 3 and column.shape[2] == 3


def check_same_fingerprint(columns: Mapping[str, ColumnReader]) -> None:
    """Refuse to pool columns that were not written with the same settings and weights."""
    found = {name: column.fingerprint for name, column in columns.items()}
    if len(set(found.values())) > 1:
        raise FingerprintError(
            "the data sets' columns were written with different settings or weights",
            where=next(iter(columns.values())).name,
            found=", ".join(f"{name}: {fingerprint}" for name, fingerprint in found.items()),
            accepted="one fingerprint",
            next_step="extract the column again for one of them, with --as NAME for both",
        )


def _keys_by_dataset(units: Sequence[Unit]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        keys[unit.dataset].extend(unit.keys)
    return keys


def _kept(content: ClipColumn, long: bool) -> ClipColumn:
    """The content, copied out of the block it was read with where it must wait for others."""
    if not long:
        return content
    return ClipColumn(np.array(content.values), np.array(content.valid))
