"""From the numbers of a whole block to the slots that are kept of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avfd.timeline import covered_slots, slot_of
from extract.backbones.base import AudioBlock, Slots


def core_slots(block: AudioBlock, values: NDArray[np.generic], rate_hz: int) -> Slots:
    """Cuts vectors that stand at consecutive slots from the block's start to its core.

    Args:
        block: starts on a slot's edge, its core too.
        values: [n, ...]; vector i belongs to slot `start_seconds * rate_hz + i`.
        rate_hz: slots a second.

    Returns:
        The core's slots; one is valid where its centre has real sound.
    """
    start = slot_of(block.start_seconds, rate_hz)
    first = slot_of(block.core_seconds[0], rate_hz)
    stop = min(start + len(values), math.ceil(block.core_seconds[1] * rate_hz - 1e-9))
    kept = values[first - start : stop - start]
    valid = covered_slots(stop, rate_hz, list(block.covered))[first:]
    return Slots(first, kept, valid)
