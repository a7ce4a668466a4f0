"""compare2016-functionals: openSMILE's 6,373 statistics of a whole clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._compare import COMPARE, CONFIG
from extract.backbones._opensmile import LICENCE, SAMPLE_RATE_HZ
from extract.backbones.base import AudioBlock, Backbone, Slots, register

LEVEL = "func"


@register("compare2016-functionals")
class Compare2016Functionals(Backbone):
    """One vector for the whole clip, silence of late starts and gaps included."""

    requires = ("opensmile",)
    extra = "opensmile"
    spec = BackboneSpec(
        name="compare2016-functionals",
        revision=1,
        modality="audio",
        summary="openSMILE ComParE 2016: 6,373 functionals of the whole clip",
        rate_hz=0,
        shape=(6373,),
        audio=AudioInput(SAMPLE_RATE_HZ, block_seconds=None, lead_seconds=0.0, tail_seconds=0.0),
        options={"config": CONFIG, "level": LEVEL, "pcm_bits": 16},
        licence=LICENCE,
        source="opensmile 2.6, ComParE_2016",
    )

    def load(self, files: Mapping[str, Path], device: str = "cpu") -> None:
        COMPARE.wanted.add(LEVEL)

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        values = COMPARE.rows(LEVEL, block.samples)[:1]
        return Slots(0, values, np.array([True]))
