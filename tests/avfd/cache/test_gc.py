"""Garbage collection frees what nobody needs and nothing else."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from avfd.cache import ClipResult, Entry
from avfd.errors import MissingError
from avfd.specs import DONE, BackboneSpec


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def rewritten(cache, make):
    """A cache with a commit for each of ten clips: nine old versions of every chunk."""
    for i in range(10):
        cache.write({"mel": [make.done(i)]})
    return cache


def check(reader, make, count=10):
    for i in range(count):
        np.testing.assert_array_equal(reader.column("mel").read(make.key(i)).values, make.values(i))


def test_old_versions_go_and_the_last_stays(rewritten, open_cache, make, tmp_path):
    before = size(tmp_path / "cache")
    expected = rewritten.gc(dry_run=True)
    assert size(tmp_path / "cache") == before
    report = rewritten.gc()
    assert report.bytes_freed == expected.bytes_freed > 0
    # Expiring writes the list of snapshots anew; its length varies with the random names in it.
    assert size(tmp_path / "cache") <= before - report.bytes_freed + 4096
    check(open_cache().snapshot(), make)
    assert open_cache().verify() == []


def test_what_would_be_freed_is_told_without_freeing_it(rewritten, tmp_path):
    before = size(tmp_path / "cache")
    told = rewritten.replaced_bytes()
    assert size(tmp_path / "cache") == before
    assert rewritten.gc().bytes_freed == told > 0
    assert rewritten.replaced_bytes() == 0


def test_bytes_are_near_raw_after_gc(open_cache, make, tmp_path):
    cache = open_cache()
    cache.update_clips([Entry(make.key(i), 10.0, 1, 1) for i in range(1000)])
    spec = BackboneSpec("wide", 1, "audio", "x", 1, (768,), "float16")
    cache.ensure_column("wide", spec, "f" * 64, {})
    block = np.random.default_rng(0).random((10, 1, 768)).astype("float16")
    ok = np.ones((10, 1), dtype=bool)
    for at in range(0, 1000, 250):
        results = [ClipResult(i, make.key(i), DONE, "", block, ok) for i in range(at, at + 250)]
        cache.write({"wide": results})
    cache.gc()
    # The last chunk is padded: compare with whole chunks, 1,024 rows each.
    raw = 10 * 1024 * 768 * 2
    assert size(tmp_path / "cache") <= 1.05 * raw


def test_an_open_reader_keeps_its_snapshot_until_it_is_gone(cache, make):
    cache.write({"mel": [make.done(i) for i in range(5)]})
    reader = cache.snapshot()
    snapshot_id = reader.snapshot_id
    for i in range(5, 10):
        cache.write({"mel": [make.done(i)]})
        assert cache.gc().readers == (snapshot_id,)
    check(reader, make, count=5)
    assert reader.column("mel").statuses([make.key(9)]).tolist() == [0]
    del reader
    gc.collect()
    assert cache.gc().readers == ()
    with pytest.raises(MissingError, match="no such snapshot"):
        cache.snapshot(snapshot_id)


def test_a_column_reader_alone_keeps_its_snapshot(cache, make):
    cache.write({"mel": [make.done(0)]})
    column = cache.snapshot().column("mel")
    cache.write({"mel": [make.done(1)]})
    gc.collect()
    cache.gc()
    np.testing.assert_array_equal(column.read(make.key(0)).values, make.values(0))


def test_a_tag_keeps_its_snapshot_and_dry_run_says_what_it_holds(cache, make):
    cache.write({"mel": [make.done(0)]})
    snapshot_id = cache.snapshot().snapshot_id
    cache.tag("run-a", snapshot_id)
    cache.write({"mel": [make.done(1)]})
    gc.collect()
    held = cache.gc(dry_run=True).tags["run-a"]
    cache.gc()
    assert cache.snapshot(snapshot_id).column("mel").read(make.key(0)).values.shape == (3, 4, 5)
    gc.collect()
    cache.untag("run-a")
    assert cache.gc().bytes_freed == held > 0


def test_rows_of_retired_clips_are_emptied(cache, make, tmp_path):
    cache.write({"mel": [make.done(i) for i in range(10)]})
    cache.update_clips(make.entries(10, mtime_ns=2))
    assert cache.gc(dry_run=True).retired_clips == 10
    before = size(tmp_path / "cache" / "chunks")
    assert cache.gc().retired_clips == 10
    # The one chunk of `embedding` is gone, not filled with zeros.
    assert before - size(tmp_path / "cache" / "chunks") > 2**20
    assert cache.gc().retired_clips == 0
    cache.write({"mel": [make.done(i + 10, name=make.key(i)) for i in range(10)]})
    values = cache.snapshot().column("mel").read(make.key(3)).values
    np.testing.assert_array_equal(values, make.values(13))


def test_live_neighbours_of_retired_clips_keep_their_rows(cache, make):
    cache.write({"mel": [make.done(i) for i in range(10)]})
    entries = make.entries(10)
    entries[4] = Entry(make.key(4), 3.0, 9999, 1)
    cache.update_clips(entries)
    assert cache.gc().retired_clips == 1
    for i in (3, 5):
        read = cache.snapshot().column("mel").read(make.key(i))
        np.testing.assert_array_equal(read.values, make.values(i))


def test_what_a_killed_writer_left_half_written_goes(cache, tmp_path):
    partial = tmp_path / "cache" / "chunks" / "HALFWRITTEN#1"
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(b"half")
    cache.gc()
    assert not partial.exists()
