"""A folder of numbered JPEG frames, in the place of a film: VidTIMIT's pictures.

A frame's number is its time, so a missing one keeps the earlier picture on screen. The frames are
read one by one; nothing but their names is held.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

from avfd.errors import MediaError

if TYPE_CHECKING:
    from av import Packet, VideoStream
    from av.stream import Stream

FRAMES_FPS = 25
"""Of VidTIMIT (FACTS.md 14.4); a folder does not say it."""

_FRAME = re.compile(r"([0-9]{1,9})(?:\.jpe?g)?", re.IGNORECASE)
_JPEG_START = b"\xff\xd8"
_DAMAGE = b"\0"
"""What the decoder gets of a file that is no JPEG: no bytes would tell it that the track ends."""


def frame_number(name: str) -> int | None:
    """The number that a frame's file name is; None for another file.

    >>> frame_number("007"), frame_number("7.JPG"), frame_number("a7.jpg"), frame_number("7.png")
    (7, 7, None, None)
    """
    match = _FRAME.fullmatch(name)
    return int(match[1]) if match else None


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in the order of their numbers; other files are not among them."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if frame_number(e.name) is not None and e.is_file()]
    return [folder / name for name in sorted(names, key=lambda name: (frame_number(name), name))]


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes of a file and its time of change in ns; of a folder those of all frames and the newest.

    The folder's own time counts, too: where a frame got another number, it alone changes.
    """
    own = path.stat()
    if not S_ISDIR(own.st_mode):
        return own.st_size, own.st_mtime_ns
    stats = [frame.stat() for frame in frame_files(path)]
    newest = max(stat.st_mtime_ns for stat in (own, *stats))
    return sum(stat.st_size for stat in stats), newest


def listed(folder: Path) -> list[Path]:
    """The frames of a folder that is to be opened; `MediaError` where there is none."""
    try:
        frames = frame_files(folder)
    except OSError as error:
        raise MediaError("the folder cannot be read", where=folder, found=error.strerror) from error
    if not frames:
        raise MediaError(
            "the folder holds no numbered frames",
            where=folder,
            accepted="JPEG files named by their number, such as 001 or 001.jpg",
        )
    return frames


def first_picture(folder: Path, frames: Sequence[Path]) -> Path:
    """The first of the frames that begins as JPEG does; `MediaError` where none does."""
    found = next((frame for frame in frames if _content(frame, 2) == _JPEG_START), None)
    if found is None:
        raise MediaError(
            "none of the numbered files is a JPEG picture",
            where=folder,
            found=f"{len(frames)} files",
            next_step="if they were copied or downloaded, check that the copy is complete",
        )
    return found


class FrameFolder:
    """What stands for a container: its packets are the frames' files, its only track a JPEG's.

    Args:
        frames: the files, see `frame_files`.
        track: the track of one of them, whose decoder the packets get.
    """

    duration: int | None = None  # nothing announces one

    def __init__(self, frames: Sequence[Path], track: VideoStream | None) -> None:
        assert track is not None  # a JPEG file has one
        self.streams: list[Stream] = [track]
        self._frames = frames
        numbers = [frame_number(frame.name) or 0 for frame in frames]
        self._stamps = [number - numbers[0] for number in numbers]
        self._next = 0

    def demux(self, *_: object) -> Iterator[Packet[Stream]]:
        """A packet a frame, from where `seek` left off."""
        for at in range(self._next, len(self._frames)):
            yield self._packet(self._stamps[at], self._frames[at])

    def seek(self, offset: int, *, backward: bool = True) -> None:
        """Go to the last frame at or before a moment in microseconds, else to the first."""
        stamp = offset * FRAMES_FPS // 1_000_000
        self._next = max(0, bisect_right(self._stamps, stamp) - 1)

    def _packet(self, stamp: int, frame: Path) -> Packet[Stream]:
        import av

        content = _content(frame)
        packet = av.Packet(content if content.startswith(_JPEG_START) else _DAMAGE)
        packet.stream = self.streams[0]
        packet.time_base = Fraction(1, FRAMES_FPS)
        packet.pts = packet.dts = stamp
        packet.duration = 1
        packet.is_keyframe = True
        return packet


def _content(frame: Path, size: int = -1) -> bytes:
    """A frame's bytes, or the first of them."""
    try:
        with frame.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise MediaError("the frame cannot be read", where=frame, found=error.strerror) from error
