"""mfcc-avt2 against numbers that python_speech_features 0.6 gave, and its steps written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fftpack import dct

from avfd import asks
from avfd.errors import AbsentError, InputError
from extract.backbones.base import AudioBlock
from extract.backbones.mfcc_avt2 import DEFAULT, MfccAvt2

RATE = 48_000
# Of the chirp below as 16-bit samples, 30 cepstra, 30 filters, 2,048 points: frame 10 as the
# published code asks (30 ms every 1/30 s), and frame 100 of 15 ms every 4 ms with np.hanning.
GOLDEN = {
    "code": (
        10,
        """
        70.67096 21.64875 -5.82274 -27.64751 -39.29085 -33.48743 -12.68244 8.34526 20.88461
        19.26373 10.486 0.94168 -3.46399 -4.7611 -4.97517 -5.95563 -6.49721 -5.10194 -1.06736
        2.81886 4.0633 2.42105 0.3696 0.23117 1.94464 3.16761 1.60692 -2.38687 -5.65275 -4.95565
        """,
    ),
    "paper": (
        100,
        """
        13.8923 41.54652 26.40582 -86.08997 -131.2892 -85.70484 8.97058 60.54141 61.69143 25.0269
        -7.58337 -28.28828 -20.6594 -8.2129 3.04725 -7.32808 -8.77961 -3.69728 5.27043 7.04172
        4.87115 -0.12383 -0.98384 0.8073 1.35073 -1.0914 -3.6867 -2.42092 0.42676 0.99929
        """,
    ),
}


def made(options: str) -> MfccAvt2:
    """As `mfcc-avt2:OPTIONS` asks."""
    return MfccAvt2(asks.bind(asks.parse(f"mfcc-avt2:{options}"), DEFAULT))


def chirp() -> np.ndarray:
    t = np.arange(RATE) / RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t**2))
    sound = (sweep + 0.1 * np.sin(2 * np.pi * 1234.5 * t)).astype(np.float32)
    return (np.round(sound * 32_768) / 32_768).astype(np.float32)


def block(sound: np.ndarray) -> AudioBlock:
    end = len(sound) / RATE
    return AudioBlock(sound, RATE, 0.0, (0.0, end), ((0.0, end),))


def reference(sound: np.ndarray, length: int, step: int, window: np.ndarray) -> np.ndarray:
    """The steps of python_speech_features one by one, in float64."""
    pcm = sound.astype(np.float64) * 32_768
    pcm = np.concatenate([pcm[:1], pcm[1:] - 0.97 * pcm[:-1]])
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 24_000 / 700), 32) / 2595) - 1)
    bins = np.floor(2049 * corners / RATE).astype(int)
    filters = np.zeros((30, 1025))
    for i in range(30):
        for j in range(bins[i], bins[i + 1]):
            filters[i, j] = (j - bins[i]) / (bins[i + 1] - bins[i])
        for j in range(bins[i + 1], bins[i + 2]):
            filters[i, j] = (bins[i + 2] - j) / (bins[i + 2] - bins[i + 1])
    rows = []
    for start in range(0, RATE - length + 1, step):
        frame = np.pad(pcm[start : start + length] * window, (0, 2048 - length))
        power = np.abs(np.fft.fft(frame)[:1025]) ** 2 / 2048
        rows.append(dct(np.log(filters @ power), type=2, norm="ortho"))
    return np.array(rows) * (1 + 11 * np.sin(np.pi * np.arange(30) / 22))


@pytest.mark.parametrize(("like", "frames"), [("code", 30), ("paper", 247)])
def test_a_second_gives_the_golden_numbers(like: str, frames: int):
    slots = made(f"like={like}").audio(block(chirp()))
    assert slots.values.shape == (1, frames, 30)
    row, numbers = GOLDEN[like]
    expected = [float(number) for number in numbers.split()]
    np.testing.assert_allclose(slots.values[0, row], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("ask", "length", "step", "window"),
    [
        ("like=code", 1440, 1600, np.ones(1440)),
        ("like=paper", 720, 192, np.hanning(720)),
        ("window_ms=20,step_ms=10,window=hanning", 960, 480, np.hanning(960)),
    ],
)
def test_every_step_written_out(ask: str, length: int, step: int, window: np.ndarray):
    sound = np.random.default_rng(2).normal(0, 0.1, RATE).astype(np.float32)
    found = made(ask).audio(block(sound)).values[0]
    expected = reference(sound, length, step, window)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_each_second_stands_by_itself():
    backbone = made("")
    slots = backbone.audio(block(np.resize(chirp(), round(3.4 * RATE))))
    assert slots.valid.tolist() == [True] * 3
    for second in slots.values:
        np.testing.assert_array_equal(second, backbone.cepstra(chirp()).astype(np.float32))


def test_silence_is_finite_and_a_partial_second_absent():
    assert np.isfinite(made("").audio(block(np.zeros(RATE, np.float32))).values).all()
    with pytest.raises(AbsentError, match="too short for mfcc-avt2"):
        made("").audio(block(chirp()[:40_000]))


def test_frames_that_do_not_fit_are_refused():
    for ask in ("window_ms=50", "window_ms=0", "step_ms=0.001"):
        with pytest.raises(InputError, match="does not fit into the transform"):
            made(ask)
