"""mfcc-iat against numbers that librosa gave, and against librosa on whole clips."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from avfd.errors import AbsentError
from extract.backbones.base import AudioBlock
from extract.backbones.mfcc_iat import MfccIat, MfccIatOptions

RATE = 22_050
SPAN = 79_380
# librosa 0.11, n_mfcc=10, of 3.6 s of the chirp below: column 78.
GOLDEN = [-506.610, 51.598, 5.522, -24.126, -21.540, -8.951, -16.194, -42.720, -56.831, -33.015]


def made(output: str) -> MfccIat:
    return MfccIat(MfccIatOptions(output))


def chirp(samples: int = SPAN) -> np.ndarray:
    t = np.arange(samples) / RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 * t + 90 * t**2))
    return (sweep + 0.1 * np.sin(2 * np.pi * 1234.5 * t)).astype(np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).uniform(-0.5, 0.5, samples)
    return (drawn * np.linspace(0.2, 1, samples)).astype(np.float32)


def block(sound: np.ndarray, start: float = 0.0, core: tuple[float, float] | None = None):
    end = start + len(sound) / RATE
    return AudioBlock(sound, RATE, start, core or (start, end), ((start, end),))


def nearest(whole: np.ndarray, second: int) -> np.ndarray:
    """The frames of a clip next to the 43 moments of a second."""
    moments = second + (np.arange(43) + 0.5) / 43
    return np.abs(np.arange(whole.shape[1]) * 512 / RATE - moments[:, None]).argmin(axis=1)


def test_a_clip_of_3_6_seconds_gives_the_golden_numbers():
    found = made("clip").audio(block(chirp())).values
    assert found.shape == (1, 10, 156)
    np.testing.assert_allclose(found[0][:, 78], GOLDEN, atol=1e-3)


@pytest.mark.parametrize("samples", [30_000, SPAN, SPAN + 1, 150_001])
def test_a_clip_is_filled_up_or_its_middle_is_taken(samples: int, librosa: ModuleType):
    sound = noise(samples)
    if samples < SPAN:
        seen = np.pad(sound, (0, SPAN - samples))
    else:  # as the published preparation cuts
        spare = samples - SPAN
        seen = sound[spare // 2 : samples - (spare - spare // 2)]
    expected = librosa.feature.mfcc(y=seen, sr=RATE, n_mfcc=10)
    found = made("clip").audio(block(sound)).values[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_a_span_begins_with_its_second_and_ends_in_silence(librosa: ModuleType):
    sound = noise(round(5.2 * RATE))
    slots = made("span").audio(block(sound))
    assert slots.values.shape == (5, 10, 156)
    for second, found in enumerate(slots.values):
        seen = sound[second * RATE :][:SPAN]
        seen = np.pad(seen, (0, SPAN - len(seen)))
        expected = librosa.feature.mfcc(y=seen, sr=RATE, n_mfcc=10)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_seconds_hold_the_frames_of_the_whole_clip(librosa: ModuleType):
    sound = noise(round(7.4 * RATE))
    whole = librosa.feature.mfcc(y=sound, sr=RATE, n_mfcc=10)
    slots = made("second").audio(block(sound))
    assert slots.values.shape == (7, 10, 43)
    for second, found in enumerate(slots.values):
        expected = whole[:, nearest(whole, second)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_the_range_is_that_of_3_6_seconds_around_the_second(librosa: ModuleType):
    quiet = 1e-6 * noise(8 * RATE)
    loud = quiet.copy()
    burst = slice(round(2.36 * RATE), round(2.45 * RATE))
    loud[burst] += noise(burst.stop - burst.start)
    found, alone = (made("second").audio(block(sound)).values for sound in (loud, quiet))
    heard = [not np.array_equal(one, other) for one, other in zip(found, alone, strict=True)]
    assert heard == [False, True, True, True, False, False, False, False]  # 0: to 2.3; 4: from 2.7
    whole = librosa.feature.mfcc(y=loud, sr=RATE, n_mfcc=10)
    np.testing.assert_allclose(found[2], whole[:, nearest(whole, 2)], rtol=1e-5, atol=1e-4)


def test_a_block_gives_its_core_only():
    sound = noise(9 * RATE)
    whole = made("second").audio(block(sound)).values
    part = made("second").audio(block(sound[1 * RATE : 8 * RATE], 1.0, (3.0, 6.0)))
    assert part.first_slot == 3
    np.testing.assert_allclose(part.values, whole[3:6], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("output", ["second", "span"])
def test_under_a_second_is_absent(output: str):
    with pytest.raises(AbsentError, match="too short for mfcc-iat"):
        made(output).audio(block(chirp(20_000)))
