"""Several processes, some of them killed, on one cache."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avfd.cache import Cache, Entry

CLIPS = 30
SCRIPT = Path(__file__).with_name("writer_process.py")


@pytest.fixture
def shared(open_cache, make) -> Cache:
    cache = open_cache()
    cache.update_clips(make.entries(CLIPS))
    for column in ("mel", "mfcc"):
        cache.ensure_column(column, make.spec, "f" * 64, {})
    return cache


@pytest.fixture
def start(tmp_path):
    """Starts a writer process; whatever is left of them at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def started(column: str, first: int = 0, step: int = 1, batch: int = 5) -> subprocess.Popen:
        numbers = [str(n) for n in (first, step, CLIPS, batch)]
        command = [sys.executable, str(SCRIPT), str(tmp_path), column, *numbers]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def check_complete(cache: Cache, make, column: str) -> None:
    reader = cache.snapshot()
    stored = reader.column(column)
    assert stored.statuses(reader.keys).tolist() == [1] * len(reader.keys)
    for key, data in stored.iterate(reader.keys):
        np.testing.assert_array_equal(data.values, make.values(reader.entry(key)))
        np.testing.assert_array_equal(data.valid, make.valid(reader.entry(key)))


def written(process: subprocess.Popen) -> int:
    out, _ = process.communicate()
    assert process.returncode == 0
    return sum(int(line.split()[0]) for line in out.splitlines())


def test_two_processes_write_two_columns(shared, start, make):
    both = [start("mel"), start("mfcc")]
    assert [written(process) for process in both] == [CLIPS, CLIPS]
    check_complete(shared, make, "mel")
    check_complete(shared, make, "mfcc")


def test_two_processes_write_clips_of_the_same_chunks(shared, start, make):
    both = [start("mel", first=0, step=2), start("mel", first=1, step=2)]
    assert [written(process) for process in both] == [CLIPS // 2, CLIPS // 2]
    check_complete(shared, make, "mel")


def test_two_processes_with_the_same_work_store_it_once(shared, start, make):
    both = [start("mel", batch=2), start("mel", batch=5)]
    assert sum(written(process) for process in both) == CLIPS
    check_complete(shared, make, "mel")


def test_killed_writers_lose_only_what_was_not_committed(shared, open_cache, start, make):
    rng = random.Random(0)
    committed = 0
    for _ in range(3):
        process = start("mel", batch=2)
        seen = 0
        for _ in range(rng.randint(1, 3)):
            seen += int(process.stdout.readline().split()[0])
        process.kill()
        process.wait()
        cache = open_cache()
        assert cache.verify() == []
        done = int(cache.snapshot().column("mel").statuses(cache.snapshot().keys).sum())
        assert done >= committed + seen
        committed = done
    assert written(start("mel")) == CLIPS - committed
    check_complete(open_cache(), make, "mel")


def test_index_grows_and_gc_collects_while_a_process_writes(shared, start, make):
    reader = shared.snapshot()
    process = start("mel", batch=1)
    for extra in range(3):
        process.stdout.readline()
        more = [Entry(f"set/more {i}.mp4", 3.0, 1, 1) for i in range(extra + 1)]
        assert len(shared.update_clips([*make.entries(CLIPS), *more]).added) == 1
        shared.gc()
    process.communicate()
    assert process.returncode == 0
    after = shared.snapshot()
    statuses = after.column("mel").statuses(after.keys)
    assert statuses.tolist() == [1] * CLIPS + [0] * 3
    assert shared.verify() == []
    assert reader.column("mel").statuses(reader.keys).tolist() == [0] * CLIPS
