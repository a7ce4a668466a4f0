"""Which way up a stored picture goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av


def upright_rotation(frame: av.VideoFrame) -> int:
    """Degrees counter-clockwise that make the picture upright: 0, 90, 180 or 270.

    From the display matrix that phones write; an odd angle goes to the nearest quarter turn.
    """
    return round(frame.rotation / 90) % 4 * 90
