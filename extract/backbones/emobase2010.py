"""emobase2010: the 39 low-level descriptors of the thesis' Table 5.1, a hundred a second."""

from __future__ import annotations

import re
from functools import cache

from avfd.errors import MissingError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._opensmile import LICENCE, SAMPLE_RATE_HZ, config_root, rows
from extract.backbones._slots import core_slots
from extract.backbones.base import AudioBlock, Backbone, Slots, register

CONFIG = "is09-13/IS10_paraling_compat.conf"
LEVEL = "lld"
RATE_HZ = 100
EDITS = {
    # emobase2010.conf leaves the voicing threshold to openSMILE 3, whose default is 0.70.
    "voicingCutoff = 0.75": "voicingCutoff = 0.70",
    # The thesis counts MFCC 0 to 15; the set as published ends at 14.
    "lastMfcc=14": "lastMfcc=15",
}
UNUSED = (
    *("delta1", "delta2", "llddeconcat"),
    *("functL1", "functL1nz", "functOnsets", "funcconcat"),
)
"""Components of the set that no descriptor needs; they take a fifth of its time."""


@cache
def config() -> str:
    """The configuration that is run: the edited set without what no descriptor needs.

    Raises:
        MissingError: as `edited`.
    """
    text = edited()
    for name in UNUSED:
        instance = rf"^instance\[{name}\]\.type.*\n"
        section = rf"^\[{name}:(?:.*\n)+?(?=\[|\\)"  # up to the next section or inclusion
        for pattern in (instance, section):
            text, found = re.subn(pattern, "", text, flags=re.MULTILINE)
            if found != 1:
                raise _unknown(f"{found} × component {name!r}")
    return text


def edited() -> str:
    """The installed IS10 set with the two edits, functionals and all.

    Raises:
        MissingError: openSMILE is not installed, or its IS10 set is not the one that was edited.
    """
    text = (config_root() / CONFIG).read_text(encoding="latin-1")
    for old, new in EDITS.items():
        if text.count(old) != 1:
            raise _unknown(f"{text.count(old)} × {old!r}")
        text = text.replace(old, new)
    return text


def _unknown(found: str) -> MissingError:
    return MissingError(
        "openSMILE's configuration is not the known one",
        where=CONFIG,
        found=found,
        next_step="pip install 'opensmile>=2.6,<2.7'",
    )


@register("emobase2010")
class Emobase2010(Backbone):
    """Loudness, 16 MFCC, 8 log-mel bands, 8 line spectral frequencies, 6 of voicing: 39 in all.

    openSMILE's wheel carries no emobase2010, but the INTERSPEECH 2010 set that it is made from.
    With the voicing threshold put right, the 38 descriptors of that set are those of
    emobase2010.conf bit for bit; MFCC 15, which the thesis counts and the set lacks, comes from
    the same transform. In order: pcm_loudness, mfcc 0-15, logMelFreqBand 0-7, lspFreq 0-7,
    F0finEnv, voicingFinalUnclipped, F0final, jitterLocal, jitterDDP, shimmerLocal; all smoothed
    over three frames (`_sma`), without deltas.

    Row j starts at j · 10 ms (its frame is 25 or 60 ms long) and stands in slot j; the last 60 ms
    of a file have no row. The thesis' first experiment took 10 a second of them, chosen by a rule
    it does not give; this column has all 100.
    """

    requires = ("opensmile",)
    extra = "opensmile"
    spec = BackboneSpec(
        name="emobase2010",
        revision=1,
        modality="audio",
        summary="openSMILE emobase2010: the thesis' 39 descriptors",
        rate_hz=RATE_HZ,
        shape=(39,),
        audio=AudioInput(SAMPLE_RATE_HZ),
        options={
            "config": CONFIG,
            "edits": "; ".join(EDITS.values()),
            "level": LEVEL,
            "pcm_bits": 16,
        },
        licence=LICENCE,
        source="opensmile 2.6, IS10 edited to emobase2010; thesis, Table 5.1",
    )

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        return core_slots(block, rows(config(), LEVEL, block.samples), RATE_HZ)
