"""A clip as forgeries need it: the face's surroundings at one size and rate, mono sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.cache import ColumnReader
from avfd.clips import Clip
from avfd.errors import AbsentError
from avfd.specs import AudioInput
from extract.audio import AudioTap
from extract.faces import TRACK_RATE_HZ
from extract.media import AudioChunk, VideoFrame, decode
from extract.scans import Roots

FPS = 25
SAMPLE_RATE_HZ = 16_000
FRAME_PX = 256
AROUND = 2.0
"""Side of the picture in sides of the face's box."""

Pictures = NDArray[np.uint8]
Sound = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Material:
    """What a forgery is made of.

    Attributes:
        pictures: uint8 [frames, 256, 256, 3], 25 a second.
        boxes: the face in each picture: left, top, width, height in pixels, [frames, 4].
        sound: float32 [n], mono, 16 kHz, as long as the pictures.
    """

    pictures: Pictures
    boxes: NDArray[np.float64]
    sound: Sound


def whole_frames(seconds: float) -> int:
    """How many pictures fit into that time; a length that is whole frames keeps them all."""
    return int(seconds * FPS + 1e-6)


def load(clip: Clip, roots: Roots, track: ColumnReader, seconds: float) -> Material:
    """Decode the first `seconds` of a clip around its face.

    Raises:
        AbsentError: no face, no picture or no sound in that stretch.
        MediaError: the file cannot be read.
    """
    frames = whole_frames(seconds)
    square, boxes = _faces(clip, track, frames)
    tap = AudioTap(AudioInput(SAMPLE_RATE_HZ), seconds)
    sound: list[NDArray[np.float32]] = []
    pictures = np.zeros((frames, FRAME_PX, FRAME_PX, 3), np.uint8)
    shown: VideoFrame | None = None
    drawn = 0
    for item in decode(roots.media, roots.audio, clip, audio=True, video=True):
        if isinstance(item, AudioChunk):
            sound += [block.samples for block in tap.push(item)]
            continue
        until = min(frames, int(np.ceil(item.start_seconds * FPS - 0.5)))
        if shown is not None and until > drawn:
            pictures[drawn:until] = _cut(shown, square)
            drawn = until
        shown = item
    sound += [block.samples for block in tap.finish()]
    if shown is None or not sound:
        raise AbsentError("the clip lacks picture or sound", where=clip.key)
    pictures[drawn:] = _cut(shown, square)
    heard = np.concatenate(sound)[: frames * SAMPLE_RATE_HZ // FPS]
    return Material(
        pictures, boxes, np.pad(heard, (0, frames * SAMPLE_RATE_HZ // FPS - len(heard)))
    )


def _faces(clip: Clip, track: ColumnReader, frames: int) -> tuple[Box, NDArray[np.float64]]:
    """The square to cut, in fractions of the frame, and the face in it at each picture."""
    found = track.read(clip.key)
    valid = found.valid.reshape(-1)
    rows = np.asarray(found.values, np.float64).reshape(len(valid), -1)[:, :4]
    slots = np.minimum((np.arange(frames) * TRACK_RATE_HZ) // FPS, len(valid) - 1)
    if not valid[slots].any():
        raise AbsentError("no face in the stretch that would be used", where=clip.key)
    known = np.flatnonzero(valid)
    nearest = known[np.abs(known[None] - slots[:, None]).argmin(axis=1)]
    pixels = rows[nearest] * (clip.width, clip.height, clip.width, clip.height)
    middle = np.median(pixels[:, :2] + pixels[:, 2:] / 2, axis=0)
    side = AROUND * float(np.median(pixels[:, 2:].max(axis=1)))
    left, top = middle - side / 2
    scale = FRAME_PX / side
    boxes = np.column_stack([(pixels[:, :2] - (left, top)) * scale, pixels[:, 2:] * scale])
    return (left / clip.width, top / clip.height, side / clip.width, side / clip.height), boxes


def _cut(frame: VideoFrame, square: Box) -> Pictures:
    """The square of a frame at 256 px, black outside the frame."""
    from PIL import Image

    width, height = frame.size
    left, top = square[0] * width, square[1] * height
    right, bottom = left + square[2] * width, top + square[3] * height
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))
    if x1 <= x0 or y1 <= y0:
        return np.zeros((FRAME_PX, FRAME_PX, 3), np.uint8)
    part = Image.fromarray(frame.region(x0, y0, x1, y1))
    scale_x, scale_y = FRAME_PX / (right - left), FRAME_PX / (bottom - top)
    size = (max(1, round((x1 - x0) * scale_x)), max(1, round((y1 - y0) * scale_y)))
    canvas = Image.new("RGB", (FRAME_PX, FRAME_PX))
    place = (round((x0 - left) * scale_x), round((y0 - top) * scale_y))
    canvas.paste(part.resize(size, Image.Resampling.BICUBIC), place)
    return np.asarray(canvas)
