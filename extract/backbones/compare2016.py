"""compare2016: openSMILE's ComParE 2016 descriptors and their deltas, a hundred a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._compare import COMPARE, CONFIG
from extract.backbones._opensmile import LICENCE, SAMPLE_RATE_HZ
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

LEVEL = "lld;lld_de"
RATE_HZ = 100


@register("compare2016")
class Compare2016(Backbone):
    """65 low-level descriptors, then their 65 deltas (named as opensmile 2.6 names them).

    Row j starts at j · 10 ms (its frame is 20 or 60 ms long) and stands in slot j. openSMILE gives
    two more rows of deltas than of descriptors: they are cut off. The last 50 ms of a file have no
    row: their slots are missing, hence invalid.

    Files over ten minutes go in segments with 10 s of lead-in and 1 s of tail. There the six
    voicing columns' deltas (F0, voicing, jitter, shimmer, HNR) differ from one pass over the
    whole file.
    """

    requires = ("opensmile",)
    extra = "opensmile"
    spec = BackboneSpec(
        name="compare2016",
        revision=1,
        modality="audio",
        summary="openSMILE ComParE 2016: 65 descriptors and their 65 deltas",
        rate_hz=RATE_HZ,
        shape=(130,),
        audio=AudioInput(SAMPLE_RATE_HZ),
        options={"config": CONFIG, "level": LEVEL, "pcm_bits": 16},
        licence=LICENCE,
        source="opensmile 2.6, ComParE_2016",
    )

    def load(self, files: Mapping[str, Path], device: str = "cpu") -> None:
        COMPARE.wanted.add(LEVEL)

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        return core_slots(block, COMPARE.rows(LEVEL, block.samples), RATE_HZ)
