"""MFCC: 2D3MF's audio baseline, 10 coefficients × 87 frames for each whole second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._cepstra import FLOOR, RANGE_DB, Cepstra
from extract.backbones._mel_bands import MelBands
from extract.backbones._seconds import SLACK_SECONDS, whole_seconds
from extract.backbones.base import AudioBlock, Backbone, Slots, register

SAMPLE_RATE_HZ = 44_100
COEFFICIENTS = 10
HOP = 512
FRAMES = 1 + SAMPLE_RATE_HZ // HOP  # 87, the first and the last centred on the second's ends
BANDS = MelBands(sample_rate_hz=SAMPLE_RATE_HZ, bands=128, fft_size=2048, window_size=2048)
CEPSTRA = Cepstra(BANDS, HOP, COEFFICIENTS)


def second_mfcc(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC of one second, [44100] → [10, 87]; what librosa.feature.mfcc gives with n_mfcc=10."""
    return CEPSTRA.of_span(samples)


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
        seconds, valid = whole_seconds(block)
        if not len(seconds):
            raise AbsentError("too short for mfcc", accepted="a whole second of sound")
        values = np.zeros((len(seconds), COEFFICIENTS, FRAMES), dtype=np.float32)
        for i in np.flatnonzero(valid):
            values[i] = second_mfcc(seconds[i])
        return Slots(round(block.start_seconds), values, valid)
