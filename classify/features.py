"""What estimators are given: sequences of numbers, a mask and a label for every sample.

A sample is a clip, a cluster of clips joined in time, or a window of either. Its numbers are read
from the cache when they are needed and never held all at once; only the moments are, as
[samples, 3 * dim].
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.keys import apart
from classify.moments import at_rate, contrast, moments, shifts

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
VectorKind = Literal["moments", "shifts", "moments+shifts", "contrast", "moments+contrast"]
_WIDTHS = {"moments": 3, "shifts": 2, "contrast": 2, "itself": 1}
Segments = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Slots:
    """The numbers of one sample.

    Attributes:
        values: [rows, rate, dim] of floats, or as the column has them: [rows, rate, *shape] of
            its own type; a clip-level vector is [1, 1, …].
        valid: bool [rows, rate]; values are meaningless where it is False.
    """

    values: NDArray[Any]
    valid: Mask

    def __post_init__(self) -> None:
        if self.values.ndim < 2 or self.values.shape[:2] != self.valid.shape:
            raise InputError(
                "values are [rows, rate, ...] with a mask [rows, rate]",
                found=f"{self.values.shape} and {self.valid.shape}",
            )


class Source(Protocol):
    """Where sequences come from: memory or a cache.

    Attributes:
        name: the column.
        rate_hz: vectors a second; 0 for one vector a sample.
        dim: numbers in a vector, as `read` gives it: pictures made small, the rest flattened.
        shape, dtype: of a vector as the column has it, which is what `native` gives.
        rows: seconds of each sample, [samples].
        covered: which samples the backbone could read, [samples].
    """

    name: str
    rate_hz: int
    dim: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: Index
    covered: Mask

    def read(self, sample: int) -> Slots:
        """One covered sample, its vectors made flat."""

    def native(self, sample: int, first: int, stop: int) -> Slots:
        """Rows [first, stop) of a covered sample, its vectors as the column has them."""

    def validity(self, sample: int) -> Mask:
        """The mask of a covered sample, [rows, rate], without reading its values."""

    def iterate(self, samples: Index, *, native: bool = False) -> Iterator[tuple[int, Slots]]:
        """Covered samples in whatever order is fastest, each once."""


class MemorySource:
    """Sequences that are already in memory; None where a sample has none.

    Args:
        name: the column.
        slots: values [rows, rate, dim] or, with `shape`, [rows, rate, *shape].
        rate_hz: vectors a second.
        dim: numbers in a vector.
        shape: of a vector; None: (dim,).
    """

    def __init__(
        self,
        name: str,
        slots: Sequence[Slots | None],
        rate_hz: int,
        dim: int,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.name, self.rate_hz, self.dim = name, rate_hz, dim
        self.shape = (dim,) if shape is None else shape
        self._slots = list(slots)
        found = {np.dtype(s.values.dtype) for s in slots if s is not None}
        self.dtype = np.result_type(*found) if found else np.dtype(np.float32)
        self.rows = np.array([0 if s is None else len(s.values) for s in slots], dtype=np.intp)
        self.covered = np.array([s is not None for s in slots], dtype=bool)

    def read(self, sample: int) -> Slots:
        slots = self._of(sample)
        return Slots(slots.values.reshape(*slots.valid.shape, self.dim), slots.valid)

    def native(self, sample: int, first: int, stop: int) -> Slots:
        slots = self._of(sample)
        return Slots(slots.values[first:stop], slots.valid[first:stop])

    def validity(self, sample: int) -> Mask:
        return self._of(sample).valid

    def iterate(self, samples: Index, *, native: bool = False) -> Iterator[tuple[int, Slots]]:
        for sample in samples.tolist():
            yield sample, self._of(sample) if native else self.read(sample)

    def _of(self, sample: int) -> Slots:
        slots = self._slots[sample]
        if slots is None:
            raise IndexError(f"sample {sample} of {self.name} is not covered")
        return slots


class Pieces:
    """Stretches of a source's samples, and their vectors once they have been asked for."""

    def __init__(self, source: Source, spans: Index) -> None:
        """Take `spans` [pieces, 3]: sample, first row, row after the last."""
        self.source, self.spans = source, spans
        self._vectors: dict[VectorKind, NDArray[np.float32]] = {}

    def vectors(self, kind: VectorKind = "moments") -> NDArray[np.float32]:
        """A vector a piece, or the clip-level vector itself; NaN where there is none.

        Args:
            kind: "moments"; "shifts": see there; "contrast": of the piece in its whole sample; or
                moments and one of the others side by side.
        """
        if kind not in self._vectors:
            self._vectors[kind] = self._made(kind)
        return self._vectors[kind]

    def _made(self, kind: VectorKind) -> NDArray[np.float32]:
        source = self.source
        parts = ["itself"] if source.rate_hz == 0 else kind.split("+")
        width = source.dim * sum(_WIDTHS[part] for part in parts)
        out = np.full((len(self.spans), width), np.nan, dtype=np.float32)
        pieces_of = defaultdict(list)
        for piece, sample in enumerate(self.spans[:, 0].tolist()):
            if source.covered[sample]:
                pieces_of[sample].append(piece)
        for sample, slots in source.iterate(np.array(sorted(pieces_of), dtype=np.intp)):
            for piece in pieces_of[sample]:
                first, stop = self.spans[piece, 1:].tolist()
                out[piece] = np.concatenate([self._part(p, slots, first, stop) for p in parts])
        return out

    def _part(self, part: str, slots: Slots, first: int, stop: int) -> NDArray[np.floating]:
        if part == "itself":
            vector: NDArray[np.floating] = slots.values[0, 0]
            return vector
        values, valid = slots.values.reshape(-1, self.source.dim), slots.valid.reshape(-1)
        at, end = first * self.source.rate_hz, stop * self.source.rate_hz
        if part == "contrast":
            return contrast(values, valid, at, end)
        return (moments if part == "moments" else shifts)(values[at:end], valid[at:end])


@dataclass(frozen=True)
class Sequences:
    """One modality's numbers for many samples; indexable by an int array.

    Attributes:
        pieces: all stretches that exist; their moments are computed once for all subsets.
        where: which of them these are, [samples].
    """

    pieces: Pieces
    where: Index

    @classmethod
    def of(cls, source: Source) -> Sequences:
        """Every sample of a source, whole."""
        n = len(source.covered)
        spans = np.stack([np.arange(n), np.zeros(n, int), source.rows], axis=1).astype(np.intp)
        return cls(Pieces(source, spans), np.arange(n))

    @property
    def source(self) -> Source:
        return self.pieces.source

    @property
    def rate_hz(self) -> int:
        return self.source.rate_hz

    @property
    def dim(self) -> int:
        return self.source.dim

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a vector as the column has it: (1024,), (10, 87), (224, 224, 3), …."""
        return self.source.shape

    @property
    def spans(self) -> Index:
        """Sample, first row and row after the last of each, [samples, 3]."""
        return self.pieces.spans[self.where]

    @property
    def covered(self) -> Mask:
        """Which samples the backbone could read, [samples]."""
        return self.source.covered[self.spans[:, 0]]

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, index: Index) -> Sequences:
        return replace(self, where=self.where[index])

    def vectors(self, kind: VectorKind = "moments") -> NDArray[np.float32]:
        """A vector a sample: [samples, 3 * dim] moments, [samples, dim] of a clip-level column.

        Other kinds: see `Pieces.vectors`.
        """
        return self.pieces.vectors(kind)[self.where]

    def read(self, index: int) -> Slots:
        """The numbers of one covered sample."""
        sample, first, stop = self.spans[index].tolist()
        slots = self.source.read(sample)
        return Slots(slots.values[first:stop], slots.valid[first:stop])

    def native(self, index: int) -> Slots:
        """One covered sample as the column has it: [rows, rate, *shape], its own number type."""
        return self.source.native(*self.spans[index].tolist())

    def cut(self, spans: Index) -> Sequences:
        """Other stretches of the same source; `spans` as in `Pieces`."""
        if self.rate_hz == 0:
            raise InputError(
                "a column with one vector a clip has no windows",
                where=self.source.name,
                next_step="leave out --window-seconds or take a column with vectors a second",
            )
        return Sequences(Pieces(self.source, spans), np.arange(len(spans)))


Features = Mapping[str, Sequences]


def together(features: Features, index: int, rate_hz: int) -> tuple[NDArray[np.float32], Mask]:
    """All modalities of one sample on one time line, for sequence models.

    Args:
        features: modality → sequences.
        index: which sample.
        rate_hz: the common rate; see `moments.at_rate`.

    Returns:
        values float32 [slots, sum of dims] (0 where a modality is invalid) and valid
        [slots, modalities]. All have the length of the longest; no slots where none is covered.
    """
    parts = [
        at_rate(slots.values, slots.valid, rate_hz) if slots else None
        for slots in (s.read(index) if s.covered[index] else None for s in features.values())
    ]
    rows = max((len(part[1]) for part in parts if part), default=0)
    dims = [s.dim for s in features.values()]
    values = np.zeros((rows, rate_hz, sum(dims)), dtype=np.float32)
    valid = np.zeros((rows, rate_hz, len(dims)), dtype=bool)
    for at, (part, end) in enumerate(zip(parts, np.cumsum(dims), strict=True)):
        if part:
            values[: len(part[0]), :, end - dims[at] : end] = part[0]
            valid[: len(part[1]), :, at] = part[1]
    slots = rows * rate_hz
    return values.reshape(slots, sum(dims)), valid.reshape(slots, len(dims))


@dataclass(frozen=True)
class Samples:
    """Samples with all that fitting and scoring need to know of them.

    Attributes:
        keys: name of each sample: its clip key, or the first of a cluster's.
        datasets: data set of each.
        groups: group of each; a group never stands on two sides.
        y: class number of each, -1 where unlabelled, [samples].
        features: key → sequences (`classify.keys`).
        part_labels: "audio", "video" → class number of that track alone, -1 where unknown,
            [samples]; empty where nobody asks (of emotions, say).
        segments: fake stretches of each in seconds, None where unknown; empty where nobody asks.
    """

    keys: tuple[str, ...]
    datasets: tuple[str, ...]
    groups: tuple[str, ...]
    y: Index
    features: Features
    part_labels: Mapping[str, Index] = field(default_factory=dict)
    segments: tuple[Segments | None, ...] = ()

    def __post_init__(self) -> None:
        lengths = [len(self.keys), len(self.datasets), len(self.groups), len(self.y)]
        lengths += [len(s) for s in self.features.values()]
        lengths += [len(labels) for labels in self.part_labels.values()]
        lengths += [len(self.segments)] if self.segments else []
        if len(set(lengths)) > 1:
            raise InputError("samples of unequal lengths", found=lengths)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, index: Index) -> Samples:
        """The samples at these places, in this order."""

        def pick(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(names[i] for i in index.tolist())

        return Samples(
            pick(self.keys),
            pick(self.datasets),
            pick(self.groups),
            self.y[index],
            {name: s[index] for name, s in self.features.items()},
            {part: labels[index] for part, labels in self.part_labels.items()},
            tuple(self.segments[i] for i in index.tolist()) if self.segments else (),
        )

    def only(self, keys: Sequence[str]) -> Samples:
        """The same samples with some of their columns, keyed as if there were no others."""
        return replace(self, features={own: self.features[k] for own, k in apart(keys).items()})
