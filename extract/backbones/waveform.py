"""Waveform: the samples themselves, for networks that learn from raw sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avfd.errors import InputError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

SLOT_RATES_HZ = (100, 50)
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 384_000


@dataclass(frozen=True)
class WaveformOptions:
    """`waveform:sample_rate_hz=48000`: a multiple of 100 Hz (10 ms a slot), or of 50 (20 ms)."""

    sample_rate_hz: int = 16_000


DEFAULT = WaveformOptions()


def waveform_spec(sample_rate_hz: int) -> BackboneSpec:
    """The spec at that rate, a whole number of samples a slot."""
    rates = [rate for rate in SLOT_RATES_HZ if sample_rate_hz % rate == 0]
    if not rates or not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise InputError(
            "a slot of the waveform is 10 or 20 ms of whole samples",
            where="waveform:sample_rate_hz",
            found=sample_rate_hz,
            accepted=f"a multiple of 50 from {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,}",
        )
    rate_hz = rates[0]
    return BackboneSpec(
        name="waveform",
        revision=1,
        modality="audio",
        summary=f"mono samples at {sample_rate_hz:,} Hz, {1000 // rate_hz} ms a slot",
        rate_hz=rate_hz,
        shape=(sample_rate_hz // rate_hz,),
        audio=AudioInput(sample_rate_hz),
        source="avfd",
    )


@register("waveform", DEFAULT)
class Waveform(Backbone):
    """Samples cut into slots of 10 ms (20 ms at 22,050 Hz), so that a gap is masked to a slot.

    The last slot of a file is filled up with zeros; it is valid if half of it is sound.
    """

    def __init__(self, options: WaveformOptions = DEFAULT) -> None:
        self.spec = waveform_spec(options.sample_rate_hz)

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        width = self.spec.shape[0]
        filled = np.pad(block.samples, (0, -len(block.samples) % width))
        return core_slots(block, filled.reshape(-1, width), self.spec.rate_hz)
