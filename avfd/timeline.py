"""The time line that all columns of a data set share.

A row is one second of a clip. A column of rate r has r slots a row; slot i of a clip covers the
seconds [i / r, (i + 1) / r) and stands for its centre. Time starts at the clip's start.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def row_count(seconds: float) -> int:
    """Rows of a clip of that length: whole seconds, halves rounded up, at least one.

    >>> [row_count(s) for s in (0.0, 0.4, 1.49, 1.5, 10.02)]
    [1, 1, 1, 2, 10]
    """
    return max(1, math.floor(seconds + 0.5))


def slot_centres(slots: int, rate_hz: int, first_slot: int = 0) -> NDArray[np.float64]:
    """Centre times in seconds of `slots` slots, shape [slots]."""
    return (np.arange(first_slot, first_slot + slots, dtype=np.float64) + 0.5) / rate_hz


def slot_of(seconds: float, rate_hz: int) -> int:
    """The slot that covers a moment."""
    return math.floor(seconds * rate_hz + 1e-9)


def covered_slots(slots: int, rate_hz: int, spans: list[tuple[float, float]]) -> NDArray[np.bool_]:
    """Which slots have their centre inside one of the spans (seconds), shape [slots]."""
    centres = slot_centres(slots, rate_hz)
    covered = np.zeros(slots, dtype=bool)
    for start_seconds, end_seconds in spans:
        covered |= (centres >= start_seconds) & (centres < end_seconds)
    return covered
