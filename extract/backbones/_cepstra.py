"""Cepstra of mel bands in librosa's manner, every step of it apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from extract.backbones._mel_bands import MelBands

Float = NDArray[np.float32]

FLOOR = 1e-10
RANGE_DB = 80.0


@dataclass(frozen=True)
class Cepstra:
    """MFCC with librosa's defaults: dB of 1, no lifter, orthonormal DCT-II.

    Attributes:
        bands: frames → powers in mel bands.
        hop: samples from one frame to the next.
        coefficients: how many are kept.
    """

    bands: MelBands
    hop: int
    coefficients: int

    @cached_property
    def cosines(self) -> NDArray[np.float64]:
        """The first rows of the cosine transform, [coefficients, bands]."""
        bands = self.bands.bands
        k, n = np.arange(self.coefficients)[:, None], np.arange(bands)[None]
        rows = np.cos(np.pi * k * (2 * n + 1) / (2 * bands)) * np.sqrt(2 / bands)
        rows[0] /= np.sqrt(2)
        return np.asarray(rows, dtype=np.float64)

    def levels(self, samples: Float) -> Float:
        """dB of every full frame, [bands, frames]."""
        power = self.bands.power(samples, self.hop)
        return 10 * np.log10(np.maximum(power, FLOOR))

    def of_levels(self, levels: Float, loudest: float) -> Float:
        """Coefficients [coefficients, frames]; nothing is more than 80 dB under `loudest`."""
        heard = np.maximum(levels, loudest - RANGE_DB)
        coefficients = np.einsum("km,mt->kt", self.cosines, heard)  # BLAS may add otherwise
        return np.asarray(coefficients, dtype=np.float32)

    def of_span(self, samples: Float) -> Float:
        """What `librosa.feature.mfcc` gives of a signal by itself.

        Frames are centred on every multiple of the hop, zeros stand before and after.
        """
        levels = self.levels(np.pad(samples, self.bands.fft_size // 2))
        return self.of_levels(levels, levels.max())

    def frames_of(self, samples: int) -> int:
        """Frames of a span of so many samples."""
        return 1 + samples // self.hop
