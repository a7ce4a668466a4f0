"""EfficientFace's sizes, apart so that they cost no import of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EfficientFaceSettings:
    """The published network by default.

    Attributes:
        size_px: side of a picture, a multiple of 32; the quarters are cut for it.
        channels: after the stem and each stage, and of the features.
        units: of each stage.
        classes: logits; 0: there is no `fc`, features only.
    """

    size_px: int = 224
    channels: tuple[int, int, int, int, int] = (29, 116, 232, 464, 1024)
    units: tuple[int, int, int] = (4, 8, 4)
    classes: int = 0

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.channels[-1]


PUBLISHED = EfficientFaceSettings()
SMALL = EfficientFaceSettings(size_px=64, channels=(4, 16, 32, 64, 48), units=(2, 2, 1))
