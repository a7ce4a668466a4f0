"""Vocoders by name: Griffin-Lim, WORLD, and whatever else a package brings.

A package adds one through the entry-point group `avfd.vocoders`: a function from (samples float32
[n], sample rate in Hz, NumPy generator) to float32 [n].
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError, MissingError
from avfd.vocoder import resynthesise as griffin_lim

Sound = NDArray[np.float32]
Vocoder = Callable[[Sound, int, np.random.Generator], Sound]

ENTRY_POINT_GROUP = "avfd.vocoders"
BLUR_FRAMES = 1.5
WINDOW, SMOOTHED, MOST_GAIN = 1024, 16, 10.0


def _griffin_lim(sound: Sound, sample_rate_hz: int, drawn: np.random.Generator) -> Sound:
    return griffin_lim(sound, sample_rate_hz, drawn)


def _blurred(sound: Sound, sample_rate_hz: int, drawn: np.random.Generator) -> Sound:
    return griffin_lim(sound, sample_rate_hz, drawn, BLUR_FRAMES)


def _world(sound: Sound, sample_rate_hz: int, drawn: np.random.Generator) -> Sound:
    """WORLD's analysis and synthesis (Morise et al. 2016), through pyworld."""
    try:
        import pyworld
    except ImportError as error:
        raise MissingError(
            "pyworld is not installed",
            where="--vocoder world",
            next_step="pip install 'avfd[world]' (it is built from source)",
        ) from error
    samples = sound.astype(np.float64)
    pitch, times = pyworld.harvest(samples, sample_rate_hz)
    envelope = pyworld.cheaptrick(samples, pitch, times, sample_rate_hz)
    breath = pyworld.d4c(samples, pitch, times, sample_rate_hz)
    made = pyworld.synthesize(pitch, envelope, breath, sample_rate_hz)
    return np.resize(made, sound.shape).astype(np.float32)


OWN: dict[str, Vocoder] = {
    "griffin-lim": _griffin_lim,
    "griffin-lim-blurred": _blurred,
    "world": _world,
}


def vocoder(name: str) -> Vocoder:
    """The vocoder of that name; an unknown name lists the known ones."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in found:
        loaded: Vocoder = found[name].load()
        return loaded
    if name not in OWN:
        raise InputError(
            "no such vocoder", where="--vocoder", found=name, accepted=", ".join([*OWN, *found])
        )
    return OWN[name]


def resynthesise(name: str, sound: Sound, sample_rate_hz: int, drawn: np.random.Generator) -> Sound:
    """The sound through a vocoder, as long, as loud and of the same average spectrum as before."""
    made = vocoder(name)(sound, sample_rate_hz, drawn)
    fitted = np.pad(made[: len(sound)], (0, max(0, len(sound) - len(made))))
    fitted = _equalised(fitted, sound)
    loudness = np.sqrt(np.mean(sound**2) / max(float(np.mean(fitted**2)), 1e-12))
    return np.asarray(fitted * loudness, np.float32)


def _equalised(made: Sound, like: Sound) -> Sound:
    """The sound with another's average spectrum, so that bandwidth is no clue.

    One gain a frequency for the whole sound, from power smoothed over 250 Hz at 16 kHz.
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import istft, stft

    framing = {"nperseg": WINDOW, "noverlap": WINDOW // 2}
    _, _, spectrum = stft(made, **framing)
    _, _, wanted = stft(like, **framing)
    powers = [uniform_filter1d((np.abs(s) ** 2).mean(axis=1), SMOOTHED) for s in (spectrum, wanted)]
    gain = np.sqrt(powers[1] / np.maximum(powers[0], 1e-12))
    _, out = istft(spectrum * np.clip(gain, 1 / MOST_GAIN, MOST_GAIN)[:, None], **framing)
    return np.asarray(np.resize(out, made.shape), np.float32)
