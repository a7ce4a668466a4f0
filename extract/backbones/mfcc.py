"""MFCC: 2D3MF's audio baseline, 10 coefficients × 87 frames for each whole second."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._mel_bands import MelBands
from extract.backbones.base import AudioBlock, Backbone, Slots, Span, register

SAMPLE_RATE_HZ = 44_100
COEFFICIENTS = 10
HOP = 512
FRAMES = 1 + SAMPLE_RATE_HZ // HOP  # 87, the first and the last centred on the second's ends
BANDS = MelBands(sample_rate_hz=SAMPLE_RATE_HZ, bands=128, fft_size=2048, window_size=2048)
FLOOR = 1e-10
RANGE_DB = 80.0
SLACK_SECONDS = 0.025
"""How much of a second may lack sound: codecs drop up to a frame (23 ms) at a file's ends."""


def _cosines() -> NDArray[np.float64]:
    """The first rows of the orthonormal cosine transform (DCT-II), [coefficients, bands]."""
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS.bands)[None]
    rows = np.cos(np.pi * k * (2 * n + 1) / (2 * BANDS.bands)) * np.sqrt(2 / BANDS.bands)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, dtype=np.float64)


COSINES = _cosines()


def second_mfcc(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC of one second, [44100] → [10, 87]; what librosa.feature.mfcc gives with n_mfcc=10."""
    half = BANDS.fft_size // 2
    power = BANDS.power(np.pad(samples, half), HOP)
    level = 10 * np.log10(np.maximum(power, FLOOR))
    level = np.maximum(level, level.max() - RANGE_DB)
    coefficients = np.einsum("km,mt->kt", COSINES, level)  # BLAS may add in another order
    return np.asarray(coefficients, dtype=np.float32)


@register("mfcc")
class Mfcc(Backbone):
    """Seconds that do not overlap, each by itself: no frame sees beyond its second.

    A second is valid if no more than 25 ms of it lack sound; the last partial second is not.
    """

    spec = BackboneSpec(
        name="mfcc",
        revision=1,
        modality="audio",
        summary="2D3MF: 10 MFCC × 87 frames for each whole second",
        rate_hz=1,
        shape=(COEFFICIENTS, FRAMES),
        audio=AudioInput(SAMPLE_RATE_HZ, block_seconds=60.0, lead_seconds=0.0, tail_seconds=0.0),
        options={
            "fft_size": BANDS.fft_size,
            "window_size": BANDS.window_size,
            "hop": HOP,
            "window": "hann-periodic",
            "mel_scale": "slaney",
            "mel_bands": BANDS.bands,
            "low_hz": 0,
            "high_hz": SAMPLE_RATE_HZ // 2,
            "floor_power": FLOOR,
            "range_db": RANGE_DB,
            "slack_seconds": SLACK_SECONDS,
        },
        source="2D3MF (MFCC baseline); the numbers are those of librosa.feature.mfcc 0.11",
    )

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        seconds = math.floor(len(block.samples) / SAMPLE_RATE_HZ + SLACK_SECONDS)
        if not seconds:
            raise AbsentError("too short for mfcc", accepted="a whole second of sound")
        first = round(block.start_seconds)
        values = np.zeros((seconds, COEFFICIENTS, FRAMES), dtype=np.float32)
        valid = np.array([_whole(first + i, block.covered) for i in range(seconds)], dtype=bool)
        filled = np.pad(block.samples, (0, SAMPLE_RATE_HZ))
        for i in np.flatnonzero(valid):
            values[i] = second_mfcc(filled[i * SAMPLE_RATE_HZ : (i + 1) * SAMPLE_RATE_HZ])
        return Slots(first, values, valid)


def _whole(second: int, covered: tuple[Span, ...]) -> bool:
    sound = sum(max(0.0, min(end, second + 1) - max(start, second)) for start, end in covered)
    return sound >= 1 - SLACK_SECONDS
