"""Clips cut into windows, and the windows' scores joined again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.features import Index, Samples, Segments

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Windows:
    """How clips are cut before an estimator sees them.

    Attributes:
        window_seconds: length of a window in whole seconds; None: the whole clip.
        hop_seconds: from one window's start to the next, at most the length; None: the length.
        aggregate: how window scores become the clip's: "mean", or "max", the largest P(fake)
            (of more classes each class' largest, made to sum to 1).
        labels: what a window is trained with: "clip", its clip's label, or "segments": of a clip
            whose fake stretches are known, whether they cover half of the window (or half of them
            lies in it); windows that they touch less are left out of training.
    """

    window_seconds: int | None = None
    hop_seconds: int | None = None
    aggregate: Literal["mean", "max"] = "mean"
    labels: Literal["clip", "segments"] = "clip"

    def __post_init__(self) -> None:
        if self.window_seconds is None:
            if self.labels != "clip":
                raise InputError(
                    "a whole clip has its own label",
                    where="--window-labels",
                    found=self.labels,
                    next_step="give --window-seconds too",
                )
            if self.aggregate != "mean":
                raise InputError(
                    "a whole clip has one score",
                    where="--aggregate",
                    found=self.aggregate,
                    next_step="give --window-seconds too",
                )
            if self.hop_seconds is not None:
                raise InputError(
                    "a hop needs a window",
                    where="--hop-seconds",
                    next_step="give --window-seconds too",
                )
            return
        if self.window_seconds < 1 or not 1 <= self.hop <= self.window_seconds:
            raise InputError(
                "windows are whole seconds, and no second may fall between two of them",
                where="--window-seconds, --hop-seconds",
                found=f"{self.window_seconds}, {self.hop_seconds}",
                accepted="1 <= hop <= window",
            )

    @property
    def hop(self) -> int:
        return self.hop_seconds or self.window_seconds or 1

    def spans(self, rows: int) -> list[tuple[int, int]]:
        """First row and row after the last of each window of a clip.

        The last window ends with the clip, so every second is seen; a clip shorter than a window
        is one window.

        >>> Windows(3, 2).spans(6)
        [(0, 3), (2, 5), (3, 6)]
        """
        length = min(self.window_seconds or rows, rows)
        starts = list(range(0, rows - length + 1, self.hop)) or [0]
        if starts[-1] + length < rows:
            starts.append(rows - length)
        return [(start, start + length) for start in starts]


@dataclass(frozen=True)
class Cut:
    """Samples as windows.

    Attributes:
        samples: a sample a window.
        owner: which clip each window is of, [windows].
        spans: first row and row after the last, [windows, 2].
        rows: seconds of each clip, [clips].
    """

    samples: Samples
    owner: Index
    spans: Index
    rows: Index


def cut(samples: Samples, windows: Windows) -> Cut:
    """The samples in windows; all modalities are cut at the same seconds."""
    origins = [s.spans for s in samples.features.values()]
    rows = np.max([o[:, 2] - o[:, 1] for o in origins], axis=0)
    pairs = [(i, *span) for i, n in enumerate(rows.tolist()) for span in windows.spans(n)]
    table = np.array(pairs, dtype=np.intp).reshape(-1, 3)
    owner = table[:, 0]
    repeated = samples.take(owner)
    features = {
        m: s.cut(np.column_stack([o[owner, 0], o[owner, 1:2] + table[:, 1:]]))
        for (m, s), o in zip(samples.features.items(), origins, strict=True)
    }
    whole = replace(repeated, features=features)
    return Cut(whole, owner, table[:, 1:], rows)


def training_windows(samples: Samples, windows: Windows) -> Samples:
    """The samples in windows with the labels that these are trained with; see `Windows`."""
    made = cut(samples, windows)
    if windows.labels == "clip" or not made.samples.segments:
        return made.samples
    said = [
        _label(label, segments, first, stop)
        for label, segments, (first, stop) in zip(
            made.samples.y.tolist(), made.samples.segments, made.spans.tolist(), strict=True
        )
    ]
    y = np.array(said, dtype=np.intp)
    real = y == 0
    parts = {p: np.where(real, 0, own) for p, own in made.samples.part_labels.items()}
    return replace(made.samples, y=y, part_labels=parts).take(np.flatnonzero(y >= 0))


def _label(label: int, segments: Segments | None, first: int, stop: int) -> int:
    """Class number of the window [first, stop) of a clip; -1 where it is neither."""
    if label != 1 or segments is None:
        return label
    inside = sum(max(0.0, min(stop, end) - max(first, start)) for start, end in segments)
    whole = sum(end - start for start, end in segments)
    if inside <= 0:
        return 0
    return 1 if 2 * inside >= min(stop - first, whole) else -1


@dataclass(frozen=True)
class Scores:
    """What a model says of samples.

    Attributes:
        probabilities: [samples, classes]; NaN where no modality covers the sample.
        seconds: [rows, classes] of each sample, NaN where nothing is seen; None unless windowed.
        tracks: "audio", "video" → P(fake) of that track alone, [samples], NaN where there is no
            such track; empty for models that judge the whole only.
    """

    probabilities: Floats
    seconds: list[Floats] | None = None
    tracks: Mapping[str, Floats] = field(default_factory=dict)


def joined(p: Floats, windows: Cut, aggregate: str) -> Scores:
    """Scores of clips and of their seconds from those of their windows [windows, classes].

    A second's score is the mean of the windows over it; windows without a score do not count.
    """
    clips, seconds = [], []
    ends = np.searchsorted(windows.owner, np.arange(len(windows.rows) + 1))
    for first, stop, rows in zip(ends[:-1], ends[1:], windows.rows.tolist(), strict=True):
        clips.append(aggregated(p[first:stop], aggregate))
        seconds.append(_by_second(p[first:stop], windows.spans[first:stop], rows))
    return Scores(np.stack(clips), seconds)


def aggregated(p: Floats, aggregate: str) -> Floats:
    """Scores of one clip's windows [windows, classes] as the clip's [classes]; see `Windows`."""
    known = p[~np.isnan(p).any(axis=1)]
    if not len(known):
        return np.full(p.shape[1], np.nan)
    if aggregate == "mean":
        return np.asarray(known.mean(axis=0))
    if p.shape[1] == 2:
        fake = known[:, 1].max()
        return np.array([1.0 - fake, fake])
    largest = known.max(axis=0)
    return np.asarray(largest / largest.sum())


def _by_second(p: Floats, spans: Index, rows: int) -> Floats:
    total, count = np.zeros((rows, p.shape[1])), np.zeros((rows, 1))
    for one, (first, stop) in zip(p, spans.tolist(), strict=True):
        if not np.isnan(one).any():
            total[first:stop] += one
            count[first:stop] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
