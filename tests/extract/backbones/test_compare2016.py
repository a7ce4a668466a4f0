"""compare2016 and its functionals against openSMILE's own Python interface."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from avfd.errors import AbsentError, MissingError
from extract.backbones import _compare, _opensmile
from extract.backbones.base import AudioBlock
from extract.backbones.compare2016 import CONFIG, LEVEL, Compare2016
from extract.backbones.compare2016_functionals import Compare2016Functionals

RATE = 16_000
VOICING_DELTAS = range(65, 71)

opensmile = pytest.importorskip("opensmile")


def voice(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (140 * t + 4 * np.sin(2 * np.pi * 1.1 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 10))
    breath = np.random.default_rng(3).standard_normal(len(t))
    return (0.15 * tone * np.clip(np.sin(14 * t) + 0.4, 0, None) + 0.01 * breath).astype("f4")


def whole(sound: np.ndarray) -> AudioBlock:
    end = len(sound) / RATE
    return AudioBlock(sound, RATE, 0.0, (0.0, end), ((0.0, end),))


def smile(sound: np.ndarray, level: str) -> np.ndarray:
    extractor = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel(level), sampling_rate=RATE
    )
    return extractor.process_signal(sound, RATE).to_numpy()


@pytest.mark.parametrize("seconds", [0.06, 1.0, 3.0, 4.4321])
def test_one_pass_equals_opensmiles_two_passes_bit_for_bit(seconds):
    sound = voice(seconds)
    slots = Compare2016().audio(whole(sound))
    descriptors, deltas = smile(sound, "lld"), smile(sound, "lld_de")
    np.testing.assert_array_equal(slots.values[:, :65], descriptors)
    np.testing.assert_array_equal(slots.values[:, 65:], deltas[: len(descriptors)])


@pytest.fixture
def together(monkeypatch):
    """A worker that makes both columns."""
    monkeypatch.setattr(_compare.COMPARE, "wanted", {LEVEL, "func"})
    monkeypatch.setattr(_compare.COMPARE, "_kept", {})


@pytest.mark.parametrize("first", [0, 1])
def test_both_columns_in_one_worker_are_one_run_with_the_same_rows(first, together, monkeypatch):
    sounds = [voice(1.0), voice(2.3), voice(0.5)]
    backbones = [Compare2016(), Compare2016Functionals()]
    _compare.COMPARE.wanted.clear()
    alone = [[b.audio(whole(sound)).values for b in backbones] for sound in sounds]
    for backbone in backbones:
        backbone.load({})
    runs = []
    run = _opensmile._run
    monkeypatch.setattr(_opensmile, "_run", lambda *given: runs.append(0) or run(*given))
    order = [first, 1 - first]
    for sound, expected in zip(sounds, alone, strict=True):
        for i in order:
            found = backbones[i].audio(whole(sound)).values
            np.testing.assert_array_equal(found, expected[i])
    assert len(runs) == len(sounds)


def test_rows_that_were_left_are_not_another_sounds(together):
    before, after = voice(1.0), voice(2.0)
    Compare2016().audio(whole(before))
    found = Compare2016Functionals().audio(whole(after)).values
    np.testing.assert_array_equal(found, smile(after, "func"))


def test_long_sounds_are_each_columns_own(together, monkeypatch):
    monkeypatch.setattr(_compare, "TOGETHER_SAMPLES", RATE)
    sound = voice(1.5)
    np.testing.assert_array_equal(
        Compare2016Functionals().audio(whole(sound)).values, smile(sound, "func")
    )
    assert not _compare.COMPARE._kept


def test_columns_stand_in_the_published_order():
    root = _opensmile.config_root()
    names = opensmile.Smile(str(root / CONFIG), LEVEL).feature_names
    assert names[0] == "F0final_sma"
    assert names[64] == "mfcc_sma[14]"
    assert [names[i] for i in VOICING_DELTAS] == [f"{name}_de" for name in names[:6]]


@pytest.mark.parametrize(("seconds", "rows"), [(1, 96), (3, 296)])
def test_rows_are_as_many_as_opensmile_gives(seconds, rows):
    slots = Compare2016().audio(whole(voice(seconds)))
    assert slots.values.shape == (rows, 130)
    assert slots.valid.all()


def test_under_sixty_milliseconds_is_absent():
    with pytest.raises(AbsentError, match="too short"):
        Compare2016().audio(whole(voice(1)[:959]))
    assert len(Compare2016().audio(whole(voice(1)[:960])).values) == 2


def test_segments_differ_from_the_whole_in_the_deltas_of_voicing_only():
    sound = voice(16)
    segment = AudioBlock(sound[2 * RATE : 15 * RATE], RATE, 2.0, (12.0, 14.0), ((2.0, 15.0),))
    part, full = Compare2016().audio(segment), Compare2016().audio(whole(sound))
    assert part.first_slot == 1_200
    assert len(part.values) == 200
    differs = (part.values != full.values[1_200:1_400]).any(axis=0)
    assert set(np.flatnonzero(differs)) <= set(VOICING_DELTAS)


def test_full_scale_is_cut_off_instead_of_wrapped_around():
    samples = np.array([1.0, -1.0, 1.5, -1.5, 0.99999, 1e-5], dtype=np.float32)
    expected = [32767, -32768, 32767, -32768, 32767, 0]
    np.testing.assert_array_equal(_opensmile.to_pcm16(samples), expected)


def test_functionals_equal_opensmile_on_the_whole_signal():
    sound = voice(3.3)
    slots = Compare2016Functionals().audio(whole(sound))
    assert slots.values.shape == (1, 6373)
    np.testing.assert_array_equal(slots.values, smile(sound, "func"))
    np.testing.assert_array_equal(slots.valid, [True])


def test_without_opensmile_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(MissingError, match=r"pip install 'avfd\[opensmile\]'"):
        Compare2016().audio(whole(voice(1)))
