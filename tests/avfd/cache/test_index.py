"""What `update_clips` does to the clip arrays."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.cache import Entry
from avfd.errors import InputError

SHA = "ab" * 32


def test_rows_follow_the_seconds_and_lie_end_to_end(open_cache):
    cache = open_cache()
    lengths = (0.0, 1.49, 1.5, 10.02)
    cache.update_clips([Entry(f"s/{x}.mp4", x, 1, 1) for x in lengths])
    clips = cache.snapshot().clips
    assert clips.rows.tolist() == [1, 1, 2, 10]
    assert clips.start.tolist() == [0, 1, 2, 4]


def test_new_clips_are_appended_and_absent_ones_stay(cache, make):
    change = cache.update_clips([*make.entries(10)[2:], Entry("set/new.mp4", 1.0, 1, 1)])
    assert change.added == ["set/new.mp4"]
    assert change.unlisted == [make.key(0), make.key(1)]
    assert len(change.kept) == 8
    assert cache.snapshot().entry("set/new.mp4") == 10
    assert cache.snapshot().entry(make.key(0)) == 0


def test_the_same_index_makes_no_commit(cache, make):
    head = cache.snapshot().snapshot_id
    change = cache.update_clips(make.entries(10))
    assert (change.added, change.changed, len(change.kept)) == ([], [], 10)
    assert cache.snapshot().snapshot_id == head


def test_a_changed_file_retires_its_entry_and_gets_a_new_one(cache, make):
    cache.write({"mel": [make.done(i) for i in range(10)]})
    entries = make.entries(10)
    entries[4] = Entry(make.key(4), 7.0, 9999, 1)
    change = cache.update_clips(entries)
    reader = cache.snapshot()
    assert change.changed == [make.key(4)]
    assert reader.entry(make.key(4)) == 10
    assert reader.rows(make.key(4)) == 7
    assert reader.column("mel").statuses([make.key(4), make.key(5)]).tolist() == [0, 1]
    assert reader.keys.count(make.key(4)) == 1


def test_a_result_computed_before_the_change_is_dropped(cache, make):
    late = make.done(4)
    entries = make.entries(10)
    entries[4] = Entry(make.key(4), 3.0, 9999, 1)
    cache.update_clips(entries)
    report = cache.write({"mel": [late, make.done(10, name=make.key(4))]})
    assert (report.written, report.skipped) == (1, 1)
    read = cache.snapshot().column("mel").read(make.key(4))
    np.testing.assert_array_equal(read.values, make.values(10))


def test_touched_files_of_equal_content_are_kept(cache, make):
    cache.write({"mel": [make.done(i, sha256=SHA) for i in (0, 1)]})
    asked: list[str] = []

    def sha256_of(key: str) -> str:
        asked.append(key)
        return SHA if key == make.key(0) else "cd" * 32

    change = cache.update_clips(make.entries(10, mtime_ns=2), sha256_of)
    # Only of two is the digest known, and each is hashed once.
    assert sorted(asked) == sorted([make.key(0), make.key(1)])
    assert change.kept == [make.key(0)]
    assert len(change.changed) == 9
    again = cache.update_clips(make.entries(10, mtime_ns=2))
    assert len(again.kept) == 10


def test_one_key_twice_is_refused(cache, make):
    with pytest.raises(InputError, match="one clip key"):
        cache.update_clips([*make.entries(1), *make.entries(1)])


def test_index_leaves_columns_alone_and_shorter_means_pending(cache, make):
    cache.write({"mel": [make.done(0)]})
    before = cache._store.read(cache.snapshot().snapshot_id)["mel/status"].shape
    cache.update_clips(make.entries(15))
    reader = cache.snapshot()
    assert cache._store.read(reader.snapshot_id)["mel/status"].shape == before
    column = reader.column("mel")
    assert column.statuses(reader.keys).tolist() == [1] + [0] * 14
    assert column.reasons([make.key(14)]) == [""]
    cache.write({"mel": [make.done(14)]})
    np.testing.assert_array_equal(
        cache.snapshot().column("mel").read(make.key(14)).values, make.values(14)
    )


def test_many_clips_over_several_chunks(cache, monkeypatch):
    many = [Entry(f"big/{i}.mp4", 1.0 + i % 4, i, i) for i in range(40_000)]
    assert len(cache.update_clips(many).added) == 40_000
    reader = cache.snapshot()
    assert reader.entry("big/39999.mp4") == 40_009
    starts = reader.clips.start
    np.testing.assert_array_equal(np.diff(starts), reader.clips.rows[:-1])
