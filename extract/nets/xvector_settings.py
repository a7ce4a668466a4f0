"""How large x-vector networks are, and what sound they take; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
WINDOW = 400  # samples: 25 ms, Hamming
HOP = 160  # samples: 10 ms
MEL_BANDS = 24
FLOOR_POWER = 1e-10
RANGE_DB = 80.0


@dataclass(frozen=True)
class XVectorSettings:
    """An x-vector network and its speaker classifier; the published ones by default.

    speechbrain/spkrec-xvect-voxceleb was trained on the 7,205 speakers of VoxCeleb 1 and 2.

    Attributes:
        channels: of the five convolutions.
        dim: numbers in an x-vector, and in the classifier's hidden layer.
        speakers: classes.
    """

    channels: tuple[int, int, int, int, int] = (512, 512, 512, 512, 1500)
    dim: int = 512
    speakers: int = 7205


PUBLISHED = XVectorSettings()
SMALL = XVectorSettings(channels=(16, 16, 16, 16, 40), dim=24, speakers=30)
