"""Any order of operations leaves the cache as a plain dict would be."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avfd.cache import Cache, ClipResult, Entry
from avfd.specs import ABSENT, DONE, FAILED, PENDING, BackboneSpec

SPEC = BackboneSpec("c", 1, "audio", "for tests", 2, (3,))
CLIPS = 6

clip = st.integers(0, CLIPS - 1)
operation = st.one_of(
    st.tuples(st.just("index"), st.dictionaries(clip, st.integers(1, 3), min_size=1)),
    st.tuples(st.just("write"), st.lists(st.tuples(clip, st.sampled_from([DONE, FAILED, ABSENT])))),
    st.tuples(st.just("reset"), st.lists(clip)),
    st.tuples(st.just("gc"), st.none()),
)


class Model:
    """What a cache must hold: key → (version, rows) and key → (status, number)."""

    def __init__(self) -> None:
        self.clips: dict[str, tuple[int, int]] = {}
        self.column: dict[str, tuple[int, float]] = {}

    def index(self, cache: Cache, listed: dict[int, int]) -> None:
        entries = []
        for number, version in listed.items():
            key = f"s/{number}"
            entries.append(Entry(key, float(number + version), version, 1))
            if self.clips.get(key, (0, 0))[0] != version:
                self.clips[key] = (version, number + version)
                self.column[key] = (PENDING, 0.0)
        cache.update_clips(entries)

    def write(self, cache: Cache, results: list[tuple[int, int]], at: int) -> None:
        reader = cache.snapshot()
        known = [(f"s/{n}", status) for n, status in results if f"s/{n}" in self.clips]
        given = []
        for place, (key, status) in enumerate(known):
            number = float(100 * at + place)
            shape = (self.clips[key][1], 2, 3)
            done = status == DONE
            values = np.full(shape, number, np.float32) if done else None
            valid = np.ones(shape[:2], bool) if done else None
            reason = "" if done else f"why {number}"
            given.append(ClipResult(reader.entry(key), key, status, reason, values, valid))
        before = dict(self.column)
        # Of several results for one clip the first counts, so it is entered last.
        for place, result in reversed(list(enumerate(given))):
            if before[result.key][0] != DONE:
                self.column[result.key] = (result.status, float(100 * at + place))
        cache.write({"c": given})

    def reset(self, cache: Cache, numbers: list[int]) -> None:
        keys = [f"s/{n}" for n in numbers if f"s/{n}" in self.clips]
        cache.reset("c", keys)
        self.column |= dict.fromkeys(keys, (PENDING, 0.0))

    def check(self, cache: Cache) -> None:
        reader = cache.snapshot()
        column = reader.column("c")
        assert sorted(reader.keys) == sorted(self.clips)
        for key, (status, number) in self.column.items():
            assert reader.rows(key) == self.clips[key][1]
            assert column.statuses([key]).tolist() == [status]
            why = f"why {number}" if status in (FAILED, ABSENT) else ""
            assert column.reasons([key]) == [why]
            if status == DONE:
                assert np.unique(column.read(key).values).tolist() == [number]
                assert column.read(key).valid.all()


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(operation, min_size=2, max_size=6))
def test_the_cache_is_a_dict(operations):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lock = folder / "lock"
        cache = Cache.open(str(folder / "cache"), dataset="s", lock_path=lock, create=True)
        cache.ensure_column("c", SPEC, "f" * 64, {})
        model = Model()
        model.index(cache, {0: 1, 1: 1})
        for at, (what, argument) in enumerate(operations, start=1):
            if what == "index":
                model.index(cache, argument)
            elif what == "write":
                model.write(cache, argument, at)
            elif what == "reset":
                model.reset(cache, argument)
            else:
                cache.gc()
        model.check(cache)
        assert cache.verify() == []
