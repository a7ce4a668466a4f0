"""The pictures of one clip → its face track → crops for every backbone that asks for some.

The track is made here once, or comes from the cache; the crops are cut from the frame and the
track's row in either case, so they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avfd.specs import ABSENT, FaceInput
from extract.assembly import Assembly, Ending, costing
from extract.backbones.base import Backbone, FaceBlock, Slots, is_face_pass
from extract.face_detector import Detector
from extract.faces import (
    TRACK_DIMS,
    TRACK_RATE_HZ,
    FaceTracker,
    TrackedSlot,
    TrackOptions,
    crop,
    first_slot_from,
)
from extract.media import VideoFrame
from extract.stopwatch import Stopwatch
from extract.task import FACE_TRACK, Task

BLOCK_SECONDS = 8  # of crops that a backbone is given at once: 12 MB at 224 px and 10 a second

Pixels = NDArray[np.uint8]


class FaceFeed:
    """Takes a clip's frames; gives tracks and crops to its columns, whose errors stay theirs."""

    def __init__(self, columns: Sequence[Assembly], task: Task, detector: Detector | None) -> None:
        self.columns = columns
        self._frames = 0
        self._slots = Track(task.rows)
        wanted = dict.fromkeys(c.spec.faces for c in columns if c.spec.faces)
        self._crops = [CropBlocks(faces, task.rows) for faces in wanted]
        stored = task.stored.get(FACE_TRACK)
        self._source: FaceTracker | Replay | None = None
        if stored is not None and stored.values is not None and stored.valid is not None:
            self._source = Replay(stored.values, stored.valid)
        elif detector is not None:
            self._source = FaceTracker(TrackOptions(), detector)

    @property
    def nothing(self) -> Ending:
        """What columns that stay empty say."""
        return ABSENT, f"no face found in {self._frames} frames"

    def push(self, frame: VideoFrame, watch: Stopwatch) -> None:
        """Take the next frame."""
        self._frames += 1
        self._follow(lambda source: source.push(frame), watch)

    def finish(self, watch: Stopwatch) -> None:
        """Take the end of the clip."""
        self._follow(lambda source: source.finish(self._slots.rows), watch)
        with watch.on("features"):
            for crops in self._crops:
                self._give(crops.wanted, crops.finish())
            for column in self.columns:
                if is_face_pass(column.spec):
                    column.take(partial(_track_of, column.backbone), self._slots)

    def _follow(
        self, look: Callable[[FaceTracker | Replay], list[TrackedSlot]], watch: Stopwatch
    ) -> None:
        """Hand on the slots that are now known; an error of the tracker ends all its columns."""
        if self._source is None or not any(column.open for column in self.columns):
            return
        tracked: list[TrackedSlot] = []
        with watch.on("faces"), costing(self.columns):
            tracked = look(self._source)
        with watch.on("features"), costing(self.columns):
            for slot in tracked:
                self._take(slot)

    def _take(self, slot: TrackedSlot) -> None:
        if slot.box is None or slot.slot >= len(self._slots.valid):
            return
        row = self._slots.put(slot)
        for crops in self._crops:
            for place in crops.due(slot.slot):
                self._give(crops.wanted, crops.put(place, crop(slot.frame, row, crops.wanted)))

    def _give(self, wanted: FaceInput, blocks: Sequence[FaceBlock]) -> None:
        for column in self.columns:
            if column.spec.faces == wanted:
                for block in blocks:
                    column.take(column.backbone.faces, block)


class Track:
    """The rows of a face track while they come in: float32 [slots, 18] and bool [slots]."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.values = np.zeros((rows * TRACK_RATE_HZ, TRACK_DIMS), dtype=np.float32)
        self.valid = np.zeros(rows * TRACK_RATE_HZ, dtype=bool)

    def put(self, slot: TrackedSlot) -> NDArray[np.float32]:
        """Keep a slot with a face; its row."""
        row = slot.vector()
        self.values[slot.slot] = row
        self.valid[slot.slot] = True
        return row


def _track_of(backbone: Backbone, track: Track) -> Slots:
    return backbone.track(track.values, track.valid)


class Replay:
    """A track from the cache, laid over the frames again as `FaceTracker` laid it.

    Args:
        values: float32 [rows, 30, 18].
        valid: bool [rows, 30].
    """

    def __init__(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        self._values = values.reshape(-1, TRACK_DIMS)
        self._valid = valid.reshape(-1)
        self._on_screen: VideoFrame | None = None
        self._next_slot = 0

    def push(self, frame: VideoFrame) -> list[TrackedSlot]:
        """The slots that the frame before this one was on screen in."""
        before, self._on_screen = self._on_screen, frame
        return self._until(first_slot_from(frame.start_seconds), before)

    def finish(self, rows: int) -> list[TrackedSlot]:
        """The slots of the last frame."""
        last, self._on_screen = self._on_screen, None
        return self._until(rows * TRACK_RATE_HZ, last)

    def _until(self, end: int, frame: VideoFrame | None) -> list[TrackedSlot]:
        first, self._next_slot = self._next_slot, max(self._next_slot, end)
        if frame is None:
            return []
        slots = range(first, min(self._next_slot, len(self._valid)))
        return [self._slot(slot, frame) for slot in slots if self._valid[slot]]

    def _slot(self, slot: int, frame: VideoFrame) -> TrackedSlot:
        left, top, width, height, score, *points, faces = self._values[slot].tolist()
        box = (left, top, width, height)
        return TrackedSlot(slot, frame, box, score, tuple(points), int(faces))


class CropBlocks:
    """Crops of one `FaceInput`, gathered into blocks of whole seconds; black where none was put."""

    def __init__(self, wanted: FaceInput, rows: int) -> None:
        self.wanted = wanted
        self._slots = rows * wanted.rate_hz
        self._next = 0
        self._begin(0)

    def due(self, track_slot: int) -> Iterator[int]:
        """The crop slots whose centre lies in that slot of the track; ask in ascending order."""
        while (
            self._next < self._slots
            and track_slot_of(self._next, self.wanted.rate_hz) <= track_slot
        ):
            if track_slot_of(self._next, self.wanted.rate_hz) == track_slot:
                yield self._next
            self._next += 1

    def put(self, slot: int, crop: Pixels) -> list[FaceBlock]:
        """Take a crop; the blocks that it completes by lying beyond them."""
        done = self._blocks_before(slot)
        self._pixels[slot - self._first] = crop
        self._valid[slot - self._first] = True
        return done

    def finish(self) -> list[FaceBlock]:
        """What is left, up to the clip's last row."""
        return self._blocks_before(self._slots)

    def _blocks_before(self, slot: int) -> list[FaceBlock]:
        done = []
        while self._first < self._slots and slot >= self._first + len(self._valid):
            done.append(FaceBlock(self._pixels, self._first, self._valid))
            self._begin(self._first + len(self._valid))
        return done

    def _begin(self, first: int) -> None:
        n = max(0, min(self.wanted.rate_hz * BLOCK_SECONDS, self._slots - first))
        side = self.wanted.size_px
        self._first = first
        self._pixels = np.zeros((n, side, side, 3), dtype=np.uint8)
        self._valid = np.zeros(n, dtype=bool)


def track_slot_of(crop_slot: int, rate_hz: int) -> int:
    """The slot of the track that covers a crop slot's centre.

    >>> [track_slot_of(i, 10) for i in range(4)], [track_slot_of(i, 30) for i in range(4)]
    ([1, 4, 7, 10], [0, 1, 2, 3])
    """
    return (2 * crop_slot + 1) * TRACK_RATE_HZ // (2 * rate_hz)
