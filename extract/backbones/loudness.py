"""Loudness: ten levels a second from numpy alone; for tests, dry runs and a first look."""

from __future__ import annotations

import numpy as np

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

RATE_HZ = 10
FLOOR_DB = -100.0
SAMPLE_RATE_HZ = 16_000


@register("loudness")
class Loudness(Backbone):
    """Root mean square of each tenth of a second, in dB of full scale, not below the floor.

    The last slot of a file may hold less than a tenth of a second; its mean is over what is there.
    """

    spec = BackboneSpec(
        name="loudness",
        revision=1,
        modality="audio",
        summary="root mean square level in dB of full scale",
        rate_hz=RATE_HZ,
        shape=(1,),
        audio=AudioInput(SAMPLE_RATE_HZ),
        options={"floor_db": FLOOR_DB},
        source="avfd",
    )

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        hop = SAMPLE_RATE_HZ // RATE_HZ
        edges = np.arange(0, len(block.samples), hop)
        power = np.add.reduceat(block.samples.astype(np.float64) ** 2, edges)
        power /= np.minimum(hop, len(block.samples) - edges)
        level = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
        return core_slots(block, level[:, None].astype(np.float32), RATE_HZ)
