"""Fakes made here, with exact truth: who, what, when (`avfd forge`).

Every fake has a real twin from the same clip. Both pass one chain (the face's surroundings at one
size and rate, mono sound at 16 kHz, one loudness, one codec); where the fake is spliced the twin is
spliced with itself, so neither a cut nor a codec tells them apart, only the manipulation does.
"""

from extract.forge.forging import ForgeOptions, ForgeReport, forge
from extract.forge.plans import KINDS

__all__ = ["KINDS", "ForgeOptions", "ForgeReport", "forge"]
