"""Which frames MARLIN sees at once, and which slots of a column a window stands for.

Frames are counted from 0 on the grid of the crops. A clip of n frames in the published code
(FACTS.md, 4.4): up to 16, all of them, the last one repeated; up to 32, the first 16; above, every
second frame of each 32, as long as another frame follows, so the last window that would fit exactly
is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.backbones.base import FaceBlock

FRAMES = 16  # of a window
SPAN = 32  # frames that a window of every second one reaches over
LEAST_SEEN = 8  # frames of a window that must show the face


@dataclass(frozen=True)
class Cut:
    """Windows one after the other.

    Attributes:
        frames: int [n, 16], the frames of each window.
        start: frame at which the first one begins.
        span: frames that each window stands for; windows lie end to end.
    """

    frames: NDArray[np.int64]
    start: int
    span: int


def every_second_frame(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Windows of every second frame from these on, [n, 16]."""
    return starts[:, None] + SPAN // FRAMES * np.arange(FRAMES)


def second_windows(block: FaceBlock) -> Cut:
    """A window for each second that the block touches, at 32 frames a second."""
    first = block.first_slot // SPAN
    last = -(-(block.first_slot + len(block.crops)) // SPAN)
    starts = SPAN * np.arange(first, last)
    return Cut(every_second_frame(starts), first * SPAN, SPAN)


def published_windows(first: int, stop: int, end: int | None) -> Cut:
    """The published windows that begin in a stretch of a clip.

    Args:
        first, stop: the stretch, frames [first, stop).
        end: frames in the clip; None: there are more than 32 after the stretch's last one.
    """
    if end is not None and end <= SPAN:
        return _short(end) if first == 0 < end else Cut(every_second_frame(np.zeros(0, int)), 0, 1)
    stop = stop if end is None else min(stop, end - SPAN)
    starts = np.arange(-(-first // SPAN) * SPAN, stop, SPAN)
    return Cut(every_second_frame(starts), int(starts[0]) if len(starts) else 0, SPAN)


def _short(end: int) -> Cut:
    """The one window of a clip of up to 32 frames; it stands for all of the clip."""
    return Cut(np.minimum(np.arange(FRAMES), end - 1)[None], 0, end)


@dataclass(frozen=True)
class Filled:
    """What a block shows of windows.

    Attributes:
        crops: int [n, 16], the crop to show for each frame: its own, or where it has none the
            nearest of the window that has, the earlier one of two.
        seen: bool [n, 16], whether the frame itself shows the face.
        kept: bool [n], whether enough frames do.
    """

    crops: NDArray[np.int64]
    seen: NDArray[np.bool_]
    kept: NDArray[np.bool_]


def filled(frames: NDArray[np.int64], block: FaceBlock) -> Filled:
    """Windows [n, 16] of a block's crops; those with too few frames that show a face are not kept.

    Kept are windows in which at least 8 of the 16 frames do.
    """
    places = frames - block.first_slot
    inside = (places >= 0) & (places < len(block.crops))
    places = np.where(inside, places, 0)
    seen = inside & block.valid[places]
    away = np.abs(np.arange(FRAMES)[:, None] - np.arange(FRAMES))  # [for which frame, which]
    nearest = np.where(seen[:, None, :], away, FRAMES).argmin(axis=2)
    return Filled(np.take_along_axis(places, nearest, axis=1), seen, seen.sum(axis=1) >= LEAST_SEEN)


def slots_of(
    cut: Cut, units: int, rate_hz: int, frames_hz: int
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """The slots whose centre lies in the windows.

    Args:
        cut: the windows, n of them.
        units: equal parts of a window that have a vector each: 1, or 8 for tokens.
        rate_hz: slots a second.
        frames_hz: frames a second.

    Returns:
        The first slot; for it and each that follows its window, 0 to n - 1, and its unit in it.
    """
    first = _slot_from(cut.start, rate_hz, frames_hz)
    stop = _slot_from(cut.start + cut.span * len(cut.frames), rate_hz, frames_hz)
    slots = np.arange(first, max(first, stop))
    # A centre is (2 slot + 1) · frames_hz / (2 rate_hz) frames; whole numbers leave no doubt.
    past = (2 * slots + 1) * frames_hz - 2 * rate_hz * cut.start
    part = past * units // (2 * rate_hz * cut.span)
    return first, part // units, part % units


def _slot_from(frame: int, rate_hz: int, frames_hz: int) -> int:
    """The first slot whose centre is not before a frame's start."""
    return -((frames_hz - 2 * frame * rate_hz) // (2 * frames_hz))
