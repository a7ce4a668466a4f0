"""Which slots a block of sound fills, and means of vectors that are spread over them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.timeline import covered_slots, slot_of
from extract.backbones.base import AudioBlock


def core_samples(block: AudioBlock) -> NDArray[np.float32]:
    """The samples of the block's core, [n], without lead-in and tail."""
    first, last = (
        round((seconds - block.start_seconds) * block.sample_rate_hz)
        for seconds in block.core_seconds
    )
    return block.samples[first:last]


def core_valid(block: AudioBlock, rate_hz: int) -> tuple[int, NDArray[np.bool_]]:
    """The core's first slot, and which of its slots have real sound at their centre."""
    first = slot_of(block.core_seconds[0], rate_hz)
    stop = math.ceil(block.core_seconds[1] * rate_hz - 1e-9)
    return first, covered_slots(stop, rate_hz, list(block.covered))[first:]


def check_long_enough(
    name: str, block: AudioBlock, valid: NDArray[np.bool_], seconds: float
) -> None:
    """Refuse a block that is too short, or has no sound where a slot would look for it.

    Args:
        name: of the backbone.
        block: what it is given.
        valid: of the slots of its core.
        seconds: that the network needs at least.

    Raises:
        AbsentError: saying what would do.
    """
    length = block.core_seconds[1] - block.core_seconds[0]
    if length < seconds or (len(valid) < 2 and not valid.any()):
        raise AbsentError(
            f"too short for {name}",
            found=f"{length:.3f} s of sound",
            accepted=f"{seconds:g} s or more, sound at the middle of a slot among it",
        )
    if not valid.any():
        raise AbsentError(f"no sound for {name}", accepted="sound at the middle of a slot")


def means(
    values: NDArray[np.float32], centres: NDArray[np.float64], slots: int, rate_hz: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean of the vectors whose centre lies in each slot.

    Args:
        values: [n, ...].
        centres: [n], ascending, in seconds from the first slot's start.
        slots: how many there are.
        rate_hz: slots a second.

    Returns:
        [slots, ...], zero where no vector lies, and which slots have one.
    """
    edges = np.arange(slots + 1) / rate_hz
    bounds = np.searchsorted(centres, edges - 1e-9)
    found = np.zeros((slots, *values.shape[1:]), dtype=np.float32)
    filled = bounds[1:] > bounds[:-1]
    for i in np.flatnonzero(filled):
        found[i] = values[bounds[i] : bounds[i + 1]].mean(axis=0, dtype=np.float64)
    return found, filled
