"""What a run counts as clips come back, whole or column by column."""

from __future__ import annotations

from avfd.cache import ClipResult
from avfd.clips import Clip
from avfd.specs import ABSENT
from extract.pipeline import ClipReport
from extract.pool import Crash, Outcome
from extract.run.report import Note, Tally
from extract.task import Task


def came_back(key: str, columns: list[str], *notes: str) -> Outcome[Task, ClipReport]:
    task = Task(Clip(key), 0, 1, {column: column for column in columns})
    results = {column: ClipResult(0, key, ABSENT, "no sound") for column in columns}
    return Outcome(task, ClipReport(results, notes=notes))


def test_notes_are_kept_once_a_clip_in_the_order_of_coming() -> None:
    tally = Tally({"a": ("one", "two"), "b": ("one",)})
    tally.count(came_back("b", ["one"], "3 packets lost", "cut short"))
    tally.count(came_back("a", ["one"], "3 packets lost"))
    tally.count(came_back("a", ["two"], "3 packets lost"))
    assert list(tally.notes) == [
        Note("b", "3 packets lost"),
        Note("b", "cut short"),
        Note("a", "3 packets lost"),
    ]
    assert tally.clips == 2


def test_a_crash_has_no_notes() -> None:
    tally = Tally({"a": ("one",)})
    tally.count(Outcome(Task(Clip("a"), 0, 1, {"one": "one"}), Crash("killed")))
    assert not tally.notes
