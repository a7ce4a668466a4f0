"""mel against librosa, against its own definition, and in time."""

from __future__ import annotations

import numpy as np

from extract.backbones._mel_bands import MelBands
from extract.backbones.base import AudioBlock
from extract.backbones.mel import BANDS, Mel

RATE = 16_000


def whole(sound: np.ndarray) -> AudioBlock:
    end = len(sound) / RATE
    return AudioBlock(sound.astype(np.float32), RATE, 0.0, (0.0, end), ((0.0, end),))


def test_bands_equal_librosas_filters(librosa):
    for bands in (BANDS, MelBands(44_100, 128, 2048, 2048)):
        expected = librosa.filters.mel(
            sr=bands.sample_rate_hz, n_fft=bands.fft_size, n_mels=bands.bands
        )
        np.testing.assert_allclose(bands.triangles, expected, atol=1e-8)


def test_frames_equal_librosas_melspectrogram_of_the_padded_sound(librosa):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 2 + 77).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=np.pad(sound, (176, 600)),  # frame 0 is centred on sample 80, the centre of slot 0
        sr=RATE,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=64,
    )
    found = Mel().audio(whole(sound)).values
    np.testing.assert_allclose(found, np.log10(power.T[: len(found)]), atol=1e-5)


def test_a_click_is_loudest_in_the_slot_it_falls_in():
    sound = np.zeros(RATE)
    sound[5 * 160 + 80] = 1.0
    level = Mel().audio(whole(sound)).values.mean(axis=1)
    assert np.argmax(level) == 5
    assert level[4] == level[6]


def test_a_tone_is_loudest_in_the_band_whose_triangle_holds_it():
    sound = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    found = Mel().audio(whole(sound)).values[50]
    weights = BANDS.triangles[:, 32]  # bin of 1,000 Hz: 32 × 31.25
    assert np.argmax(found) == np.argmax(weights)


def test_silence_is_the_floor():
    np.testing.assert_allclose(Mel().audio(whole(np.zeros(RATE))).values, -10, rtol=1e-6)


def test_a_partial_last_slot_is_valid_from_half_on():
    assert Mel().audio(whole(np.zeros(1_600 + 79))).valid.tolist() == [True] * 10 + [False]
    assert Mel().audio(whole(np.zeros(1_600 + 81))).valid.tolist() == [True] * 11
