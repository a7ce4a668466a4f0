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

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of sound at its native rate.

    Chunks of a clip come in order and never overlap; between two of them there may be a gap.

    Attributes:
        samples: float32 [channels, n], full scale is 1.0.
        sample_rate_hz: rate of `samples`; a damaged or spliced file may change it midway.
        start_seconds: clip time of the first sample.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_seconds: float

    @property
    def end_seconds(self) -> float:
        """Clip time just after the last sample."""
        return self.start_seconds + self.samples.shape[1] / self.sample_rate_hz


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
        pixels = self.picture.to_ndarray(format="rgb24")
        upright = np.rot90(pixels, self.rotation // 90)
        return np.ascontiguousarray(upright[top:bottom, left:right]).astype(np.uint8, copy=False)

    @property
    def _edges(self) -> tuple[int, int, int, int]:
        """The crop in whole pixels of the upright picture, at least one pixel wide and high."""
        width, height = self.picture.width, self.picture.height
        if self.rotation % 180:
            width, height = height, width
        left, top, right, bottom = self.crop
        x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
        return x, y, max(x + 1, round(right * width)), max(y + 1, round(bottom * height))
