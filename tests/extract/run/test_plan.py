"""What a plan reckons: bytes, time, memory, workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from avfd import machine
from avfd.clips import Clip
from avfd.specs import BackboneSpec
from extract.backbones import load_all
from extract.pipeline import Setup
from extract.run import loop
from extract.run.loop import column_by_column
from extract.run.plan import GIB, Limits, clip_bytes, worker_count, worker_memory_bytes
from extract.scans import Roots
from extract.task import Task


def test_bytes_of_a_clip_are_values_and_mask() -> None:
    frames = BackboneSpec("f", 1, "audio", "", rate_hz=100, shape=(130,))
    clip_level = BackboneSpec("c", 1, "audio", "", rate_hz=0, shape=(6373,), dtype="float16")
    assert clip_bytes(frames, rows=10) == 10 * 100 * (130 * 4 + 1)
    assert clip_bytes(clip_level, rows=10) == 6373 * 2


def test_a_long_clip_may_take_long() -> None:
    limits = Limits(clip_seconds=10.0, clip_seconds_per_second=2.0)
    assert limits.time_limit(Task(Clip("k", seconds=30.0), 0, 30, {"a": "a"})) == 70.0


def test_a_clip_has_time_for_its_media_and_for_each_network_of_its_columns() -> None:
    limits = Limits(clip_seconds=10.0, clip_seconds_per_second=2.0)
    task = Task(Clip("k", seconds=30.0), 0, 30, {"a": "one", "b": "two:x=1", "c": "mel"})
    networks = {"one": 1, "two:x=1": 2, "other": 1, "mel": 0}
    assert limits.time_limit(task, networks) == 10.0 + 2.0 * 30.0 * (1 + 1 + 2)


def test_no_more_workers_than_clips() -> None:
    assert [worker_count(asked, clips) for asked, clips in ((8, 3), (2, 100), (4, 0))] == [3, 2, 1]
    assert worker_count(None, 10**6) >= 1


def test_a_worker_gets_its_share_of_the_memory_within_reason() -> None:
    assert worker_memory_bytes(10**6) == 4 * GIB
    assert 4 * GIB <= worker_memory_bytes(1) <= 16 * GIB


def test_shares_are_of_what_the_container_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_bytes", lambda: 15 * GIB)
    monkeypatch.setattr(machine, "core_count", lambda: 3)
    assert worker_memory_bytes(3) == 5 * GIB
    assert worker_count(None, 10**6) == 3


def test_a_workers_networks_come_on_top_of_its_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(loop, "Pool", lambda build, **options: made.append(options))
    plan = SimpleNamespace(setup=networks(tmp_path))
    loop._pool(plan, workers=2, limits=Limits(10.0, 2.0, memory_bytes=5 * GIB))
    (options,) = made
    assert options["memory_limit_bytes"] == 5 * GIB + 3 * (1000 + 1000 + 500)
    task = Task(Clip("k", seconds=30.0), 0, 30, {"a": "resnet18", "b": "mfcc"})
    assert options["time_limit"](task) == 10.0 + 2.0 * 30.0 * 2


def test_networks_on_a_device_cost_the_readers_nothing(tmp_path: Path) -> None:
    setup = replace(networks(tmp_path), devices=("cpu",))
    assert setup.model_bytes() == 0
    assert not any(setup.networks_here().values())


def networks(folder: Path) -> Setup:
    """Two networks of one model file and one of another, and what one of them reads."""
    load_all()
    weights = {"resnet18": folder / "resnet18", "xvector": folder / "xvector"}
    weights["resnet18"].write_bytes(bytes(1000))
    weights["xvector"].write_bytes(bytes(500))
    asked = ("resnet18", "resnet18:precision=float16", "xvector", "mfcc")
    return Setup(Roots(folder), asked, weights=weights)


def test_a_crashed_task_is_tried_again_column_by_column() -> None:
    task = Task(Clip("k"), 5, 2, {"a": "x", "b": "y"})
    parts = column_by_column(task)
    assert [dict(part.columns) for part in parts] == [{"a": "x"}, {"b": "y"}]
    assert all((part.clip, part.entry, part.rows) == (task.clip, 5, 2) for part in parts)
