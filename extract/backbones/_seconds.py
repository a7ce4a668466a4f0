"""Whole seconds of sound, each by itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from extract.backbones.base import AudioBlock, Span

SLACK_SECONDS = 0.025
"""How much of a second may lack sound: codecs drop up to a frame (23 ms) at a file's ends."""


def whole_seconds(block: AudioBlock) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The seconds of a block that begins on a whole one.

    Returns:
        Samples [seconds, rate], silence where the sound has ended, and which seconds are whole:
        those of which at most `SLACK_SECONDS` lack sound. The last partial second is not there.
    """
    rate_hz = block.sample_rate_hz
    seconds = math.floor(len(block.samples) / rate_hz + SLACK_SECONDS)
    first = round(block.start_seconds)
    whole = [_sound(first + i, block.covered) >= 1 - SLACK_SECONDS for i in range(seconds)]
    samples = block.samples[: seconds * rate_hz]
    padded = np.pad(samples, (0, seconds * rate_hz - len(samples)))
    return padded.reshape(seconds, rate_hz), np.array(whole, dtype=bool)


def _sound(second: int, covered: tuple[Span, ...]) -> float:
    """Seconds of sound in a second of the clip."""
    return sum(max(0.0, min(end, second + 1) - max(start, second)) for start, end in covered)
