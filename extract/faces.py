"""One face followed through a clip, on a grid of 30 slots a second, and its crops.

Every few slots the picture on screen is searched; between two detections of the same face the box
is interpolated. The track is made online: what is known of a slot is handed on as soon as the
detections around it are in, so a clip of any length needs the memory of a second.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extract.face_crops import crop
from extract.face_detector import Detector, Face, FaceSearch, SearchOptions, shared
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
TRACK_DIMS = 17
_CENTRE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class TrackOptions:
    """Every constant that decides a track; slots are of 1/30 s.

    Attributes:
        every_slots: a picture is searched every so many slots.
        bridge_slots: detections of one face this far apart at most are joined by interpolation.
        lost_slots: a face not seen for longer is given up, and the largest one taken.
        search_slots: while the face is lost, the whole picture is searched this often.
        survey_slots: while it is followed, too, to count the faces.
        same_overlap: a detection that shares this part of the smaller box is the same face,
        same_distance: and so is one whose centre moved by less than this many sides,
        same_ratio: if neither side is more than this many times the other.
        search: how a picture is searched.
    """

    every_slots: int = 5
    bridge_slots: int = 15
    lost_slots: int = 30
    search_slots: int = 15
    survey_slots: int = 150
    same_overlap: float = 0.3
    same_distance: float = 0.6
    same_ratio: float = 2.0
    search: SearchOptions = field(default_factory=SearchOptions)

    def flat(self) -> dict[str, int | float]:
        """Every constant by name, as it enters a spec's options and so the fingerprint."""
        own = asdict(self)
        return {**{f"search_{k}": v for k, v in own.pop("search").items()}, **own}


@dataclass(frozen=True)
class TrackedSlot:
    """What is known of one slot.

    Attributes:
        slot: number at 30 a second; the slot's centre is (slot + 0.5) / 30 s.
        frame: the picture on screen at the centre.
        box: left, top, width, height as fractions of the picture; None: no face followed.
        score: confidence of the detection, interpolated; 0 without a face.
        keypoints: six times x, y as fractions of the picture; empty without a face.
    """

    slot: int
    frame: VideoFrame
    box: tuple[float, float, float, float] | None = None
    score: float = 0.0
    keypoints: tuple[float, ...] = ()

    def vector(self) -> NDArray[np.float32]:
        """float32 [17]: box, score, key points; zeros without a face."""
        if self.box is None:
            return np.zeros(TRACK_DIMS, np.float32)
        return np.array([*self.box, self.score, *self.keypoints], np.float32)


@dataclass(frozen=True)
class _Knot:
    """A detection of the followed face: what slots between two of them are made from."""

    slot: int
    face: Face
    track: int


class FaceTracker:
    """Pictures in, slots out, in order; one clip each. Slots before the first picture have none.

    Args:
        options: the constants.
        model: the model file, or a detector that is already loaded (and stays open).

    Attributes:
        faces_seen: most faces found in one picture so far (first, lost and survey searches).
    """

    def __init__(self, options: TrackOptions, model: Path | Detector) -> None:
        self._options = options
        self._owned = Detector(model, options.search.min_score) if isinstance(model, Path) else None
        detector = self._owned or model
        assert isinstance(detector, Detector)
        self._follower = _Follower(options, FaceSearch(detector, options.search))
        self._joiner = _Joiner(options)
        self._on_screen: VideoFrame | None = None
        self._next_slot = 0

    @property
    def faces_seen(self) -> int:
        return self._follower.faces_seen

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


class _Follower:
    """Finds the followed face in one picture after the other."""

    def __init__(self, options: TrackOptions, search: FaceSearch) -> None:
        self._options = options
        self._search = search
        self._last: _Knot | None = None
        self._searched_slot = -math.inf
        self._track = 0
        self.faces_seen = 0

    def look(self, slot: int, frame: VideoFrame) -> _Knot | None:
        """The followed face in the picture of a slot, or None."""
        followed = self._followed(slot)
        face = None
        if followed is not None:
            face = self._same(self._search.around(frame, followed), followed)
        if self._is_search_due(slot, found=face is not None):
            everywhere = self._everywhere(slot, frame, followed)
            face = face or everywhere
        if face is not None:
            self._last = _Knot(slot, face, self._track)
        return self._last if face is not None else None

    def _followed(self, slot: int) -> Face | None:
        """The face to look for, unless it has been lost for too long."""
        if self._last is None or slot - self._last.slot > self._options.lost_slots:
            return None
        return self._last.face

    def _is_search_due(self, slot: int, found: bool) -> bool:
        wait = self._options.survey_slots if found else self._options.search_slots
        return slot - self._searched_slot >= wait

    def _everywhere(self, slot: int, frame: VideoFrame, followed: Face | None) -> Face | None:
        """The followed face, or the first of a new track where none is followed."""
        self._searched_slot = slot
        faces = self._search.everywhere(frame)
        self.faces_seen = max(self.faces_seen, len(faces))
        if followed is not None:
            return self._same(faces, followed)
        self._track += bool(faces)
        return max(faces, key=lambda face: face.weight, default=None)

    def _same(self, faces: list[Face], followed: Face) -> Face | None:
        """The nearest of those that can be the followed face."""
        near = [face for face in faces if _is_same(face, followed, self._options)]
        return min(near, key=lambda face: _distance(face, followed), default=None)


class _Joiner:
    """Holds slots back until the detections around them are in, and joins these."""

    def __init__(self, options: TrackOptions) -> None:
        self._options = options
        self._slots: deque[TrackedSlot] = deque()
        self._knots: list[_Knot] = []
        self._searched = -1

    @property
    def last_unsearched(self) -> TrackedSlot | None:
        """The last slot, if no picture of it was searched."""
        if self._slots and self._slots[-1].slot > self._searched:
            return self._slots[-1]
        return None

    def slot(self, slot: int, frame: VideoFrame) -> None:
        self._slots.append(TrackedSlot(slot, frame))

    def knot(self, slot: int, knot: _Knot | None) -> None:
        self._searched = slot
        if knot is not None:
            self._knots.append(knot)

    def ready(self, final: bool = False) -> list[TrackedSlot]:
        """The slots whose surroundings are known; all of them when the clip has ended."""
        done = []
        while self._slots and (final or self._is_known(self._slots[0].slot)):
            done.append(self._joined(self._slots.popleft()))
        first = self._slots[0].slot if self._slots else self._searched
        while len(self._knots) > 2 and self._knots[2].slot <= first:
            del self._knots[0]
        return done

    def _around(self, slot: int) -> tuple[int | None, int | None]:
        """Indices of the last detection at or before a slot and of the first after it."""
        after = next((i for i, k in enumerate(self._knots) if k.slot > slot), len(self._knots))
        return after - 1 if after else None, after if after < len(self._knots) else None

    def _is_known(self, slot: int) -> bool:
        every = self._options.every_slots
        before, after = self._around(slot)
        if before is None:
            return self._searched >= slot
        if self._knots[before].slot == slot:
            return self._searched >= slot + every
        if after is not None:
            return self._searched >= self._knots[after].slot + every
        return self._searched >= self._knots[before].slot + self._options.bridge_slots

    def _joined(self, slot: TrackedSlot) -> TrackedSlot:
        before, after = self._around(slot.slot)
        if before is None:
            return slot
        if self._knots[before].slot == slot.slot:
            return _tracked(slot, self._smooth(before))
        if after is None or not self._linked(before, after):
            return slot
        first, last = self._knots[before].slot, self._knots[after].slot
        part = (slot.slot - first) / (last - first)
        values = (1 - part) * self._smooth(before) + part * self._smooth(after)
        return _tracked(slot, values)

    def _smooth(self, index: int) -> NDArray[np.float64]:
        """A detection, a quarter of each neighbour mixed in where both are a step away."""
        here = _values(self._knots[index].face)
        if not 0 < index < len(self._knots) - 1:
            return here
        around = (index - 1, index + 1)
        if not all(self._is_step(index, other) for other in around):
            return here
        return 0.5 * here + 0.25 * sum(_values(self._knots[i].face) for i in around)

    def _is_step(self, index: int, other: int) -> bool:
        gap = abs(self._knots[index].slot - self._knots[other].slot)
        return gap == self._options.every_slots and self._linked(index, other)

    def _linked(self, index: int, other: int) -> bool:
        """Whether the face went from one to the other without a cut."""
        a, b = self._knots[index], self._knots[other]
        near = abs(a.slot - b.slot) <= self._options.bridge_slots
        return near and a.track == b.track and _is_same(a.face, b.face, self._options)


def first_slot_from(seconds: float) -> int:
    """The first slot whose centre is not before a moment."""
    return max(0, math.ceil(seconds * TRACK_RATE_HZ - 0.5 - _CENTRE_TOLERANCE))


_first_slot_from = first_slot_from


def _is_same(face: Face, other: Face, options: TrackOptions) -> bool:
    if max(face.side, other.side) > options.same_ratio * min(face.side, other.side):
        return False
    if shared(face, other) >= options.same_overlap:
        return True
    return _distance(face, other) <= options.same_distance * max(face.side, other.side)


def _distance(face: Face, other: Face) -> float:
    return float(np.hypot(*(face.centre - other.centre)))


def _values(face: Face) -> NDArray[np.float64]:
    """float64 [17]: box, score, key points, in pixels."""
    return np.concatenate([face.box, [face.score], face.points.ravel()])


def _tracked(slot: TrackedSlot, values: NDArray[np.float64]) -> TrackedSlot:
    """The slot with the face of these values, turned into fractions of the picture."""
    width, height = slot.frame.size
    left, top, wide, high = (values[:4] / (width, height, width, height)).tolist()
    points = (values[5:].reshape(6, 2) / (width, height)).ravel().tolist()
    return TrackedSlot(
        slot.slot, slot.frame, (left, top, wide, high), float(values[4]), tuple(points)
    )
