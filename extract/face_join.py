"""Slots between detections: interpolated, smoothed, handed on in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.face_detector import Face
from extract.face_follow import Knot, TrackOptions, is_same
from extract.media import VideoFrame

TRACK_DIMS = 18


@dataclass(frozen=True)
class TrackedSlot:
    """What is known of one slot.

    Attributes:
        slot: number at 30 a second; the slot's centre is (slot + 0.5) / 30 s.
        frame: the picture on screen at the centre.
        box: left, top, width, height as fractions of the picture; None: no face followed.
        score: confidence of the detection, interpolated; 0 without a face.
        keypoints: six times x, y as fractions of the picture; empty without a face.
        faces: how many faces the last search beyond the followed one found; 0 without a face.
    """

    slot: int
    frame: VideoFrame
    box: tuple[float, float, float, float] | None = None
    score: float = 0.0
    keypoints: tuple[float, ...] = ()
    faces: int = 0

    def vector(self) -> NDArray[np.float32]:
        """float32 [18]: box, score, key points, number of faces; zeros without a face."""
        if self.box is None:
            return np.zeros(TRACK_DIMS, np.float32)
        return np.array([*self.box, self.score, *self.keypoints, self.faces], np.float32)


class Joiner:
    """Holds slots back until the detections around them are in, and joins these."""

    def __init__(self, options: TrackOptions) -> None:
        self._options = options
        self._slots: deque[TrackedSlot] = deque()
        self._knots: list[Knot] = []
        self._searched = -1
        # What is known of a detection stays so, and several slots ask for it.
        self._smoothed: dict[int, NDArray[np.float64]] = {}
        self._links: dict[tuple[int, int], bool] = {}

    @property
    def last_unsearched(self) -> TrackedSlot | None:
        """The last slot, if no picture of it was searched."""
        if self._slots and self._slots[-1].slot > self._searched:
            return self._slots[-1]
        return None

    def slot(self, slot: int, frame: VideoFrame) -> None:
        self._slots.append(TrackedSlot(slot, frame))

    def knot(self, slot: int, knot: Knot | None) -> None:
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
            self._forget(self._knots.pop(0))
        return done

    def _forget(self, knot: Knot) -> None:
        self._smoothed.pop(knot.slot, None)
        self._links = {pair: link for pair, link in self._links.items() if knot.slot not in pair}

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
            return _tracked(slot, self._smooth(before), self._knots[before].faces)
        if after is None or not self._linked(before, after):
            return slot
        first, last = self._knots[before].slot, self._knots[after].slot
        part = (slot.slot - first) / (last - first)
        values = (1 - part) * self._smooth(before) + part * self._smooth(after)
        return _tracked(slot, values, self._knots[before].faces)

    def _smooth(self, index: int) -> NDArray[np.float64]:
        """A detection, a quarter of each neighbour mixed in where both are a step away."""
        slot = self._knots[index].slot
        if slot not in self._smoothed:
            self._smoothed[slot] = self._mixed(index)
        return self._smoothed[slot]

    def _mixed(self, index: int) -> NDArray[np.float64]:
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
        pair = (min(a.slot, b.slot), max(a.slot, b.slot))
        if pair not in self._links:
            self._links[pair] = self._is_joined(a, b)
        return self._links[pair]

    def _is_joined(self, a: Knot, b: Knot) -> bool:
        near = abs(a.slot - b.slot) <= self._options.bridge_slots
        return near and a.track == b.track and is_same(a.face, b.face, self._options)


def _values(face: Face) -> NDArray[np.float64]:
    """float64 [17]: box, score, key points, in pixels."""
    return np.concatenate([face.box, [face.score], face.points.ravel()])


def _tracked(slot: TrackedSlot, values: NDArray[np.float64], faces: int) -> TrackedSlot:
    """The slot with the face of these values, turned into fractions of the picture."""
    width, height = slot.frame.size
    left, top, wide, high = (values[:4] / (width, height, width, height)).tolist()
    points = (values[5:].reshape(6, 2) / (width, height)).ravel().tolist()
    box = (left, top, wide, high)
    return TrackedSlot(slot.slot, slot.frame, box, float(values[4]), tuple(points), faces)
