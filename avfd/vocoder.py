"""A plain vocoder: mel spectrogram → waveform by Griffin and Lim's phase search.

What it loses is what neural vocoders lose less of: phase, and everything finer than a mel band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW, HOP, BANDS, ROUNDS = 1024, 256, 80, 24


def mel_bands(sample_rate_hz: int) -> NDArray[np.float64]:
    """Triangles of equal width on the mel scale 2595·log10(1 + f/700), [bands, frequencies]."""
    top_mel = 2595 * np.log10(1 + sample_rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top_mel, BANDS + 2) / 2595) - 1)
    frequency_hz = np.linspace(0, sample_rate_hz / 2, WINDOW // 2 + 1)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (frequency_hz - low) / (centre - low)
    falling = (high - frequency_hz) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling))


def resynthesise(
    samples: NDArray[np.float32],
    sample_rate_hz: int,
    random: np.random.Generator,
    blur_frames: float = 0.0,
) -> NDArray[np.float32]:
    """The same words through the vocoder: float32 [n], as long and as loud as what came in.

    Args:
        samples: float32 [n].
        random: of the phases to begin with.
        blur_frames: deviation of a Gaussian over time, in hops, that smears the mel spectrogram
            as the acoustic models before a vocoder do.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import istft, stft

    framing = {"fs": sample_rate_hz, "nperseg": WINDOW, "noverlap": WINDOW - HOP}
    _, _, spectrum = stft(samples, **framing)
    bands = mel_bands(sample_rate_hz)
    mel = bands @ np.abs(spectrum)
    if blur_frames:
        mel = gaussian_filter1d(mel, blur_frames, axis=1)
    magnitude = np.maximum(0, np.linalg.pinv(bands) @ mel)
    phase = np.exp(2j * np.pi * random.random(magnitude.shape))
    for _ in range(ROUNDS):
        _, guess = istft(magnitude * phase, **framing)
        _, _, again = stft(guess, **framing)
        phase = np.exp(1j * np.angle(again[:, : magnitude.shape[1]]))
    _, wave = istft(magnitude * phase, **framing)
    wave = np.resize(wave, samples.shape)
    loudness = np.sqrt(np.mean(samples**2) / max(float(np.mean(wave**2)), 1e-12))
    return np.asarray(wave * loudness, dtype=np.float32)
