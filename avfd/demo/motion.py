"""How a face moves while it talks: mouth from the voice, blinks and head from slow chance.

Every track is a float array with one value a video frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """One value a frame.

    Attributes:
        mouth_open: 0 shut to 1 wide open.
        mouth_wide: -1 rounded to 1 spread.
        blink: 0 open to 1 shut.
        brow: 0 at rest to 1 raised.
        turn_degrees, shift_x_px, shift_y_px, zoom: of the whole head.
    """

    mouth_open: Track
    mouth_wide: Track
    blink: Track
    brow: Track
    turn_degrees: Track
    shift_x_px: Track
    shift_y_px: Track
    zoom: Track


def moved_by_speech(
    samples: NDArray[np.float32], sample_rate_hz: int, fps: int, random: np.random.Generator
) -> Motion:
    """The motion of a face that says these samples; frames = whole length · fps."""
    frames = round(len(samples) / sample_rate_hz * fps)
    loud = _loudness(samples, sample_rate_hz, fps, frames)
    nod = _smooth(loud, 7)
    return Motion(
        mouth_open=_smooth(loud, 1.1),
        mouth_wide=_brightness(samples, sample_rate_hz, fps, frames) * (loud > 0.08),
        blink=_blinks(frames, fps, random),
        brow=np.clip(_wander(frames, fps, random, 0.25) + 0.5 * nod, 0, 1),
        turn_degrees=3.0 * _wander(frames, fps, random, 0.22),
        shift_x_px=4.0 * _wander(frames, fps, random, 0.18),
        shift_y_px=2.5 * _wander(frames, fps, random, 0.25) + 3.0 * nod,
        zoom=1 + 0.02 * _wander(frames, fps, random, 0.15),
    )


def late_mouth(motion: Motion, delay_seconds: float, fps: int, inside: Track) -> Motion:
    """The mouth later by that much (earlier if negative) where `inside` is 1."""
    frames = np.arange(len(inside))
    moved = frames - delay_seconds * fps * inside
    return replace(
        motion,
        mouth_open=np.interp(moved, frames, motion.mouth_open),
        mouth_wide=np.interp(moved, frames, motion.mouth_wide),
    )


def _windows(
    samples: NDArray[np.float32], sample_rate_hz: int, fps: int, frames: int
) -> NDArray[np.float32]:
    """The sound of each frame, 50 ms round its middle, [frames, samples]."""
    width = sample_rate_hz // 20
    starts = ((np.arange(frames) + 0.5) / fps * sample_rate_hz).astype(int)
    padded = np.pad(samples, width)
    return padded[starts[:, None] + width // 2 + np.arange(width)[None, :]]


def _loudness(samples: NDArray[np.float32], sample_rate_hz: int, fps: int, frames: int) -> Track:
    power = np.mean(_windows(samples, sample_rate_hz, fps, frames) ** 2.0, axis=1)
    level = np.sqrt(power)
    loud: Track = np.clip(level / max(float(np.percentile(level, 92)), 1e-6), 0, 1) ** 0.8
    return loud


def _brightness(samples: NDArray[np.float32], sample_rate_hz: int, fps: int, frames: int) -> Track:
    """Zero crossings as a stand-in for spread (s, i) against rounded (o, u) vowels, -1 to 1."""
    windows = _windows(samples, sample_rate_hz, fps, frames)
    crossings = np.mean(np.abs(np.diff(np.signbit(windows).astype(float), axis=1)), axis=1)
    centred = (crossings - np.median(crossings)) / (np.std(crossings) + 1e-6)
    return _smooth(np.clip(centred, -1, 1), 1.5)


def _smooth(track: Track, frames: float) -> Track:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(track, frames, mode="nearest"), dtype=np.float64)


def _wander(frames: int, fps: int, random: np.random.Generator, rate_hz: float) -> Track:
    """A slow wave of three sines, about -1 to 1."""
    seconds = np.arange(frames) / fps
    rates = rate_hz * random.uniform(0.6, 2.0, 3)
    phases = random.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * rates[:, None] * seconds + phases[:, None])
    return np.asarray(1.4 * waves.mean(axis=0))


def _blinks(frames: int, fps: int, random: np.random.Generator) -> Track:
    """Shut for about 0.15 s every 2 to 4 s."""
    blink = np.zeros(frames)
    middle_seconds = random.uniform(0.5, 2.0)
    while middle_seconds < frames / fps:
        away_seconds = np.abs(np.arange(frames) / fps - middle_seconds)
        blink = np.maximum(blink, np.clip(1.6 - away_seconds / 0.075, 0, 1))
        middle_seconds += random.uniform(2.0, 4.0)
    return blink
