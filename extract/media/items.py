"""What decoding hands on: stretches of sound and pictures, on the clip's time line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Box = tuple[float, float, float, float]

_CHROMA_STEP = {"yuv420p": 2, "yuvj420p": 2, "yuv444p": 1, "yuvj444p": 1}
"""Planar formats that are cut before they become RGB → luma pixels for one chroma pixel."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of sound at its native rate.

    Chunks of a clip come in order and never overlap; between two of them there may be a gap.

    Attributes:
        samples: float32 [channels, n], full scale is 1.0; of a damaged file some may be no numbers.
        sample_rate_hz: rate of `samples`; a damaged or spliced file may change it midway.
        start_seconds: clip time of the first sample.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_seconds: float

    @property
    def end_seconds(self) -> float:
        """Clip time just after the last sample."""
        length: int = self.samples.shape[1]
        return self.start_seconds + length / self.sample_rate_hz


@dataclass(frozen=True)
class VideoFrame:
    """A picture, upright and cropped; turned into RGB only where somebody looks at it.

    Attributes:
        picture: the decoder's frame, in its own pixel format, not turned, not cropped.
        start_seconds: clip time at which it comes on screen, never below 0.
        seconds: how long the file says that it stays; it really stays until the next one comes.
        rotation: degrees counter-clockwise (0, 90, 180, 270) that make the picture upright.
        crop: left, top, right, bottom of the part that is the clip, as fractions of the upright
            picture.
    """

    picture: av.VideoFrame
    start_seconds: float
    seconds: float
    rotation: int = 0
    crop: Box = WHOLE

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of `rgb` in pixels."""
        left, top, right, bottom = self._edges
        return right - left, bottom - top

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height, width, 3]."""
        left, top, right, bottom = self._edges
        pixels = to_rgb(self.picture)
        upright = np.rot90(pixels, self.rotation // 90)
        return np.ascontiguousarray(upright[top:bottom, left:right])

    def region(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """A part of the picture, uint8 [bottom - top, right - left, 3]; equals that part of `rgb`.

        Only the part is turned into RGB where the pixel format allows it, which for a face in a
        1080p picture costs a tenth. The part must lie inside the picture.
        """
        x, y, _, _ = self._edges
        if "rgb" in self.__dict__ or self.rotation or self.picture.format.name not in _CHROMA_STEP:
            return self.rgb[top:bottom, left:right]
        return sliced_rgb(self.picture, x + left, y + top, x + right, y + bottom)

    @property
    def _edges(self) -> tuple[int, int, int, int]:
        """The crop in whole pixels of the upright picture, at least one pixel wide and high."""
        width, height = self.picture.width, self.picture.height
        if self.rotation % 180:
            width, height = height, width
        left, top, right, bottom = self.crop
        x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
        return x, y, max(x + 1, round(right * width)), max(y + 1, round(bottom * height))


def to_rgb(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """The decoder's frame as uint8 [height, width, 3]."""
    return np.asarray(picture.to_ndarray(format="rgb24", threads=1), np.uint8)


def sliced_rgb(
    picture: av.VideoFrame, left: int, top: int, right: int, bottom: int
) -> NDArray[np.uint8]:
    """A part of a planar frame as RGB, equal to that part of the whole frame as RGB."""
    import av

    x, y = left // 2 * 2, top // 2 * 2
    width, height = (right - x + 1) // 2 * 2, (bottom - y + 1) // 2 * 2
    width, height = min(width, picture.width - x), min(height, picture.height - y)
    if width % 2 or height % 2:
        return to_rgb(picture)[top:bottom, left:right]
    step = _CHROMA_STEP[picture.format.name]
    luma, *chroma = picture.planes
    parts = [_cut(luma, x, y, width, height)]
    parts += [_cut(p, x // step, y // step, width // step, height // step) for p in chroma]
    shape = (height * 3 // 2, width) if step == 2 else (3, height, width)
    pixels = np.concatenate(parts).reshape(shape)
    part = av.VideoFrame.from_ndarray(pixels, format=picture.format.name)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    return to_rgb(part)[top - y : bottom - y, left - x : right - x]


def _cut(plane: av.video.plane.VideoPlane, x: int, y: int, w: int, h: int) -> NDArray[np.uint8]:
    pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    part: NDArray[np.uint8] = pixels[y : y + h, x : x + w].ravel()
    return part
