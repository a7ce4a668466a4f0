"""Mel: 64 log-mel bands, a hundred a second."""

from __future__ import annotations

import numpy as np

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._mel_bands import MelBands
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

SAMPLE_RATE_HZ = 16_000
RATE_HZ = 100
HOP = SAMPLE_RATE_HZ // RATE_HZ
BANDS = MelBands(sample_rate_hz=SAMPLE_RATE_HZ, bands=64, fft_size=512, window_size=400)
FLOOR = 1e-10
"""Power below this counts as this: -10 on the log10 scale, the floor that librosa takes too."""


@register("mel")
class Mel(Backbone):
    """log10 of the power in 64 mel bands, 0 to 8 kHz.

    Each frame is 25 ms under a Hann window, centred on its slot's centre; beyond the ends of the
    file the frames see zeros.
    """

    spec = BackboneSpec(
        name="mel",
        revision=1,
        modality="audio",
        summary="64 log-mel bands, 25 ms frames centred on their slots",
        rate_hz=RATE_HZ,
        shape=(BANDS.bands,),
        audio=AudioInput(SAMPLE_RATE_HZ),
        options={
            "fft_size": BANDS.fft_size,
            "window_size": BANDS.window_size,
            "hop": HOP,
            "window": "hann-periodic",
            "mel_scale": "slaney",
            "low_hz": 0,
            "high_hz": SAMPLE_RATE_HZ // 2,
            "log": "log10",
            "floor_power": FLOOR,
        },
        source="avfd; the numbers are those of librosa.feature.melspectrogram",
    )

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        slots = -(-len(block.samples) // HOP)
        before = (BANDS.fft_size - HOP) // 2
        after = (slots - 1) * HOP + BANDS.fft_size - before - len(block.samples)
        power = BANDS.power(np.pad(block.samples, (before, after)), HOP)
        return core_slots(block, np.log10(np.maximum(power, FLOOR)).T, RATE_HZ)
