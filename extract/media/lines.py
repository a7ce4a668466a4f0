"""Decoded frames put in order on the clip's time line, cut to the clip.

Time stamps of real files jitter, repeat, run backwards and break. Sound is laid end to end as long
as its stamps agree with its sample count; pictures keep their stamps as long as these advance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avfd.errors import MediaError
from extract.media.items import WHOLE, AudioChunk, Box, VideoFrame
from extract.media.opening import MAX_GAP_SECONDS
from extract.media.rotation import upright_rotation

if TYPE_CHECKING:
    import av

JITTER_SECONDS = 0.02
"""Sound stamps this far from the sample count are jitter (Matroska rounds to milliseconds, clocks
drift); a larger step is a gap or an overlap. Half a picture at 25 fps; a lost AAC or MP3 frame
leaves a gap of 20 ms and more."""

MIN_PICTURE_PIXELS = 16
"""Pictures less wide or high than this show nothing."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a file's time line that is the clip.

    Attributes:
        start_seconds, end_seconds: of the part, on the file's line.
        shift_seconds: added to the file's times to give the clip's.
    """

    start_seconds: float = 0.0
    end_seconds: float = math.inf
    shift_seconds: float = 0.0


class SoundLine:
    """Sound frames → chunks in order, without overlap, cut to the window."""

    def __init__(self, window: Window, origin_seconds: float) -> None:
        self._window = window
        self._origin_seconds = origin_seconds
        self._next_seconds: float | None = None
        self.done = False
        self.items = 0
        self.lost_packets = 0
        self.dropped_seconds = 0.0
        self.numberless_seconds = 0.0
        self.last_seconds = -math.inf

    def push(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        """The part of the frame that belongs to the clip, or nothing."""
        samples, rate_hz = as_float(frame), frame.sample_rate
        start = self._start(frame)
        overlap = 0
        if self._next_seconds is not None and start < self._next_seconds - 0.5 / rate_hz:
            overlap = round((self._next_seconds - start) * rate_hz)
            self.dropped_seconds += min(overlap, samples.shape[1]) / rate_hz
        end = start + samples.shape[1] / rate_hz
        self._next_seconds = max(end, self._next_seconds or end)
        self.last_seconds = self._next_seconds
        self.done = start >= self._window.end_seconds
        first = max(overlap, math.ceil((self._window.start_seconds - start) * rate_hz - 1e-6), 0)
        last = min(samples.shape[1], _ceil((self._window.end_seconds - start) * rate_hz))
        if first < last:
            chunk = samples[:, first:last]
            numbers = int(np.isfinite(chunk).all(axis=0).sum())
            self.numberless_seconds += (last - first - numbers) / rate_hz
            self.items += numbers > 0
            at = start + first / rate_hz + self._window.shift_seconds
            yield AudioChunk(chunk, rate_hz, max(0.0, at))

    def finish(self) -> Iterator[AudioChunk]:
        """Nothing is held back."""
        return iter(())

    def _start(self, frame: av.AudioFrame) -> float:
        """When the frame starts on the file's line; end to end within the jitter."""
        stamp = None if frame.time is None else frame.time - self._origin_seconds
        expected = self._next_seconds
        if expected is None:
            return stamp or 0.0
        if stamp is None or abs(stamp - expected) > MAX_GAP_SECONDS:
            return expected
        return expected if abs(stamp - expected) <= JITTER_SECONDS else stamp


class PictureLine:
    """Picture frames → those on screen within the window, each with its time."""

    def __init__(
        self, window: Window, origin_seconds: float, frame_seconds: float, crop: Box | None
    ) -> None:
        self._window = window
        self._origin_seconds = origin_seconds
        self._frame_seconds = frame_seconds
        self._crop = crop or WHOLE
        self._before: VideoFrame | None = None
        self._rotation: int | None = None
        self.done = False
        self.items = 0
        self.lost_packets = 0
        self.dropped_seconds = 0.0
        self.last_seconds = -math.inf

    def push(self, frame: av.VideoFrame) -> Iterator[VideoFrame]:
        """The frame, where it belongs to the clip; the one on screen at the start comes first."""
        start = self._start(frame)
        if start <= self.last_seconds:
            self.dropped_seconds += self._frame_seconds
            return
        self.last_seconds = start
        self.done = start >= self._window.end_seconds
        item = self._item(frame, start)
        if start < self._window.start_seconds - 1e-6:
            self._before = item
            return
        if start > self._window.start_seconds + 1e-6:
            yield from self._on_screen_at_start()
        self._before = None
        if not self.done:
            self.items += 1
            yield item

    def finish(self) -> Iterator[VideoFrame]:
        """The file's last picture, if it is the one that is on screen when the window opens."""
        before = self._before
        if before and self.last_seconds + before.seconds > self._window.start_seconds:
            yield from self._on_screen_at_start()

    def _on_screen_at_start(self) -> Iterator[VideoFrame]:
        """The last picture before the window."""
        before, self._before = self._before, None
        if before is not None:
            self.items += 1
            yield before

    def _start(self, frame: av.VideoFrame) -> float:
        """When the frame comes on screen on the file's line."""
        expected = self.last_seconds + self._frame_seconds
        if frame.time is None:
            return expected if math.isfinite(expected) else 0.0
        stamp = frame.time - self._origin_seconds
        return expected if stamp - self.last_seconds > MAX_GAP_SECONDS and self.items else stamp

    def _item(self, frame: av.VideoFrame, start: float) -> VideoFrame:
        if self._rotation is None:
            self._rotation = upright_rotation(frame)
            _check_size(frame)
        seconds = float(frame.duration * (frame.time_base or 0)) if frame.duration else 0.0
        shown = max(start, self._window.start_seconds) + self._window.shift_seconds
        return VideoFrame(frame, shown, seconds or self._frame_seconds, self._rotation, self._crop)


def as_float(frame: av.AudioFrame) -> NDArray[np.float32]:
    """A frame's samples as float32 [channels, n], full scale 1.0; damage may be no numbers."""
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, len(frame.layout.channels)).T
    if raw.dtype == np.uint8:
        samples = (raw.astype(np.float32) - 128.0) / 128.0
    elif raw.dtype.kind == "i":
        samples = (raw / float(1 << (8 * raw.itemsize - 1))).astype(np.float32)
    else:
        samples = np.array(raw, np.float32)
    return samples


def _check_size(frame: av.VideoFrame) -> None:
    if min(frame.width, frame.height) < MIN_PICTURE_PIXELS:
        raise MediaError(
            "the pictures are too small to show anything",
            found=f"{frame.width} × {frame.height} pixels",
            accepted=f"at least {MIN_PICTURE_PIXELS} × {MIN_PICTURE_PIXELS}",
        )


def _ceil(value: float) -> float:
    return value if math.isinf(value) else math.ceil(value - 1e-6)
