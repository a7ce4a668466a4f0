"""How large MARLIN's encoders are; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

PATCH = 16
"""Pixels: side of a patch."""
TUBELET = 2
"""Frames that make one token."""


@dataclass(frozen=True)
class MarlinSettings:
    """A ViT encoder over the tubelets of a face clip.

    Attributes:
        dim: numbers in a token.
        depth: blocks.
        heads: of each attention.
        size_px: side of a picture, a multiple of 16.
        frames: of a clip, an even number.
    """

    dim: int
    depth: int
    heads: int
    size_px: int = 224
    frames: int = 16

    @property
    def steps(self) -> int:
        """Tokens along time: 8."""
        return self.frames // TUBELET

    @property
    def places(self) -> int:
        """Tokens in a picture: 196."""
        return (self.size_px // PATCH) ** 2

    @property
    def tokens(self) -> int:
        """Tokens of a clip: 1,568, by time, row and column."""
        return self.steps * self.places


SMALL = MarlinSettings(dim=384, depth=12, heads=6)
BASE = MarlinSettings(dim=768, depth=12, heads=12)
LARGE = MarlinSettings(dim=1024, depth=24, heads=16)
TINY = MarlinSettings(dim=48, depth=2, heads=3, size_px=64)
