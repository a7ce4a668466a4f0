"""The pictures of one clip → its face track → crops for every backbone that asks for some.

The track is made here once, or comes from the cache; the crops are cut from the picture and the
track's row in either case, so they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from avfd.specs import ABSENT, FaceInput
from extract.assembly import Assembly, Ending, costing
from extract.backbones.base import Backbone, FaceBlock, Slots, is_face_pass
from extract.face_crop_blocks import CropBlocks, Track
from extract.face_detector import Detector
from extract.faces import FaceTracker, TrackedSlot, TrackOptions
from extract.media import VideoFrame
from extract.stopwatch import Stopwatch
from extract.task import FACE_TRACK, Task


class FaceFeed:
    """Takes a clip's frames; gives tracks and crops to its columns, whose errors stay theirs."""

    def __init__(self, columns: Sequence[Assembly], task: Task, detector: Detector | None) -> None:
        self.columns = columns
        self._frames = 0
        self._tracker: FaceTracker | None = None
        stored = task.stored.get(FACE_TRACK)
        if stored is not None and stored.values is not None and stored.valid is not None:
            self._track = Track.stored(stored.values, stored.valid)
        else:
            self._track = Track(task.rows)
            if detector is not None:
                self._tracker = FaceTracker(TrackOptions(), detector)
        wanted = dict.fromkeys(crops for c in columns if (crops := crops_of(c)))
        followed = stored is not None or self._tracker is not None
        self._crops = [CropBlocks(f, self._track, n) for f, n in wanted if followed]

    @property
    def nothing(self) -> Ending:
        """What columns that stay empty say."""
        return ABSENT, f"no face found in {self._frames} frames"

    def push(self, frame: VideoFrame, watch: Stopwatch) -> None:
        """Take the next frame."""
        self._frames += 1
        if not any(column.open for column in self.columns):
            return
        self._follow(lambda tracker: tracker.push(frame), watch)
        for crops in self._crops:
            self._give(crops, lambda blocks: blocks.push(frame), watch)

    def finish(self, watch: Stopwatch) -> None:
        """Take the end of the clip."""
        if not any(column.open for column in self.columns):
            return
        self._follow(lambda tracker: tracker.finish(self._track.rows), watch)
        self._track.end()
        for crops in self._crops:
            self._give(crops, CropBlocks.finish, watch)
        with watch.on("features"):
            for column in self.columns:
                if is_face_pass(column.spec):
                    column.take(partial(_track_of, column.backbone), self._track)

    def _follow(self, look: Callable[[FaceTracker], list[TrackedSlot]], watch: Stopwatch) -> None:
        """Take the slots that are now known; an error of the tracker ends all its columns."""
        if self._tracker is None:
            return
        with watch.on("faces"), costing(self.columns):
            for slot in look(self._tracker):
                self._track.put(slot)

    def _give(
        self, crops: CropBlocks, cut: Callable[[CropBlocks], Iterable[FaceBlock]], watch: Stopwatch
    ) -> None:
        """Cut crops and hand on full blocks; an error in cutting ends the columns that wait."""
        takers = [c for c in self.columns if c.open and crops_of(c) == (crops.wanted, crops.around)]
        with costing(takers):
            for block in watch.drawing("crops", cut(crops)) if takers else ():
                with watch.on("features"):
                    for column in takers:
                        column.take(column.backbone.faces, block)


def crops_of(column: Assembly) -> tuple[FaceInput, tuple[int, int]] | None:
    """The crops that a column's backbone is given, and how many around each block."""
    faces = column.spec.faces
    return None if faces is None else (faces, column.backbone.crops_around)


def _track_of(backbone: Backbone, track: Track) -> Slots:
    return backbone.track(track.values, track.valid)
