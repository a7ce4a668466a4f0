"""Results wait for a commit until they are many or old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from avfd.cache import Cache, ClipResult, WriteReport
from avfd.errors import SpoolError, Stopped, StoreError
from avfd.specs import DONE, FAILED
from extract.run import batch as module
from extract.run.batch import Batch
from extract.run.plan import Limits

LIMITS = Limits(commit_bytes=1000, commit_seconds=10.0)


class FakeCache:
    """Keeps what is written; refuses while `full`."""

    def __init__(self) -> None:
        self.commits: list[dict[str, list[str]]] = []
        self.full = False

    def write(self, results: Mapping[str, Sequence[ClipResult]]) -> WriteReport:
        if self.full:
            raise StoreError("no space left")
        self.commits.append({c: [r.key for r in rs] for c, rs in results.items()})
        return WriteReport(sum(map(len, results.values())), 0, f"S{len(self.commits)}")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until `now.seconds` is set."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.seconds)
    return clock


def result(key: str, floats: int = 0) -> ClipResult:
    if not floats:
        return ClipResult(0, key, FAILED, "no")
    return ClipResult(0, key, DONE, "", np.zeros(floats, np.float32))


def test_a_batch_is_due_when_it_is_large(now: SimpleNamespace) -> None:
    batch = Batch(cast(Cache, FakeCache()), LIMITS)
    batch.add({"a": result("k1", 200)})
    assert not batch.due
    batch.add({"a": result("k2", 51)})
    assert batch.due


def test_a_batch_is_due_when_its_results_are_many(now: SimpleNamespace) -> None:
    batch = Batch(cast(Cache, FakeCache()), LIMITS)
    for i in range(module.MOST_WAITING // 2):
        assert not batch.due
        batch.add({"a": result(f"k{i}"), "b": result(f"k{i}")})
    assert batch.due
    batch.commit()
    assert not batch.due


def test_a_batch_is_due_when_its_oldest_result_is_old(now: SimpleNamespace) -> None:
    batch = Batch(cast(Cache, FakeCache()), LIMITS)
    now.seconds = 500.0
    assert not batch.due  # nothing waits
    batch.add({"a": result("k1")})
    now.seconds = 509.0
    batch.add({"a": result("k2")})
    assert not batch.due
    now.seconds = 511.0
    assert batch.due


def test_one_commit_takes_all_columns_and_empties_the_batch(now: SimpleNamespace) -> None:
    cache = FakeCache()
    batch = Batch(cast(Cache, cache), LIMITS)
    batch.add({"a": result("k1", 1), "b": result("k1")})
    batch.add({"b": result("k2", 1000)})
    batch.commit()
    assert cache.commits == [{"a": ["k1"], "b": ["k1", "k2"]}]
    assert (batch.written, batch.skipped, batch.due) == (3, 0, False)
    batch.commit()
    assert len(cache.commits) == 1


def test_a_full_store_ends_the_commit_and_keeps_what_waits(now: SimpleNamespace) -> None:
    cache = FakeCache()
    batch = Batch(cast(Cache, cache), LIMITS)
    batch.add({"a": result("k1")})
    cache.full = True
    with pytest.raises(StoreError, match="no space left"):
        batch.commit()
    assert batch.written == 0
    cache.full = False
    batch.commit()
    assert cache.commits == [{"a": ["k1"]}]


def test_a_signal_that_ended_the_wait_for_the_lock_begins_no_other_wait() -> None:
    cache = FakeCache()
    batch = Batch(cast(Cache, cache), LIMITS)
    batch.add({"a": result("k")})
    with pytest.raises(Stopped), batch.kept():
        raise Stopped(15, "it waited for the cache's lock")
    assert cache.commits == []


def test_no_room_on_the_way_leaves_what_is_finished_to_the_cache() -> None:
    cache = FakeCache()
    batch = Batch(cast(Cache, cache), LIMITS)
    batch.add({"a": result("k")})
    with pytest.raises(SpoolError), batch.kept():
        raise SpoolError("a large result cannot be kept")
    assert cache.commits == [{"a": ["k"]}]
