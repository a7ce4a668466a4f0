"""Damage in chunk files is found, named and mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avfd.cache import ClipResult
from avfd.errors import CacheError, StoreError
from avfd.specs import FAILED


@pytest.fixture
def filled(open_cache, make, monkeypatch, tmp_path):
    """A cache of 40 clips in chunks of 8 rows, and the file of every chunk."""
    monkeypatch.setattr("avfd.cache.layout.chunk_length", lambda *_: 8)
    cache = open_cache()
    # Keys long enough that no chunk of them is stored inside the manifest.
    cache.update_clips(make.entries(40))
    cache.ensure_column("mel", make.spec, "f" * 64, {})
    cache.write({"mel": [make.done(i) for i in range(40)]})
    return cache


def chunk_file(folder: Path, content: bytes) -> Path:
    """The chunk file that holds those bytes."""
    found = [p for p in (folder / "cache" / "chunks").iterdir() if content in p.read_bytes()]
    assert len(found) == 1
    return found[0]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_a_damaged_chunk_is_named_and_mended(filled, open_cache, make, tmp_path, harm):
    # Rows 24-31 of `embedding`: clips 8, 9 and the first two rows of clip 10.
    harm(chunk_file(tmp_path, make.values(9).tobytes()))
    concerned = tuple(make.key(i) for i in (8, 9, 10))
    cache = open_cache()
    (bad,) = cache.verify()
    assert (bad.column, bad.array, bad.chunk, bad.keys) == ("mel", "embedding", 3, concerned)
    cache.verify(repair=True)
    assert cache.verify() == []
    reader = cache.snapshot()
    statuses = reader.column("mel").statuses(reader.keys)
    assert [reader.keys[i] for i in np.flatnonzero(statuses == 0)] == list(concerned)
    assert cache.write({"mel": [make.done(i) for i in range(40)]}).written == 3
    for key, data in cache.snapshot().column("mel").iterate(reader.keys):
        np.testing.assert_array_equal(data.values, make.values(reader.entry(key)))
        np.testing.assert_array_equal(data.valid, make.valid(reader.entry(key)))


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (flip, CacheError, "verify --repair"),
        (cut, CacheError, "verify --repair"),
        (Path.unlink, StoreError, "cannot be used"),
    ],
)
def test_reading_a_damaged_chunk_says_so(filled, open_cache, make, tmp_path, harm, error, words):
    harm(chunk_file(tmp_path, make.values(9).tobytes()))
    column = open_cache().snapshot().column("mel")
    with pytest.raises(error, match=words):
        column.read(make.key(9))
    with pytest.raises(error, match=words):
        list(column.iterate(open_cache().snapshot().keys))
    np.testing.assert_array_equal(column.read(make.key(20)).values, make.values(20))


def big_index(open_cache: Callable, make, tmp_path: Path):
    """A cache whose clip arrays and statuses fill chunk files of their own."""
    cache = open_cache()
    cache.update_clips(make.entries(1000))
    cache.ensure_column("mel", make.spec, "f" * 64, {})
    broken = ClipResult(7, make.key(7), FAILED, "cut " + "short " * 200)
    cache.write({"mel": [make.done(i, sha256="ab" * 32) for i in range(5)] + [broken]})
    return cache


def harmed(cache, make, path: str) -> None:
    """Flip a bit in chunk 0 of an array, found by what changes when it is rewritten."""
    chunks = Path(cache._store.url) / "chunks"
    before = set(chunks.iterdir())

    def rewrite(root) -> None:
        target = root[path].with_config({"write_empty_chunks": True})
        target[:] = target[:]

    cache._store.change("rewrite", rewrite)
    (new,) = set(chunks.iterdir()) - before
    flip(new)


def test_damaged_statuses_make_pending(open_cache, make, tmp_path):
    cache = big_index(open_cache, make, tmp_path)
    harmed(cache, make, "mel/status")
    (bad,) = cache.verify(repair=True)
    assert (bad.array, bad.chunk, len(bad.keys)) == ("status", 0, 1000)
    assert cache.verify() == []
    reader = cache.snapshot()
    assert not reader.column("mel").statuses(reader.keys).any()
    assert cache.write({"mel": [make.done(i) for i in range(1000)]}).written == 1000


@pytest.mark.parametrize("name", ["start", "rows", "alive"])
def test_clip_arrays_are_derived_again(open_cache, make, tmp_path, name):
    cache = big_index(open_cache, make, tmp_path)
    before = cache.snapshot().clips
    harmed(cache, make, name)
    (bad,) = open_cache().verify(repair=True)
    assert (bad.column, bad.array) == ("", name)
    assert cache.verify() == []
    after = cache.snapshot()
    # The last row count follows from nothing: that one entry is retired.
    known = 999 if name == "rows" else 1000
    assert len(after.keys) == known
    np.testing.assert_array_equal(after.clips.start, before.start)
    np.testing.assert_array_equal(after.clips.rows[:known], before.rows[:known])
    assert len(cache.update_clips(make.entries(1000)).added) == 1000 - known
    np.testing.assert_array_equal(
        cache.snapshot().column("mel").read(make.key(3)).values, make.values(3)
    )


@pytest.mark.parametrize("name", ["bytes", "mtime_ns", "sha256"])
def test_lost_facts_of_files_are_asked_again(open_cache, make, tmp_path, name):
    cache = big_index(open_cache, make, tmp_path)
    harmed(cache, make, name)
    cache.verify(repair=True)
    assert cache.verify() == []
    assert len(cache.snapshot().keys) == 1000


def test_lost_keys_are_indexed_anew(open_cache, make, tmp_path):
    cache = big_index(open_cache, make, tmp_path)
    harmed(cache, make, "clip")
    cache.verify(repair=True)
    assert cache.verify() == []
    assert cache.snapshot().keys == []
    assert len(cache.update_clips(make.entries(1000)).added) == 1000
    assert cache.snapshot().entry(make.key(0)) == 1000


def test_a_damaged_list_of_chunks_is_mended_like_the_chunks(filled, open_cache, make, tmp_path):
    """Each manifest of the last commit in turn: Icechunk cannot merge what it cannot read."""
    whole = tmp_path / "cache"
    kept = tmp_path / "kept"
    shutil.copytree(whole, kept)
    found = set()
    for manifest in sorted((kept / "manifests").iterdir()):
        shutil.rmtree(whole)
        shutil.copytree(kept, whole)
        flip(whole / "manifests" / manifest.name)
        found |= {bad.path for bad in open_cache().verify(repair=True)}
        cache = open_cache()
        assert cache.verify() == []
        cache.update_clips(make.entries(40))
        reader = cache.snapshot()
        assert sorted(reader.keys) == sorted(make.key(i) for i in range(40))
        again = [replace(make.done(i), entry=reader.entry(make.key(i))) for i in range(40)]
        cache.write({"mel": again})
        column = cache.snapshot().column("mel")
        for i in range(40):
            np.testing.assert_array_equal(column.read(make.key(i)).values, make.values(i))
    assert found >= {"mel/embedding", "mel/valid", "clip", "rows"}
