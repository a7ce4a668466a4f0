"""emotion2vec's sizes, apart from the network: its columns are described without torch."""

from __future__ import annotations

from dataclasses import dataclass

CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))  # kernel, stride
HOP = 320  # samples from one frame to the next: 50 frames a second at 16 kHz
FIELD = 400  # samples that one frame sees
EXTRA_TOKENS = 10
POSITION_LAYERS = 5
POSITION_KERNEL = 19
POSITION_GROUPS = 16
MLP_RATIO = 4
LABELS = (
    "angry",
    "disgusted",
    "fearful",
    "happy",
    "neutral",
    "other",
    "sad",
    "surprised",
    "unknown",
)
"""What the scores of the plus models stand for, in their order."""


@dataclass(frozen=True)
class Emotion2vecSettings:
    """Size of the network; the published base by default.

    Attributes:
        dim: numbers in a frame's vector.
        heads: of each attention.
        channels: of the convolutions over the waveform.
        prenet, depth: blocks before and after the point at which other modalities would join.
        classes: of the emotion head of the plus models; 0: there is none.
    """

    dim: int = 768
    heads: int = 12
    channels: int = 512
    prenet: int = 4
    depth: int = 8
    classes: int = 0


BASE = Emotion2vecSettings()
PLUS_BASE = Emotion2vecSettings(classes=len(LABELS))
PLUS_LARGE = Emotion2vecSettings(dim=1024, heads=16, classes=len(LABELS))
SMALL = Emotion2vecSettings(dim=48, heads=12, channels=16, prenet=1, depth=2)
PLUS_SMALL = Emotion2vecSettings(
    dim=32, heads=16, channels=16, prenet=1, depth=2, classes=len(LABELS)
)


def frame_count(samples: int) -> int:
    """Frames that so many samples give.

    >>> [frame_count(n) for n in (399, 400, 16_000, 16_320, 44_100, 160_000)]
    [0, 1, 49, 50, 137, 499]
    """
    return max(0, (samples - FIELD) // HOP + 1)
