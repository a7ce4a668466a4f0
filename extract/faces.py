"""One face followed through a clip, on a grid of 30 slots a second, and its crops.

Every few slots the picture on screen is searched; between two detections of the same face the box
is interpolated. The track is made online: what is known of a slot is handed on as soon as the
detections around it are in, so a clip of any length needs the memory of a second.
"""

from __future__ import annotations

import math
from pathlib import Path

from extract.face_crops import crop
from extract.face_detector import Detector, FaceSearch
from extract.face_follow import Follower, TrackOptions
from extract.face_join import TRACK_DIMS, Joiner, TrackedSlot
from extract.media import VideoFrame

__all__ = [
    "TRACK_DIMS",
    "TRACK_RATE_HZ",
    "FaceTracker",
    "TrackOptions",
    "TrackedSlot",
    "crop",
    "first_slot_from",
]

TRACK_RATE_HZ = 30
_CENTRE_TOLERANCE = 1e-6


class FaceTracker:
    """Pictures in, slots out, in order; one clip each. Slots before the first picture have none.

    Args:
        options: the constants.
        model: the model file, or a detector that is already loaded (and stays open).
    """

    def __init__(self, options: TrackOptions, model: Path | Detector) -> None:
        self._options = options
        self._owned = Detector(model, options.search.min_score) if isinstance(model, Path) else None
        detector = self._owned or model
        assert isinstance(detector, Detector)
        self._follower = Follower(options, FaceSearch(detector, options.search))
        self._joiner = Joiner(options)
        self._on_screen: VideoFrame | None = None
        self._next_slot = 0

    def push(self, frame: VideoFrame) -> list[TrackedSlot]:
        """Take the next picture; give the slots that are now known."""
        before, self._on_screen = self._on_screen, frame
        first = first_slot_from(frame.start_seconds)
        if before is None:
            self._next_slot = max(self._next_slot, first)
        else:
            self._fill(before, first)
        return self._joiner.ready()

    def finish(self, rows: int) -> list[TrackedSlot]:
        """The last picture stays for its own time, within `rows` seconds; give what is left."""
        last, self._on_screen = self._on_screen, None
        if last is not None:
            end = first_slot_from(last.start_seconds + last.seconds)
            self._fill(last, min(end, rows * TRACK_RATE_HZ))
        if (open_slot := self._joiner.last_unsearched) is not None:
            self._joiner.knot(open_slot.slot, self._follower.look(open_slot.slot, open_slot.frame))
        slots = self._joiner.ready(final=True)
        if self._owned is not None:
            self._owned.close()
        return [slot for slot in slots if slot.slot < rows * TRACK_RATE_HZ]

    def _fill(self, frame: VideoFrame, end_slot: int) -> None:
        """The picture is on screen in the slots up to `end_slot`."""
        for slot in range(self._next_slot, end_slot):
            self._joiner.slot(slot, frame)
            if slot % self._options.every_slots == 0:
                self._joiner.knot(slot, self._follower.look(slot, frame))
        self._next_slot = max(self._next_slot, end_slot)


def first_slot_from(seconds: float, rate_hz: int = TRACK_RATE_HZ) -> int:
    """The first slot whose centre is not before a moment."""
    tolerance = _CENTRE_TOLERANCE * rate_hz / TRACK_RATE_HZ  # the same in seconds at any rate
    return max(0, math.ceil(seconds * rate_hz - 0.5 - tolerance))
