"""Moments, rates, small pictures, sequences: each against plain numpy or scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from avfd.cache import Cache
from avfd.errors import FingerprintError, InputError
from classify.columns import CacheSource, Unit
from classify.features import MemorySource, Sequences, Slots, together
from classify.moments import at_rate, contrast, moments, shifts, small_pictures
from classify.windows import Windows, cut

RNG = np.random.default_rng(0)


def test_moments_are_mean_population_variance_and_fisher_kurtosis():
    values = RNG.gamma(2.0, size=(50, 4))
    mean, variance, kurtosis = moments(values, np.ones(50, bool)).reshape(3, 4)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(variance, values.var(axis=0))
    np.testing.assert_allclose(kurtosis, stats.kurtosis(values, axis=0, fisher=True, bias=True))


def test_moments_never_see_an_invalid_slot():
    values = RNG.normal(size=(20, 3))
    valid = np.arange(20) < 13
    wild = np.where(valid[:, None], values, np.inf)
    np.testing.assert_array_equal(moments(wild, valid), moments(values[:13], np.ones(13, bool)))


def test_a_constant_dimension_has_no_variance_and_no_kurtosis():
    values = np.full((30, 1), 0.1, dtype=np.float32)
    assert moments(values, np.ones(30, bool))[1:].tolist() == [0.0, 0.0]


def test_large_means_do_not_swallow_small_variances():
    values = 6e6 + np.tile([-1.0, 1.0], 50)[:, None]
    assert moments(values, np.ones(100, bool))[1] == pytest.approx(1.0)


def test_moments_of_nothing_are_nan():
    assert np.isnan(moments(np.ones((4, 2)), np.zeros(4, bool))).all()


def test_going_down_takes_means_of_the_valid_slots():
    values = np.arange(6.0).reshape(1, 6, 1)
    valid = np.array([[True, False, True, True, False, False]])
    slow, kept = at_rate(values, valid, 3)
    assert slow.ravel().tolist() == [0.0, 2.5, 0.0]
    assert kept.ravel().tolist() == [True, True, False]


def test_going_up_repeats():
    slow = np.array([[[1.0], [2.0]]])
    fast, valid = at_rate(slow, np.array([[True, False]]), 6)
    assert fast.ravel().tolist() == [1, 1, 1, 0, 0, 0]
    assert valid.ravel().tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("old", [1, 7, 10, 30, 87, 100])
@pytest.mark.parametrize("new", [1, 10, 30, 100])
def test_every_new_slot_holds_the_moment_it_stands_for(old, new):
    centres = ((np.arange(old) + 0.5) / old).reshape(1, old, 1)
    there, valid = at_rate(centres, np.ones((1, old), bool), new)
    assert valid.all()
    wanted = (np.arange(new) + 0.5) / new
    assert np.abs(there.ravel() - wanted).max() <= 0.5 / old + 0.5 / new


def test_small_pictures_are_the_means_of_equal_boxes():
    picture = RNG.integers(0, 256, size=(2, 32, 32, 3), dtype=np.uint8)
    small = small_pictures(picture, 16, gray=False).reshape(2, 16, 16, 3)
    wanted = picture.reshape(2, 16, 2, 16, 2, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(small, wanted, rtol=1e-5)


def test_a_grey_picture_keeps_its_grey_whatever_the_size():
    picture = np.full((1, 37, 23, 3), 51, dtype=np.uint8)
    np.testing.assert_allclose(small_pictures(picture, 16), 0.2, rtol=1e-5)


def _sequences(rows: list[int | None], rate: int = 4, dim: int = 2) -> Sequences:
    slots = [
        None if n is None else Slots(RNG.normal(size=(n, rate, dim)), np.ones((n, rate), bool))
        for n in rows
    ]
    return Sequences.of(MemorySource("m", slots, rate, dim))


def test_subsets_share_what_was_computed():
    sequences = _sequences([2, 3, None, 4])
    whole = sequences.vectors()
    index = np.array([3, 2, 0])
    np.testing.assert_array_equal(sequences[index].vectors(), whole[index])
    assert np.isnan(whole[2]).all()
    assert sequences[index].pieces is sequences.pieces
    assert sequences[index].covered.tolist() == [True, False, True]


def test_together_aligns_modalities_and_marks_the_missing_one():
    features = {"audio": _sequences([2, 2], rate=4), "video": _sequences([2, None], rate=2)}
    values, valid = together(features, 1, 4)
    assert values.shape == (8, 4)
    assert valid.all(axis=0).tolist() == [True, False]
    assert (values[:, 2:] == 0).all()


def test_slots_refuse_a_mask_of_another_shape():
    with pytest.raises(InputError, match="mask"):
        Slots(np.zeros((2, 3, 1)), np.ones((2, 4), bool))


@pytest.mark.parametrize("rows", range(1, 12))
@pytest.mark.parametrize(("window", "hop"), [(1, 1), (3, 2), (3, 3), (5, 1)])
def test_windows_see_every_second_and_never_leave_the_clip(rows, window, hop):
    spans = Windows(window, hop).spans(rows)
    assert {second for a, b in spans for second in range(a, b)} == set(range(rows))
    assert all(b - a == min(window, rows) for a, b in spans)
    assert len(set(spans)) == len(spans)


@pytest.mark.parametrize(("window", "hop"), [(0, None), (2, 3), (None, 1)])
def test_windows_that_skip_seconds_are_refused(window, hop):
    with pytest.raises(InputError):
        Windows(window, hop)


def _from_cache(home, units, column="compare2016"):
    cache = Cache.open(home.cache_url("d"), dataset="d", lock_path=home.lock_path("d"))
    return CacheSource({"d": cache.snapshot()}, column, units)


def _unit(*numbers: str) -> Unit:
    keys = tuple(f"d/{n}.mp4" for n in numbers)
    return Unit("d", keys, "g", "real")


def test_streamed_moments_equal_those_of_single_reads(av_home):
    source = _from_cache(av_home, [_unit("s03_1"), _unit("s00_0"), _unit("s11_3")])
    streamed = Sequences.of(source).vectors()
    for i in range(3):
        slots = source.read(i)
        alone = moments(slots.values.reshape(-1, 3), slots.valid.reshape(-1))
        np.testing.assert_array_equal(streamed[i], alone.astype(np.float32))


def test_clips_of_a_cluster_are_joined_in_their_order(av_home):
    parts = _from_cache(av_home, [_unit("s05_2"), _unit("s01_0")])
    joined = _from_cache(av_home, [_unit("s05_2", "s01_0")])
    wanted = np.concatenate([parts.read(0).values, parts.read(1).values])
    np.testing.assert_array_equal(joined.read(0).values, wanted)
    ((_, streamed),) = joined.iterate(np.array([0]))
    np.testing.assert_array_equal(streamed.values, wanted)


def test_a_clip_may_stand_in_two_clusters(av_home):
    units = [_unit("s05_2", "s01_0"), _unit("s01_0", "s02_0")]
    found = dict(_from_cache(av_home, units).iterate(np.array([0, 1])))
    assert sorted(found) == [0, 1]


def test_what_no_backbone_read_of_a_cluster_is_invalid_seconds(kit, tmp_path):
    clips = kit.make_clips("d", subjects=1, each=2)

    def first_only(clip, rows, rng):
        return kit.noise(clip, rows, rng) if clip.key.endswith("_0.mp4") else None

    home = kit.make_home(tmp_path, "d", clips, [kit.Column(kit.spec("c"), first_only)])
    source = _from_cache(home, [_unit("s00_0", "s00_1")], "c")
    valid = source.read(0).valid
    assert valid[:2].all()
    assert not valid[2:].any()
    assert len(valid) == source.rows[0] == 5


def test_pixel_columns_become_small_grey_pictures(kit, tmp_path):
    clips = kit.make_clips("d", subjects=1, each=2)
    spec = kit.spec("faces", "video", 2, shape=(32, 32, 3), dtype="uint8")

    def grey(clip, rows, rng):
        return kit.Content(np.full((rows, 2, 32, 32, 3), 102))

    home = kit.make_home(tmp_path, "d", clips, [kit.Column(spec, grey)])
    slots = _from_cache(home, [_unit("s00_0")], "faces").read(0)
    assert slots.values.shape == (2, 2, 256)
    np.testing.assert_allclose(slots.values, 0.4, rtol=1e-5)


def test_columns_of_unlike_fingerprints_are_not_pooled(kit, tmp_path):
    readers = {}
    for name, fingerprint in (("a", "1" * 64), ("b", "2" * 64)):
        column = kit.Column(kit.spec("c"), kit.noise, fingerprint)
        home = kit.make_home(tmp_path, name, kit.make_clips(name, 1, 2), [column])
        url, lock = home.cache_url(name), home.lock_path(name)
        readers[name] = Cache.open(url, dataset=name, lock_path=lock).snapshot()
    with pytest.raises(FingerprintError, match=r"found: 2{64}; accepted: 1{64}"):
        CacheSource(readers, "c", [])


def test_pooled_data_sets_give_every_clip_its_own_numbers(kit, tmp_path):
    readers, units = {}, []
    for name in ("d", "e"):
        clips = kit.make_clips(name, 3, 2)
        home = kit.make_home(tmp_path, name, clips, [kit.Column(kit.spec("c"), kit.noise)])
        url, lock = home.cache_url(name), home.lock_path(name)
        readers[name] = Cache.open(url, dataset=name, lock_path=lock).snapshot()
        units += [Unit(name, (c.key,), "g", c.label) for c in clips]
    mixed = [units[i] for i in np.random.default_rng(0).permutation(len(units))]
    pooled = Sequences.of(CacheSource(readers, "c", mixed)).vectors()
    for unit, vector in zip(mixed, pooled, strict=True):
        alone = CacheSource({unit.dataset: readers[unit.dataset]}, "c", [unit])
        np.testing.assert_array_equal(Sequences.of(alone).vectors()[0], vector)


def test_windows_are_cut_at_the_same_seconds_in_all_modalities(av_home):
    from classify.features import Samples

    units = [_unit("s00_2"), _unit("s01_1")]
    samples = Samples(
        keys=("a", "b"),
        datasets=("d", "d"),
        groups=("g", "g"),
        y=np.array([0, 1]),
        features={
            "audio": Sequences.of(_from_cache(av_home, units)),
            "video": Sequences.of(_from_cache(av_home, units, "face_track")),
        },
    )
    windows = cut(samples, Windows(2, 1))
    audio, video = windows.samples.features.values()
    np.testing.assert_array_equal(audio.spans, video.spans)
    whole = samples.features["audio"].read(0)
    np.testing.assert_array_equal(audio.read(1).values, whole.values[1:3])
    assert windows.samples.y.tolist() == [windows.owner[i] for i in range(len(windows.owner))]


def test_two_levels_shift_by_their_shares_times_their_difference() -> None:
    values = np.array([[1.0, 5.0]] * 3 + [[4.0, 5.0]] * 2 + [[1.0, 5.0]] * 5)
    found = shifts(np.concatenate([values, [[99.0, 99.0]]]), np.array([True] * 10 + [False]))
    share, apart = 0.2, 3.0
    deviation = apart * np.sqrt(share * (1 - share))
    wanted = share * (1 - share) * apart
    np.testing.assert_allclose(found, [wanted, 0.0, wanted / deviation, 0.0])
    assert np.isnan(shifts(values, np.zeros(10, bool))).all()


def test_contrast_is_a_stretch_against_the_whole_clip() -> None:
    values = np.array([[0.0], [0.0], [4.0], [0.0], [7.0]])
    valid = np.array([True, True, True, True, False])
    np.testing.assert_allclose(contrast(values, valid, 2, 3), [3.0, 3.0 / np.sqrt(3.0)])
    np.testing.assert_allclose(contrast(values, valid, 0, 2), [1.0, 1.0 / np.sqrt(3.0)])
    assert np.isnan(contrast(values, valid, 4, 5)).all()


def test_kinds_of_vectors_stand_side_by_side_and_a_window_knows_its_clip() -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    source = MemorySource("c", [Slots(values, np.ones((4, 2), bool))], 2, 3)
    pieces = Sequences.of(source).cut(np.array([[0, 0, 2], [0, 2, 4]]))
    both = pieces.vectors("moments+contrast")
    assert both.shape == (2, 9 + 6)
    np.testing.assert_array_equal(both[:, :9], pieces.vectors())
    np.testing.assert_array_equal(both[:, 9:12], np.full((2, 3), 6.0))
    assert pieces.vectors("shifts").shape == (2, 6)
