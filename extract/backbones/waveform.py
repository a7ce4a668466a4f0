"""Waveform: the samples themselves, for networks that learn from raw sound."""

from __future__ import annotations

import numpy as np

from avfd.errors import InputError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

RATE_HZ = 100
SAMPLE_RATE_HZ = 16_000


def waveform_spec(sample_rate_hz: int) -> BackboneSpec:
    """The spec at that rate, a whole number of samples every 10 ms."""
    if sample_rate_hz <= 0 or sample_rate_hz % RATE_HZ:
        raise InputError(
            "a slot of the waveform is 10 ms of whole samples",
            where="waveform",
            found=f"{sample_rate_hz} Hz",
            accepted="a multiple of 100 Hz",
        )
    return BackboneSpec(
        name="waveform",
        revision=1,
        modality="audio",
        summary=f"mono samples at {sample_rate_hz:,} Hz, 10 ms a slot",
        rate_hz=RATE_HZ,
        shape=(sample_rate_hz // RATE_HZ,),
        audio=AudioInput(sample_rate_hz),
        source="avfd",
    )


@register("waveform")
class Waveform(Backbone):
    """Samples cut into slots of 10 ms, so that a gap is masked to 10 ms.

    Args:
        sample_rate_hz: a multiple of 100; the registered column has 16 kHz.

    The last slot of a file is filled up with zeros; it is valid if half of it is sound.
    """

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        self.spec = waveform_spec(sample_rate_hz)

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        width = self.spec.shape[0]
        filled = np.pad(block.samples, (0, -len(block.samples) % width))
        return core_slots(block, filled.reshape(-1, width), RATE_HZ)
