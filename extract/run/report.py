"""What an extract has done, counted as it goes and looked up in the cache at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from avfd.cache import ClipResult, Reader
from avfd.specs import ABSENT, DONE, FAILED, PENDING
from extract.batching import Work
from extract.pipeline import ClipReport
from extract.pool import Crash, Outcome
from extract.run.plan import Plan
from extract.stopwatch import Part
from extract.task import Task


@dataclass(frozen=True)
class ColumnCount:
    """How many clips of the table stand where in one column."""

    done: int
    failed: int
    absent: int
    pending: int


@dataclass(frozen=True)
class Failure:
    """A clip that a backbone could not do, and why."""

    key: str
    column: str
    reason: str


@dataclass(frozen=True)
class Note:
    """What of a clip's media was lost or mended, though there are results."""

    key: str
    text: str


@dataclass(frozen=True)
class ExtractReport:
    """What an extract did, and how its columns stand.

    Attributes:
        dataset: name of the data set.
        columns: column → counts over the whole clip table, earlier runs included.
        failures: every clip that stands as failed.
        notes: on the media of clips that this run worked on, each once.
        clips: clips that this run worked on.
        media_seconds: length of those whose media were opened.
        wall_seconds: how long the run took.
        cpu_seconds: of the workers, by part (`extract.stopwatch`).
        cut: vectors that lay beyond the rows that index had given the clip.
        devices: what each device did, where networks ran in batches.
        skipped: results dropped because another run had stored them first.
        snapshot_id: the cache as this run left it.
    """

    dataset: str
    columns: dict[str, ColumnCount]
    failures: list[Failure]
    notes: list[Note]
    clips: int
    media_seconds: float
    wall_seconds: float
    cpu_seconds: dict[Part, float]
    devices: list[Work]
    cut: int
    skipped: int
    snapshot_id: str


@dataclass
class Tally:
    """Sums over the clips that came back, whole or column by column.

    Attributes:
        left: key of each clip that lacks columns still → those.
        clips: how many lack none any more.
        notes: as keys, as a clip that comes back column by column has its notes each time.
    """

    left: dict[str, tuple[str, ...]]
    clips: int = 0
    media_seconds: float = 0.0
    cpu_seconds: Counter[Part] = field(default_factory=Counter)
    cut: int = 0
    notes: dict[Note, None] = field(default_factory=dict)

    def count(self, outcome: Outcome[Task, ClipReport]) -> Mapping[str, ClipResult]:
        """Add a clip, or some of its columns; their results, where the worker crashed failures."""
        task, result = outcome.item, outcome.result
        key = task.clip.key
        if rest := tuple(c for c in self.left.pop(key) if c not in task.columns):
            self.left[key] = rest
        else:
            self.clips += 1
        if isinstance(result, Crash):
            failed = ClipResult(task.entry, task.clip.key, FAILED, result.reason)
            return dict.fromkeys(task.columns, failed)
        self.media_seconds += result.media_seconds
        self.cpu_seconds.update(result.cpu_seconds)
        self.cut += result.cut
        self.notes.update(dict.fromkeys(Note(key, text) for text in result.notes))
        return result.results


def make_report(
    plan: Plan, tally: Tally, devices: list[Work], skipped: int, wall_seconds: float
) -> ExtractReport:
    """The report, with the columns as they stand in the cache now."""
    reader = plan.cache.snapshot()
    keys = [clip.key for clip in plan.clips]
    return ExtractReport(
        dataset=plan.dataset,
        columns={column: _count(reader, column, keys) for column in plan.columns},
        failures=[f for column in plan.columns for f in _failures(reader, column, keys)],
        notes=list(tally.notes),
        clips=tally.clips,
        media_seconds=tally.media_seconds,
        wall_seconds=wall_seconds,
        cpu_seconds=dict(tally.cpu_seconds),
        devices=devices,
        cut=tally.cut,
        skipped=skipped,
        snapshot_id=reader.snapshot_id,
    )


def _count(reader: Reader, column: str, keys: list[str]) -> ColumnCount:
    counts = np.bincount(reader.column(column).statuses(keys), minlength=4).tolist()
    return ColumnCount(counts[DONE], counts[FAILED], counts[ABSENT], counts[PENDING])


def _failures(reader: Reader, column: str, keys: list[str]) -> list[Failure]:
    statuses = reader.column(column).statuses(keys)
    failed = [keys[i] for i in np.flatnonzero(statuses == FAILED).tolist()]
    reasons = reader.column(column).reasons(failed)
    return [Failure(key, column, why) for key, why in zip(failed, reasons, strict=True)]
