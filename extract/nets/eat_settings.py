"""EAT's sizes, apart from the network: its columns are described without torch."""

from __future__ import annotations

from dataclasses import dataclass

PATCH = 16
"""Frames of 10 ms, and mel bands, in one patch."""
MEL_BANDS = 128
BANDS = MEL_BANDS // PATCH  # 8 tokens for each step of 160 ms
MAX_STEPS = 768  # of the table of places: 122.88 s


@dataclass(frozen=True)
class EatSettings:
    """Size of the network; the published base by default.

    Attributes:
        dim: numbers in a token.
        depth: blocks.
        heads: of each attention.
    """

    dim: int = 768
    depth: int = 12
    heads: int = 12


BASE = EatSettings()
LARGE = EatSettings(dim=1024, depth=24, heads=16)
SMALL = EatSettings(dim=32, depth=2, heads=2)
