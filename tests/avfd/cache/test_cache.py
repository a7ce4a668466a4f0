"""The contract of `Cache` and `Reader` in one process."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import zarr

from avfd.cache import Cache, ClipResult
from avfd.cache.store import BRANCH
from avfd.errors import CacheError, FingerprintError, InputError, MissingError, StoreError
from avfd.specs import ABSENT, DONE, FAILED, BackboneSpec


def test_what_is_written_is_read_back_bit_for_bit(cache, make):
    report = cache.write({"mel": [make.done(i) for i in (7, 3, 1, 2)]})
    reader = cache.snapshot()
    column = reader.column("mel")
    assert (report.written, report.skipped, report.snapshot_id) == (4, 0, reader.snapshot_id)
    for i in (1, 2, 3, 7):
        data = column.read(make.key(i))
        np.testing.assert_array_equal(data.values, make.values(i), strict=True)
        np.testing.assert_array_equal(data.valid, make.valid(i), strict=True)
    assert column.statuses(reader.keys).tolist() == [0, 1, 1, 1, 0, 0, 0, 1, 0, 0]


def test_the_reader_tells_the_facts(cache, make):
    column = cache.snapshot().column("mel")
    assert (column.rate_hz, column.shape, column.dtype) == (4, (5,), np.float32)
    assert (column.fingerprint, column.clip_level) == ("f" * 64, False)
    assert column.spec_facts["licence"] == "MIT"
    assert column.spec_facts["versions"] == {"numpy": np.__version__}
    assert column.spec_facts["spec"]["name"] == "mel"
    assert cache.snapshot().rows(make.key(4)) == make.rows


def test_a_column_learns_which_clips_trained_its_network_and_forgets_none(cache, make):
    def ensure(fingerprint="f" * 64, **facts):
        cache.ensure_column("mel", make.spec, fingerprint, facts)
        return cache.snapshot().column("mel").spec_facts

    first = ensure(training_keys=[], training_media=[])
    assert "training_keys" not in first
    weights = {"net": {"origin": "trained here"}}
    told = ensure(training_keys=["b", "a"], training_media=["m"], weights=weights)
    assert (told["training_keys"], told["training_media"]) == (["a", "b"], ["m"])
    assert told["weights"] == weights
    assert told["versions"] == first["versions"]
    assert ensure(training_keys=["c", "a"])["training_keys"] == ["a", "b", "c"]
    before = cache.snapshot().snapshot_id
    assert ensure(training_keys=["a"], weights={})["training_keys"] == ["a", "b", "c"]
    assert cache.snapshot().snapshot_id == before
    cache.write({"mel": [make.done(1)]})
    with pytest.raises(FingerprintError):
        ensure("a" * 64, training_keys=["d"])
    assert cache.snapshot().column("mel").spec_facts["training_keys"] == ["a", "b", "c"]


def test_failed_and_absent_keep_their_reasons(cache, make):
    results = [
        ClipResult(2, make.key(2), FAILED, "cut short at 0.3 s"),
        ClipResult(4, make.key(4), ABSENT, "kein Gesicht: ü"),
    ]
    cache.write({"mel": results})
    column = cache.snapshot().column("mel")
    keys = [make.key(i) for i in (4, 2, 0)]
    assert column.reasons(keys) == ["kein Gesicht: ü", "cut short at 0.3 s", ""]
    assert column.statuses(keys).tolist() == [ABSENT, FAILED, 0]
    with pytest.raises(CacheError, match="failed: cut short"):
        column.read(make.key(2))


def test_done_is_never_written_again_and_failed_may_be(cache, make):
    cache.write({"mel": [make.done(1), ClipResult(2, make.key(2), FAILED, "lost disk")]})
    other = ClipResult(1, make.key(1), DONE, "", make.values(9), make.valid(9))
    report = cache.write({"mel": [other, make.done(2)]})
    column = cache.snapshot().column("mel")
    assert (report.written, report.skipped) == (1, 1)
    np.testing.assert_array_equal(column.read(make.key(1)).values, make.values(1))
    assert column.reasons([make.key(2)]) == [""]


def test_nothing_to_write_makes_no_commit(cache, make):
    first = cache.write({"mel": [make.done(1)]})
    assert cache.write({"mel": [make.done(1)]}).snapshot_id == first.snapshot_id
    assert cache.write({}).snapshot_id == first.snapshot_id


def test_a_result_for_another_clip_is_dropped(cache, make):
    stranger = make.done(3, name="set/another.mp4")
    beyond = make.done(99)
    assert cache.write({"mel": [stranger, beyond]}).skipped == 2


def test_two_columns_share_one_commit(cache, make):
    cache.ensure_column("functionals", make.clip_spec, "a" * 64, {})
    vector = np.arange(5, dtype=np.float32)
    cache.write(
        {
            "mel": [make.done(5)],
            "functionals": [ClipResult(i, make.key(i), DONE, "", vector + i) for i in (5, 0, 9)],
        }
    )
    reader = cache.snapshot()
    column = reader.column("functionals")
    assert reader.columns == ["functionals", "mel"]
    assert column.clip_level
    np.testing.assert_array_equal(column.read(make.key(9)).values, vector + 9)
    got = {key: data.values.tolist() for key, data in column.iterate([make.key(9), make.key(0)])}
    assert got == {make.key(0): vector.tolist(), make.key(9): (vector + 9).tolist()}


def test_iterate_goes_in_storage_order(cache, make):
    cache.write({"mel": [make.done(i) for i in range(10)]})
    wanted = [make.key(i) for i in (8, 2, 3, 9)]
    got = list(cache.snapshot().column("mel").iterate(wanted))
    assert [key for key, _ in got] == [make.key(i) for i in (2, 3, 8, 9)]
    for (_, data), i in zip(got, (2, 3, 8, 9), strict=True):
        np.testing.assert_array_equal(data.values, make.values(i))
        np.testing.assert_array_equal(data.valid, make.valid(i))


def test_iterate_across_chunks_and_blocks(cache, make, monkeypatch):
    monkeypatch.setattr("avfd.cache.layout.CHUNK_BYTES", 1)
    monkeypatch.setattr("avfd.cache.layout.VALID_CHUNK_BYTES", 1)
    monkeypatch.setattr("avfd.cache.reader.BLOCK_BYTES", 200)
    monkeypatch.setattr("avfd.cache.chunks.BLOCK_BYTES", 200)
    monkeypatch.setattr("avfd.cache.layout.chunk_length", lambda *_: 2)
    cache.ensure_column("small", make.spec, "b" * 64, {})
    cache.write({"small": [make.done(i) for i in (0, 1, 4, 5, 6, 9)]})
    cache.write({"small": [make.done(i) for i in (2, 8)]})
    keys = [make.key(i) for i in (0, 1, 2, 4, 5, 6, 8, 9)]
    for (_, data), i in zip(
        cache.snapshot().column("small").iterate(keys), (0, 1, 2, 4, 5, 6, 8, 9), strict=True
    ):
        np.testing.assert_array_equal(data.values, make.values(i))
        np.testing.assert_array_equal(data.valid, make.valid(i))


def test_a_snapshot_stays_as_it_was(cache, make):
    before = cache.snapshot()
    cache.write({"mel": [make.done(1)]})
    assert before.column("mel").statuses([make.key(1)]).tolist() == [0]
    again = cache.snapshot(before.snapshot_id)
    assert again.column("mel").statuses([make.key(1)]).tolist() == [0]


def test_reset_makes_pending(cache, make):
    cache.write({"mel": [make.done(1), ClipResult(2, make.key(2), FAILED, "broken")]})
    assert cache.reset("mel", [make.key(i) for i in (1, 2, 3)]) == 2
    column = cache.snapshot().column("mel")
    keys = [make.key(1), make.key(2)]
    assert column.statuses(keys).tolist() == [0, 0]
    assert column.reasons(keys) == ["", ""]


def test_another_fingerprint_is_refused_with_both(cache, make):
    cache.write({"mel": [make.done(1)]})
    with pytest.raises(FingerprintError, match=r"f{64}.*e{64}.*--as NAME"):
        cache.ensure_column("mel", make.spec, "e" * 64, {})


@pytest.mark.parametrize("name", ["clip", "", "a/b", ".hidden"])
def test_names_that_are_no_columns(cache, make, name):
    with pytest.raises(InputError, match="not a name for a column"):
        cache.ensure_column(name, make.spec, "f" * 64, {})


def test_missing_things_are_named(cache, make, tmp_path):
    reader = cache.snapshot()
    with pytest.raises(MissingError, match="accepted: mel"):
        reader.column("mfcc")
    with pytest.raises(MissingError, match=r"set/none\.mp4"):
        reader.rows("set/none.mp4")
    with pytest.raises(CacheError, match="pending"):
        reader.column("mel").read(make.key(0))
    with pytest.raises(MissingError, match="no such snapshot"):
        cache.snapshot("ZZZZZZZZZZZZZZZZZZZ0")
    with pytest.raises(MissingError, match="avfd index"):
        Cache.open(str(tmp_path / "none"), dataset="x", lock_path=tmp_path / "l")
    with pytest.raises(InputError, match="s3://"):
        Cache.open("ftp://host/x", dataset="x", lock_path=tmp_path / "l")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((2, 4, 5), np.float32)}, "values of another shape"),
        ({"values": np.zeros((3, 4, 5), np.float64)}, "float64"),
        ({"valid": np.zeros((3, 3), bool)}, "validity of another shape"),
        ({"valid": None}, "validity of another shape"),
        ({"values": None}, "not a finished result"),
    ],
)
def test_values_that_do_not_fit_are_refused_whole(cache, make, change, message):
    given = {"values": make.values(1), "valid": make.valid(1), **change}
    head = cache.snapshot().snapshot_id
    with pytest.raises(InputError, match=message):
        cache.write({"mel": [make.done(0), ClipResult(1, make.key(1), DONE, **given)]})
    assert cache.snapshot().snapshot_id == head


def test_an_unknown_version_is_refused(cache, open_cache):
    session = cache._store.repository.writable_session(BRANCH)
    zarr.open_group(session.store, mode="r+").attrs["version"] = 2
    session.commit("from the future")
    with pytest.raises(CacheError, match=r"version 2.*accepted: avfd-cache version 1"):
        open_cache()


def test_arrays_are_raw_with_checksums_or_zstd_where_asked(cache, make):
    pixels = BackboneSpec("faces", 1, "video", "x", 1, (2, 2, 3), dtype="uint8", compress=True)
    cache.ensure_column("faces", pixels, "c" * 64, {})
    root = cache._store.read(cache.snapshot().snapshot_id)
    names = lambda path: [type(codec).__name__ for codec in root[path].metadata.codecs]  # noqa: E731
    assert names("mel/embedding") == ["BytesCodec", "Crc32cCodec"]
    assert names("faces/embedding") == ["BytesCodec", "ZstdCodec", "Crc32cCodec"]
    assert all(codecs[-1] == "Crc32cCodec" for codecs in map(names, ("clip", "mel/reason")))


def test_tags_name_snapshots_once(cache):
    head = cache.snapshot().snapshot_id
    cache.tag("run-1", head)
    assert cache.tags() == {"run-1": head}
    with pytest.raises(InputError, match="the tag exists"):
        cache.tag("run-1", head)
    with pytest.raises(InputError, match="cannot be tagged"):
        cache.tag("run-2", "ZZZZZZZZZZZZZZZZZZZ0")
    cache.untag("run-1")
    assert cache.tags() == {}
    with pytest.raises(MissingError, match="no such tag"):
        cache.untag("run-1")


def test_a_store_that_cannot_be_written_loses_nothing(cache, make):
    cache.write({"mel": [make.done(0)]})
    # A limit on file size makes the system refuse the 2 MiB chunk as a full disk would.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreError, match="see that the disk has space"):
            cache.write({"mel": [make.done(1)]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    column = cache.snapshot().column("mel")
    assert column.statuses([make.key(0), make.key(1)]).tolist() == [1, 0]
    np.testing.assert_array_equal(column.read(make.key(0)).values, make.values(0))
    assert cache.write({"mel": [make.done(1)]}).written == 1
    assert cache.verify() == []


def test_clips_of_other_files_under_the_same_keys_are_refused(cache, make):
    reader = cache.snapshot()
    sizes = {make.key(i): 100 + i for i in range(3)}
    reader.check_media({**sizes, "set/not entered.mp4": 1})
    with pytest.raises(CacheError, match=r"1 clips .* 101 bytes in the cache, 7 in the clip table"):
        reader.check_media({**sizes, make.key(1): 7})
