"""Which of the faces in a picture is the one that is followed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from extract.face_detector import Face, FaceSearch, SearchOptions, shared
from extract.media import VideoFrame


@dataclass(frozen=True)
class TrackOptions:
    """Every constant that decides a track; slots are of 1/30 s.

    Attributes:
        every_slots: a picture is searched every so many slots.
        bridge_slots: detections of one face this far apart at most are joined by interpolation.
        lost_slots: a face not seen for longer is given up, and the largest one taken.
        search_slots: while the face is lost, tiles are searched this often, and the picture as a
            whole at every step.
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


@dataclass(frozen=True)
class Knot:
    """A detection of the followed face: what slots between two of them are made from.

    Attributes:
        slot: where the picture was looked at.
        face: what was found there.
        track: another number is another face.
        faces: how many the last search beyond the followed face found, itself included.
    """

    slot: int
    face: Face
    track: int
    faces: int


class Follower:
    """Finds the followed face in one picture after the other."""

    def __init__(self, options: TrackOptions, search: FaceSearch) -> None:
        self._options = options
        self._search = search
        self._last: Knot | None = None
        self._searched_slot = -math.inf
        self._track = 0
        self._faces = 0

    def look(self, slot: int, frame: VideoFrame) -> Knot | None:
        """The followed face in the picture of a slot, or None."""
        followed = self._followed(slot)
        face = None
        if followed is not None:
            face = self._same(self._search.around(frame, followed), followed)
        if self._is_search_due(slot, found=face is not None):
            self._searched_slot = slot
            searched = self._chosen(self._search.everywhere(frame), followed)
            face = face or searched
        elif face is None:
            face = self._chosen(self._search.whole(frame), followed)
        if face is not None:
            self._last = Knot(slot, face, self._track, self._faces)
        return self._last if face is not None else None

    def _followed(self, slot: int) -> Face | None:
        """The face to look for, unless it has been lost for too long."""
        if self._last is None or slot - self._last.slot > self._options.lost_slots:
            return None
        return self._last.face

    def _is_search_due(self, slot: int, found: bool) -> bool:
        wait = self._options.survey_slots if found else self._options.search_slots
        return slot - self._searched_slot >= wait

    def _chosen(self, faces: list[Face], followed: Face | None) -> Face | None:
        """The followed face, or the first of a new track where none is followed."""
        self._faces = len(faces) or self._faces
        if followed is not None:
            return self._same(faces, followed)
        self._track += bool(faces)
        return max(faces, key=lambda face: face.weight, default=None)

    def _same(self, faces: list[Face], followed: Face) -> Face | None:
        """The nearest of those that can be the followed face."""
        near = [face for face in faces if is_same(face, followed, self._options)]
        return min(near, key=lambda face: distance(face, followed), default=None)


def is_same(face: Face, other: Face, options: TrackOptions) -> bool:
    """Whether two detections, of one picture or of two, can be of one face."""
    if max(face.side, other.side) > options.same_ratio * min(face.side, other.side):
        return False
    if shared(face, other) >= options.same_overlap:
        return True
    return distance(face, other) <= options.same_distance * max(face.side, other.side)


def distance(face: Face, other: Face) -> float:
    """Between the centres, in pixels."""
    return float(np.hypot(*(face.centre - other.centre)))
