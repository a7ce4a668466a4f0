"""mfcc against numbers that librosa gave, and librosa's steps written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import AbsentError
from extract.backbones.base import AudioBlock
from extract.backbones.mfcc import Mfcc, second_mfcc

RATE = 44_100
# librosa 0.11, n_mfcc=10, of the chirp below: column 43.
GOLDEN = [-516.185, 55.826, -15.053, -73.398, -77.638, -27.137, 39.063, 73.013, 53.447, -0.841]


def chirp() -> np.ndarray:
    t = np.arange(RATE) / RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t**2))
    return (sweep + 0.1 * np.sin(2 * np.pi * 1234.5 * t)).astype(np.float32)


def block(seconds: float, covered=None) -> AudioBlock:
    sound = np.resize(chirp(), round(seconds * RATE))
    return AudioBlock(sound, RATE, 0.0, (0.0, seconds), covered or ((0.0, seconds),))


def test_a_second_gives_the_golden_numbers():
    found = second_mfcc(chirp())
    assert found.shape == (10, 87)
    np.testing.assert_allclose(found[:, 43], GOLDEN, atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_second_equals_librosa(seed, librosa):
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, RATE).astype(np.float32)
    expected = librosa.feature.mfcc(y=sound, sr=RATE, n_mfcc=10)
    np.testing.assert_allclose(second_mfcc(sound), expected, rtol=1e-5, atol=1e-4)


def test_each_second_stands_by_itself():
    slots = Mfcc().audio(block(3.0))
    assert slots.values.shape == (3, 10, 87)
    for second in slots.values:
        np.testing.assert_array_equal(second, second_mfcc(chirp()))


@pytest.mark.parametrize(("seconds", "count"), [(2.0, 2), (2.9, 2), (2.97, 2), (2.98, 3)])
def test_a_partial_second_gives_nothing_but_a_codecs_frame_may_lack(seconds, count):
    slots = Mfcc().audio(block(seconds))
    assert slots.valid.tolist() == [True] * count


def test_a_gap_masks_the_seconds_it_touches():
    slots = Mfcc().audio(block(4.0, ((0.0, 1.5), (2.01, 4.0))))
    assert slots.valid.tolist() == [True, False, True, True]
    assert not slots.values[1].any()


def test_under_a_second_is_absent():
    with pytest.raises(AbsentError, match="too short for mfcc"):
        Mfcc().audio(block(0.9))
