"""Empty columns block nothing; columns and clips are dropped whole, and then collected."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avfd.cache import ClipResult, Dropped
from avfd.errors import CacheError, FingerprintError, InputError, MissingError
from avfd.specs import ABSENT, FAILED


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_column_without_a_result_is_defined_anew(cache, make):
    other = replace(make.spec, rate_hz=7)
    cache.ensure_column("mel", other, "e" * 64, {})
    column = cache.snapshot().column("mel")
    assert (column.fingerprint, column.rate_hz) == ("e" * 64, 7)
    assert column.statuses([make.key(i) for i in range(10)]).tolist() == [0] * 10


def test_it_is_defined_anew_in_one_commit(cache, make):
    before = cache.snapshot().snapshot_id
    cache.ensure_column("mel", make.clip_spec, "e" * 64, {})
    history = [each.id for each in cache._store.repository.ancestry(branch="main")]
    assert history.index(before) == 1


@pytest.mark.parametrize("status", [FAILED, ABSENT])
def test_one_failed_or_absent_clip_is_a_result(cache, make, status):
    cache.write({"mel": [ClipResult(2, make.key(2), status, "why")]})
    with pytest.raises(FingerprintError, match="other settings or weights"):
        cache.ensure_column("mel", make.spec, "e" * 64, {})


def test_nobody_writes_into_a_column_that_was_defined_anew_meanwhile(cache, open_cache, make):
    open_cache().ensure_column("mel", make.spec, "e" * 64, {})
    with pytest.raises(FingerprintError, match=r"defined anew.*while this ran"):
        cache.write({"mel": [make.done(0)]})
    assert cache.snapshot().column("mel").statuses([make.key(0)]).tolist() == [0]


def test_a_dropped_column_is_gone_and_its_bytes_are_freed(cache, make, tmp_path):
    cache.write({"mel": [make.done(i) for i in range(5)]})
    (dropped,) = cache.drop(["mel"])
    assert (dropped.column, dropped.clips) == ("mel", 5)
    assert cache.snapshot().columns == []
    gc.collect()
    assert cache.gc().bytes_freed >= dropped.bytes > 2**20
    assert size(tmp_path / "cache" / "chunks") < 2**20


def test_a_tagged_snapshot_keeps_a_dropped_column(cache, make):
    cache.write({"mel": [make.done(1)]})
    cache.tag("run-a", cache.snapshot().snapshot_id)
    cache.drop(["mel"])
    cache.gc()
    kept = cache.snapshot(cache.tags()["run-a"]).column("mel").read(make.key(1))
    np.testing.assert_array_equal(kept.values, make.values(1))


def test_an_unknown_column_is_refused_with_those_there_are_and_nothing_goes(cache, make):
    cache.ensure_column("functionals", make.clip_spec, "e" * 64, {})
    with pytest.raises(MissingError, match=r"nope: no such column.*accepted: functionals, mel"):
        cache.drop(["mel", "nope"])
    assert cache.snapshot().columns == ["functionals", "mel"]


def test_a_column_that_another_reads_goes_only_with_it(cache, make):
    reading = replace(make.clip_spec, name="over", reads="mel")
    cache.ensure_column("over", reading, "e" * 64, {})
    with pytest.raises(InputError, match=r"over is made from mel.*`avfd cache drop mel over`"):
        cache.drop(["mel"])
    cache.drop(["mel", "over"])
    assert cache.snapshot().columns == []


def test_dropped_clips_cannot_be_read_and_the_others_stay(cache, make):
    cache.write({"mel": [make.done(i) for i in range(5)]})
    assert cache.drop_clips([make.key(1), make.key(3), make.key(9)]) == [Dropped("mel", 2, None)]
    column = cache.snapshot().column("mel")
    assert column.statuses([make.key(i) for i in range(5)]).tolist() == [1, 0, 1, 0, 1]
    with pytest.raises(CacheError):
        column.read(make.key(1))
    np.testing.assert_array_equal(column.read(make.key(2)).values, make.values(2))


def test_nothing_of_a_dropped_clip_is_left_on_the_disk_after_a_collection(cache, make, tmp_path):
    cache.write({"mel": [make.done(i) for i in range(3)]})
    cache.drop_clips([make.key(1)])
    gc.collect()
    cache.gc()
    left = b"".join(p.read_bytes() for p in (tmp_path / "cache" / "chunks").iterdir())
    assert make.values(2).tobytes() in left
    assert make.values(1).tobytes() not in left


def test_retired_entries_of_a_dropped_clip_are_emptied_too(cache, make):
    cache.write({"mel": [make.done(1)]})
    cache.update_clips(make.entries(10, mtime_ns=2))
    assert cache.drop_clips([make.key(1)]) == [Dropped("mel", 1, None)]
    assert cache.gc().retired_clips == 0


def test_clips_are_dropped_from_the_named_columns_alone(cache, make):
    cache.ensure_column("again", make.spec, "e" * 64, {})
    cache.write({name: [make.done(1)] for name in ("mel", "again")})
    cache.drop_clips([make.key(1)], ["again"])
    reader = cache.snapshot()
    statuses = [int(reader.column(n).statuses([make.key(1)])[0]) for n in ("mel", "again")]
    assert statuses == [1, 0]


def test_a_clip_that_is_not_there_is_named_and_nothing_goes(cache, make):
    cache.write({"mel": [make.done(1)]})
    with pytest.raises(MissingError, match="1 of 2 clips are not in the cache; found: nobody"):
        cache.drop_clips([make.key(1), "nobody"])
    assert cache.snapshot().column("mel").statuses([make.key(1)]).tolist() == [1]
