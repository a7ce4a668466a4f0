"""emobase2010: its 38 published descriptors against openSMILE, the 39th against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import AbsentError, MissingError
from extract.backbones import _opensmile, emobase2010
from extract.backbones.base import AudioBlock
from extract.backbones.emobase2010 import CONFIG, EDITS, UNUSED, Emobase2010, config, edited

RATE = 16_000
MFCC_15 = 16  # column: loudness, then mfcc 0 to 15
PITCH = [33, 35, 36, 37, 38]  # F0finEnv, F0final, jitter twice, shimmer: they see the threshold

opensmile = pytest.importorskip("opensmile")


def voice(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (170 * t + 5 * np.sin(2 * np.pi * 0.9 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 10))
    breath = np.random.default_rng(4).standard_normal(len(t))
    return (0.1 * tone * np.clip(np.sin(11 * t) + 0.2, 0, None) + 0.02 * breath).astype("f4")


def whole(sound: np.ndarray) -> AudioBlock:
    end = len(sound) / RATE
    return AudioBlock(sound, RATE, 0.0, (0.0, end), ((0.0, end),))


def smile(config_path: str, level: str, sound: np.ndarray) -> np.ndarray:
    return opensmile.Smile(config_path, level).process_signal(sound, RATE).to_numpy()


def test_there_are_39_a_slot_and_all_have_a_row_but_the_end():
    slots = Emobase2010().audio(whole(voice(3)))
    assert slots.values.shape == (295, 39)
    assert slots.valid.all()


def test_opensmile_reads_the_whole_edited_set_to_the_same_numbers(tmp_path):
    path = tmp_path / "emobase2010.conf"
    path.write_text(edited(), encoding="latin-1")
    sound = voice(3)
    np.testing.assert_array_equal(
        Emobase2010().audio(whole(sound)).values, smile(str(path), "lld", sound)
    )


def test_what_no_descriptor_needs_is_not_run():
    assert all(f"[{name}" in edited() and f"[{name}" not in config() for name in UNUSED)
    assert config().count("instance[") == edited().count("instance[") - len(UNUSED)


def test_only_pitch_differs_from_the_interspeech_2010_set():
    sound = voice(3)
    shipped = smile(str(_opensmile.config_root() / CONFIG), "lld", sound)
    ours = np.delete(Emobase2010().audio(whole(sound)).values, MFCC_15, axis=1)
    differs = np.flatnonzero((ours != shipped).any(axis=0))
    assert {i + (i >= MFCC_15) for i in differs} <= set(PITCH)


def test_mfcc_15_is_the_liftered_cosine_transform_of_the_mel_powers(tmp_path):
    """ln of 26 mel powers → DCT-II with weight sqrt(2 / 26) → sine lifter 22 → mean of three."""
    path = tmp_path / "emobase2010.conf"
    path.write_text(config(), encoding="latin-1")
    sound = voice(3)
    powers = smile(str(path), "mspec1", sound)
    n = np.arange(26)
    cosine = np.sqrt(2 / 26) * np.cos(np.pi * 15 * (n + 0.5) / 26)
    cepstrum = np.log(np.maximum(powers, 1e-8)) @ cosine * (1 + 11 * np.sin(np.pi * 15 / 22))
    smoothed = np.convolve(cepstrum, np.ones(3) / 3, mode="valid")
    ours = Emobase2010().audio(whole(sound)).values[:, MFCC_15]
    np.testing.assert_allclose(ours[1 : 1 + len(smoothed)][:280], smoothed[:280], atol=2e-3)


def test_the_first_row_comes_with_seventy_milliseconds():
    assert len(Emobase2010().audio(whole(voice(1)[:1_120])).values)
    with pytest.raises(AbsentError, match="too short"):
        Emobase2010().audio(whole(voice(1)[:1_119]))


def test_another_opensmile_than_the_one_that_was_edited_is_refused(monkeypatch):
    config.cache_clear()
    monkeypatch.setattr(emobase2010, "EDITS", {**EDITS, "no such line": "x"})
    with pytest.raises(MissingError, match="no such line"):
        config()
    config.cache_clear()
