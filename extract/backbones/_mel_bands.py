"""Power spectra and Slaney's mel bands in numpy and scipy.

The numbers are librosa's (its defaults: periodic Hann window, power spectrum, triangles of equal
area on Slaney's scale); librosa itself is not imported, because each worker would pay seconds for
it and its compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float = NDArray[np.float32]

# Slaney, Auditory Toolbox (1998): linear below 1 kHz, 200/3 Hz a mel; above, 27 mels to 6.4 kHz.
LINEAR_HZ_A_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ_A_MEL
LOG_STEP = np.log(6.4) / 27


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale, mels → Hz."""
    above = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_MEL))
    return np.where(mel >= BREAK_MEL, above, LINEAR_HZ_A_MEL * mel)


def hz_to_mel(hz: float) -> float:
    """Slaney's scale, Hz → mels."""
    if hz < BREAK_HZ:
        return hz / LINEAR_HZ_A_MEL
    return float(BREAK_MEL + np.log(hz / BREAK_HZ) / LOG_STEP)


@dataclass(frozen=True)
class MelBands:
    """Frames → powers in mel bands from 0 Hz to half the sample rate.

    Attributes:
        sample_rate_hz: of the samples.
        bands: number of mel bands.
        fft_size: points of the transform; a shorter window stands in its middle.
        window_size: points of the Hann window.
    """

    sample_rate_hz: int
    bands: int
    fft_size: int
    window_size: int

    @cached_property
    def window(self) -> Float:
        """Periodic Hann window, zero-padded on both sides, [fft_size]."""
        n = self.window_size
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        before = (self.fft_size - n) // 2
        return np.pad(hann, (before, self.fft_size - n - before)).astype(np.float32)

    @cached_property
    def triangles(self) -> NDArray[np.float64]:
        """Weights [bands, fft_size // 2 + 1]; each triangle has area 1 over Hz."""
        bins = np.fft.rfftfreq(self.fft_size, 1 / self.sample_rate_hz)
        top = hz_to_mel(self.sample_rate_hz / 2)
        corners = mel_to_hz(np.linspace(0, top, self.bands + 2))
        low, centre, high = (corners[i : self.bands + i, None] for i in range(3))
        rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
        return np.maximum(0, np.minimum(rise, fall)) * (2 / (high - low))

    @cached_property
    def _sparse(self) -> Any:
        from scipy.sparse import csr_array

        return csr_array(self.triangles.astype(np.float32))

    def power(self, samples: Float, hop: int) -> Float:
        """Powers of every full frame, float32 [bands, frames].

        One thread and one order of addition: a product of sparse by dense repeats bit for bit
        on any number of cores, BLAS need not.
        """
        frames = sliding_window_view(samples, self.fft_size)[::hop] * self.window
        spectrum = np.fft.rfft(frames.T, axis=0)
        power = spectrum.real**2 + spectrum.imag**2
        out: Float = self._sparse @ power.astype(np.float32)
        return out
