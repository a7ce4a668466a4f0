"""What a plan reckons: bytes, time, memory, workers."""

from __future__ import annotations

from avfd.clips import Clip
from avfd.specs import BackboneSpec
from extract.run.loop import column_by_column
from extract.run.plan import GIB, Limits, clip_bytes, worker_count, worker_memory_bytes
from extract.task import Task


def test_bytes_of_a_clip_are_values_and_mask() -> None:
    frames = BackboneSpec("f", 1, "audio", "", rate_hz=100, shape=(130,))
    clip_level = BackboneSpec("c", 1, "audio", "", rate_hz=0, shape=(6373,), dtype="float16")
    assert clip_bytes(frames, rows=10) == 10 * 100 * (130 * 4 + 1)
    assert clip_bytes(clip_level, rows=10) == 6373 * 2


def test_a_long_clip_may_take_long() -> None:
    limits = Limits(clip_seconds=10.0, clip_seconds_per_second=2.0)
    assert limits.time_limit(Task(Clip("k", seconds=30.0), 0, 30, {"a": "a"})) == 70.0


def test_no_more_workers_than_clips() -> None:
    assert [worker_count(asked, clips) for asked, clips in ((8, 3), (2, 100), (4, 0))] == [3, 2, 1]
    assert worker_count(None, 10**6) >= 1


def test_a_worker_gets_its_share_of_the_memory_within_reason() -> None:
    assert worker_memory_bytes(10**6) == 4 * GIB
    assert 4 * GIB <= worker_memory_bytes(1) <= 16 * GIB


def test_a_crashed_task_is_tried_again_column_by_column() -> None:
    task = Task(Clip("k"), 5, 2, {"a": "x", "b": "y"})
    parts = column_by_column(task)
    assert [dict(part.columns) for part in parts] == [{"a": "x"}, {"b": "y"}]
    assert all((part.clip, part.entry, part.rows) == (task.clip, 5, 2) for part in parts)
