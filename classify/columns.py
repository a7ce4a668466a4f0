"""Columns of a cache as sequences: read when needed, joined where a sample is several clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avfd.cache import ClipColumn, ColumnReader, Reader
from avfd.differences import check_alike
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
        audio_label, video_label: real or fake, of that track alone; None where unknown.
        segments: its fake stretches, (start, end) in seconds; None where nobody says.
    """

    dataset: str
    keys: tuple[str, ...]
    group: str
    label: str | None
    audio_label: str | None = None
    video_label: str | None = None
    segments: tuple[tuple[float, float], ...] | None = None


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
        self.rate_hz, self.shape, self.dtype = first.rate_hz, first.shape, first.dtype
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
        return int(np.prod(self.shape, dtype=int))

    def _find_done(self) -> set[str]:
        done: set[str] = set()
        for dataset, keys in _keys_by_dataset(self._units).items():
            statuses = self._columns[dataset].statuses(keys)
            done.update(key for key, status in zip(keys, statuses, strict=True) if status == DONE)
        return done

    def read(self, sample: int) -> Slots:
        """One covered sample, its vectors made flat."""
        return self._flat(self.native(sample, 0, int(self.rows[sample])))

    def native(self, sample: int, first: int, stop: int) -> Slots:
        """Rows [first, stop) of a covered sample, its vectors as the column has them.

        Of clip-level columns the whole of it, whatever the rows.
        """
        unit = self._units[sample]
        column = self._columns[unit.dataset]
        if self.rate_hz == 0:
            return self._mean({k: column.read(k) for k in unit.keys if k in self._done})
        parts, start = [], 0
        for key in unit.keys:
            low, high = max(0, first - start), min(self._rows[key], stop - start)
            if low < high:
                done = key in self._done
                parts.append(self._slots(high - low, column.read(key, low, high) if done else None))
            start += self._rows[key]
        return _stacked(parts or [self._slots(0, None)])

    def validity(self, sample: int) -> Mask:
        """The mask of a covered sample, [rows, rate], without reading its values."""
        unit = self._units[sample]
        if self.rate_hz == 0:
            return np.ones((1, 1), dtype=bool)
        column = self._columns[unit.dataset]
        parts = [
            column.valid(key)
            if key in self._done
            else np.zeros((self._rows[key], self.rate_hz), dtype=bool)
            for key in unit.keys
        ]
        return np.concatenate(parts)

    def iterate(self, samples: Index, *, native: bool = False) -> Iterator[tuple[int, Slots]]:
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
                    joined = self._joined(self._units[sample], waiting.pop(sample))
                    yield sample, joined if native else self._flat(joined)

    def _contents(self, units: Sequence[Unit]) -> Iterator[tuple[str, ClipColumn]]:
        """Every clip of these units that was read, once, in storage order."""
        for dataset, keys in _keys_by_dataset(units).items():
            done = sorted(self._done.intersection(keys))
            yield from self._columns[dataset].iterate(done)

    def _joined(self, unit: Unit, parts: Mapping[str, ClipColumn]) -> Slots:
        if self.rate_hz == 0:
            return self._mean(parts)
        return _stacked([self._slots(self._rows[key], parts.get(key)) for key in unit.keys])

    def _mean(self, parts: Mapping[str, ClipColumn]) -> Slots:
        """A clip-level column's only vector of a unit, [1, 1, *shape]."""
        vectors = [np.asarray(part.values).reshape(1, 1, *self.shape) for part in parts.values()]
        return Slots(np.concatenate(vectors).mean(axis=0, keepdims=True), np.ones((1, 1), bool))

    def _slots(self, rows: int, part: ClipColumn | None) -> Slots:
        if part is None:
            empty = np.zeros((rows, self.rate_hz, *self.shape), dtype=self.dtype)
            return Slots(empty, np.zeros((rows, self.rate_hz), dtype=bool))
        return Slots(part.values, part.valid)

    def _flat(self, slots: Slots) -> Slots:
        """The same with flat vectors, pictures made small: [rows, rate, dim] of floats."""
        if self._pixels:
            small = small_pictures(slots.values, self._pictures.size_px, self._pictures.gray)
            return Slots(small, slots.valid)
        return Slots(slots.values.reshape(*slots.valid.shape, self.dim), slots.valid)


def _stacked(parts: Sequence[Slots]) -> Slots:
    """Stretches joined in time."""
    if len(parts) == 1:
        return parts[0]
    return Slots(
        np.concatenate([s.values for s in parts]), np.concatenate([s.valid for s in parts])
    )


def is_pixels(column: ColumnReader) -> bool:
    """Whether a vector of the column is an RGB picture."""
    return column.dtype == np.uint8 and len(column.shape) == 3 and column.shape[2] == 3


def check_same_fingerprint(columns: Mapping[str, ColumnReader]) -> None:
    """Refuse to pool columns that were not written with the same settings and weights."""
    (first, expected), *others = columns.items()
    for name, column in others:
        check_alike(
            f"{name}'s column was written with other settings or weights than {first}'s",
            where=column.name,
            found=column.spec_facts,
            accepted=expected.spec_facts,
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
