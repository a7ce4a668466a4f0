"""Columns held in memory, in a mapped file or read directly: always the same numbers."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from classify.columns import CacheSource, Unit
from classify.data import Opened
from classify.features import MemorySource, Sequences, Slots
from classify.held import Copied, Direct, View, held, hold, resized

SHAPE = (4, 6)


def source(dtype=np.float32) -> MemorySource:
    """Three clips of vectors (4, 6), twice a second; the second is not covered."""
    rng = np.random.default_rng(0)
    slots = [
        Slots(rng.normal(size=(n, 2, *SHAPE)).astype(dtype), rng.random((n, 2)) < 0.7)
        for n in (3, 1, 5)
    ]
    slots[1] = None
    return MemorySource("maps", slots, 2, 24, SHAPE)


def pictures() -> MemorySource:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, size=(2, 3, 8, 8, 3), dtype=np.uint8)
    return MemorySource("faces", [Slots(values, np.ones((2, 3), bool))], 3, 192, (8, 8, 3))


@pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
def test_what_is_held_is_what_was_there(memory_bytes):
    whole = source()
    kept = hold(whole, View(), memory_bytes)
    assert isinstance(kept, Copied)
    assert isinstance(kept.values, np.memmap) == (memory_bytes == 0)
    for sample in (0, 2):
        for first, stop in ((0, 2), (1, 3), (1, 99)):
            slots, wanted = kept.read(sample, first, stop), whole.native(sample, first, stop)
            np.testing.assert_array_equal(slots.values, wanted.values)
            np.testing.assert_array_equal(slots.valid, wanted.valid)
        np.testing.assert_array_equal(kept.validity(sample), whole.validity(sample))


def test_what_fits_nowhere_is_read_directly(monkeypatch):
    monkeypatch.setattr("classify.held.DISK_SHARE", 0.0)
    whole = source()
    kept = hold(whole, View(), memory_bytes=0)
    assert isinstance(kept, Direct)
    np.testing.assert_array_equal(kept.read(2, 1, 4).values, whole.native(2, 1, 4).values)
    np.testing.assert_array_equal(kept.validity(2), whole.validity(2))


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_numbers_keep_their_type(dtype):
    assert hold(source(dtype), View()).read(0, 0, 1).values.dtype == dtype


def test_all_subsets_share_one_copy_and_it_goes_with_the_source():
    sequences = Sequences.of(pictures())
    kept = held(sequences)
    assert held(sequences[np.array([0])]) is kept
    assert held(sequences, View(4)) is not kept
    gone = weakref.ref(kept)
    del sequences, kept
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
def test_pictures_are_resized_as_they_are_copied(memory_bytes):
    whole = pictures()
    kept = hold(whole, View(size_px=4), memory_bytes)
    assert isinstance(kept, Copied)
    assert kept.values.shape == (2, 3, 4, 4, 3)
    np.testing.assert_array_equal(
        kept.read(0, 0, 2).values, resized(whole.native(0, 0, 2).values, 4)
    )


def test_resizing_keeps_means_type_and_channels():
    flat = np.full((1, 2, 8, 6, 3), (10, 120, 250), dtype=np.uint8)
    small = resized(flat, 4)
    assert small.dtype == np.uint8
    assert (small == (10, 120, 250)).all()
    assert small.shape == (1, 2, 4, 4, 3)
    assert resized(flat[:0], 4).shape == (0, 2, 4, 4, 3)


def test_halving_a_ramp_takes_the_triangle_of_four():
    """Antialiased bilinear by two: weights 1, 3, 3, 1 over eight, fewer at the border."""
    ramp = np.arange(0, 240, 30, dtype=np.uint8)
    picture = np.tile(ramp[None, None, None, :, None], (1, 1, 8, 1, 3))
    inner = resized(picture, 4)[0, 0, 0, :, 0]
    assert inner[1] == (30 * 1 + 60 * 3 + 90 * 3 + 120 * 1) / 8
    assert inner[0] == round((0 * 3 + 30 * 3 + 60 * 1) / 7)


@pytest.fixture(scope="module")
def pixel_home(kit, tmp_path_factory):
    """Faces 8 × 8, twice a second; the clips _3 have none."""

    def faces(clip, rows, rng):
        if clip.key.endswith("_3.mp4"):
            return None
        values = rng.integers(0, 256, size=(rows, 2, 8, 8, 3))
        valid = rng.random((rows, 2)) < 0.8
        return kit.Content(values, valid)

    spec = kit.spec("faces", "video", 2, shape=(8, 8, 3), dtype="uint8")
    path = tmp_path_factory.mktemp("pixels")
    return kit.make_home(path, "d", kit.make_clips("d", 3, 4), [kit.Column(spec, faces)])


def joined_units(home):
    """Every person's four clips joined to one unit, and each clip alone."""
    keys = home_keys(home)
    people = [Unit("d", tuple(keys[i : i + 4]), "g", None) for i in range(0, 12, 4)]
    return people + [Unit("d", (key,), "g", None) for key in keys]


def home_keys(home):
    return Opened.at(home, ["d"]).readers["d"].keys


def test_a_cached_column_gives_its_own_shape_and_any_rows(pixel_home):
    opened = Opened.at(pixel_home, ["d"])
    units = joined_units(pixel_home)
    faces = CacheSource(opened.readers, "faces", units)
    assert faces.shape == (8, 8, 3)
    assert faces.dtype == np.uint8
    by_storage = dict(faces.iterate(np.flatnonzero(faces.covered), native=True))
    column = opened.readers["d"].column("faces")
    for sample, unit in enumerate(units):
        if not faces.covered[sample]:
            continue
        whole = faces.native(sample, 0, int(faces.rows[sample]))
        np.testing.assert_array_equal(by_storage[sample].values, whole.values)
        np.testing.assert_array_equal(faces.validity(sample), whole.valid)
        start = 0
        for key in unit.keys:
            rows = opened.readers["d"].rows(key)
            part = whole.values[start : start + rows]
            if key.endswith("_3.mp4"):
                assert not whole.valid[start : start + rows].any()
            else:
                np.testing.assert_array_equal(part, column.read(key).values)
            start += rows
        for first, stop in ((1, 2), (2, 7), (0, 99)):
            some = faces.native(sample, first, stop)
            np.testing.assert_array_equal(some.values, whole.values[first:stop])
            np.testing.assert_array_equal(some.valid, whole.valid[first:stop])
