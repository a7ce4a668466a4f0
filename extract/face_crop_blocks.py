"""Crops of one `FaceInput` on their way to backbones: which picture, which box, which block.

A slot shows the picture on screen at its centre, at any rate. Its box, and whether there is a face
at all, is the track's at the slot of 1/30 s that covers that moment (the later one of two whose
edge it is), so it is at most 1/60 s off. At 30 a second, and at rates whose centres are among the
track's (10, 6, 2), picture and box are of one moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avfd.specs import FaceInput
from extract.backbones.base import FaceBlock
from extract.faces import TRACK_DIMS, TRACK_RATE_HZ, TrackedSlot, crop, first_slot_from
from extract.media import VideoFrame

BLOCK_SECONDS = 8  # of crops that a backbone is given at once: 12 MB at 224 px and 10 a second


class Track:
    """The rows of a clip's face track, as they become known or all at once from the cache.

    Attributes:
        rows: of the clip.
        values: float32 [rows · 30, 18], zero without a face.
        valid: bool [rows · 30], where a face is followed.
        known: slots before this one will not change any more.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.values = np.zeros((rows * TRACK_RATE_HZ, TRACK_DIMS), dtype=np.float32)
        self.valid = np.zeros(rows * TRACK_RATE_HZ, dtype=bool)
        self.known = 0

    @classmethod
    def stored(cls, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Track:
        """A track from the cache.

        Args:
            values: float32 [rows, 30, 18].
            valid: bool [rows, 30].
        """
        track = cls(len(valid))
        track.values[:] = values.reshape(-1, TRACK_DIMS)
        track.valid[:] = valid.reshape(-1)
        track.end()
        return track

    def put(self, slot: TrackedSlot) -> None:
        """Take the next slot, with a face or without."""
        self.known = slot.slot + 1
        if slot.box is not None and slot.slot < len(self.valid):
            self.values[slot.slot] = slot.vector()
            self.valid[slot.slot] = True

    def end(self) -> None:
        """Nothing more comes."""
        self.known = len(self.valid)


Shown = tuple[int, VideoFrame]
"""A slot, and the picture on screen at its centre."""


class Screen:
    """Pictures in order → the slots of one rate, each with the picture on screen at its centre.

    Slots before the first picture have none; the last one stays for its own time.

    Attributes:
        end_slot: the first slot after the pictures; None as long as they go on.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._on_screen: VideoFrame | None = None
        self._next = 0
        self.end_slot: int | None = None

    def push(self, frame: VideoFrame) -> list[Shown]:
        """Take the next picture; the slots of the one before."""
        before, self._on_screen = self._on_screen, frame
        return self._until(first_slot_from(frame.start_seconds, self._rate_hz), before)

    def finish(self) -> list[Shown]:
        """The slots of the last picture."""
        last, self._on_screen = self._on_screen, None
        end = 0.0 if last is None else last.start_seconds + last.seconds
        shown = self._until(first_slot_from(end, self._rate_hz), last)
        self.end_slot = self._next
        return shown

    def _until(self, end: int, frame: VideoFrame | None) -> list[Shown]:
        first, self._next = self._next, max(self._next, end)
        return [] if frame is None else [(slot, frame) for slot in range(first, self._next)]


class CropBlocks:
    """Crops of one `FaceInput`, gathered into blocks of whole seconds; black without a face.

    Args:
        wanted: what the crops are like.
        track: their boxes.
        around: crops of the blocks before and after that each block shows too.
    """

    def __init__(self, wanted: FaceInput, track: Track, around: tuple[int, int] = (0, 0)) -> None:
        self.wanted, self.around = wanted, around
        self._track = track
        self._screen = Screen(wanted.rate_hz)
        self._waiting: deque[Shown] = deque()
        self._slots = track.rows * wanted.rate_hz
        side = wanted.size_px
        self._core = 0  # first slot of the block that is gathered
        self._first = 0  # slot of the first crop held
        self._crops = np.zeros((0, side, side, 3), dtype=np.uint8)
        self._valid = np.zeros(0, dtype=bool)
        self._hold_from(0)

    def push(self, frame: VideoFrame) -> Iterator[FaceBlock]:
        """Take the next picture; the blocks that are complete, as far as the track is known."""
        return self._taken(self._screen.push(frame))

    def finish(self) -> Iterator[FaceBlock]:
        """What is left, up to the clip's last row; the track must have ended."""
        yield from self._taken(self._screen.finish())
        yield from self._blocks_before(self._slots)

    def _taken(self, shown: list[Shown]) -> Iterator[FaceBlock]:
        self._waiting += [(slot, frame) for slot, frame in shown if slot < self._slots]
        rate_hz, known = self.wanted.rate_hz, self._track.known
        while self._waiting and track_slot_of(self._waiting[0][0], rate_hz) < known:
            slot, frame = self._waiting.popleft()
            yield from self._blocks_before(slot)
            self._put(slot, frame)

    def _put(self, slot: int, frame: VideoFrame) -> None:
        """Cut a crop, where a face is followed."""
        place = track_slot_of(slot, self.wanted.rate_hz)
        if self._track.valid[place]:
            row = self._track.values[place]
            self._crops[slot - self._first] = crop(frame, row, self.wanted)
            self._valid[slot - self._first] = True

    def _blocks_before(self, slot: int) -> Iterator[FaceBlock]:
        """The blocks that need no crop of that slot or a later one."""
        while self._core < self._slots and slot >= self._stop():
            lead, tail = self._core - self._first, self._stop() - self._core_stop()
            end_slot = self._screen.end_slot
            yield FaceBlock(self._crops, self._first, self._valid, lead, tail, end_slot)
            self._core = self._core_stop()
            self._hold_from(max(0, self._core - self.around[0]))

    def _core_stop(self) -> int:
        return min(self._core + self.wanted.rate_hz * BLOCK_SECONDS, self._slots)

    def _stop(self) -> int:
        return min(self._core_stop() + self.around[1], self._slots)

    def _hold_from(self, first: int) -> None:
        """Begin new arrays at that slot; those of a block that was given away are read-only."""
        crops, valid = self._crops[first - self._first :], self._valid[first - self._first :]
        n, kept = max(0, self._stop() - first), len(valid)
        self._crops = np.zeros((n, *crops.shape[1:]), dtype=np.uint8)
        self._valid = np.zeros(n, dtype=bool)
        self._crops[:kept], self._valid[:kept] = crops, valid
        self._first = first


def track_slot_of(crop_slot: int, rate_hz: int) -> int:
    """The slot of the track that covers a crop slot's centre.

    >>> [track_slot_of(i, 10) for i in range(4)], [track_slot_of(i, 30) for i in range(4)]
    ([1, 4, 7, 10], [0, 1, 2, 3])
    """
    return (2 * crop_slot + 1) * TRACK_RATE_HZ // (2 * rate_hz)
