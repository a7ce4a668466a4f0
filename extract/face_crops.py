"""Square face crops, cut from a picture along a row of the face track."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avfd.specs import FaceInput
from extract.media import VideoFrame

if TYPE_CHECKING:
    from PIL import Image

_EYES = slice(5, 9)


def crop(
    picture: NDArray[np.uint8] | VideoFrame, track_row: NDArray[np.float32], face: FaceInput
) -> NDArray[np.uint8]:
    """The face as uint8 [size, size, 3], RGB; black where the square leaves the picture.

    The square stands on the box's centre; its side is the longer side of the box (in pixels)
    plus the margin. A crop depends on the picture and the row alone.

    Args:
        picture: uint8 [height, width, 3], or a frame, of which only the face becomes RGB.
        track_row: float [18], as `TrackedSlot.vector` gives it.
        face: size, margin, alignment and interpolation.
    """
    height, width = _height_width(picture)
    row = np.asarray(track_row, np.float64)
    x, y = (row[0] + row[2] / 2) * width, (row[1] + row[3] / 2) * height
    side = max(1.0, max(row[2] * width, row[3] * height) * (1 + face.margin))
    if face.align == "eyes":
        right_eye, left_eye = row[_EYES].reshape(2, 2) * (width, height)
        degrees = math.degrees(math.atan2(*(left_eye - right_eye)[::-1]))
        return _level(picture, (x, y), side, degrees, face)
    left, top, pixels = _square(picture, (x, y), side)
    box = (x - side / 2 - left, y - side / 2 - top, x + side / 2 - left, y + side / 2 - top)
    return _resized(_image(pixels), box, face)


def _level(
    picture: NDArray[np.uint8] | VideoFrame,
    centre: tuple[float, float],
    side: float,
    degrees: float,
    face: FaceInput,
) -> NDArray[np.uint8]:
    """The square turned about its centre so that the eyes are level, the right eye at the left."""
    left, top, pixels = _square(picture, centre, side * math.sqrt(2))
    middle = (centre[0] - left, centre[1] - top)
    turned = _image(pixels).rotate(degrees, resample=_filters(face)[0], center=middle)
    half = side / 2
    box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    return _resized(turned, box, face)


def _square(
    picture: NDArray[np.uint8] | VideoFrame, centre: tuple[float, float], side: float
) -> tuple[int, int, NDArray[np.uint8]]:
    """Whole pixels around a square: left, top and uint8 [h, w, 3], black outside the picture."""
    left, top = math.floor(centre[0] - side / 2) - 1, math.floor(centre[1] - side / 2) - 1
    span = math.ceil(side) + 3
    height, width = _height_width(picture)
    x0, y0 = min(max(left, 0), width), min(max(top, 0), height)
    x1, y1 = max(x0, min(left + span, width)), max(y0, min(top + span, height))
    square = np.zeros((span, span, 3), np.uint8)
    if x1 > x0 and y1 > y0:
        square[y0 - top : y1 - top, x0 - left : x1 - left] = _part(picture, x0, y0, x1, y1)
    return left, top, square


def _part(
    picture: NDArray[np.uint8] | VideoFrame, x0: int, y0: int, x1: int, y1: int
) -> NDArray[np.uint8]:
    if isinstance(picture, VideoFrame):
        return picture.region(x0, y0, x1, y1)
    return picture[y0:y1, x0:x1]


def _height_width(picture: NDArray[np.uint8] | VideoFrame) -> tuple[int, int]:
    if isinstance(picture, VideoFrame):
        return picture.size[1], picture.size[0]
    return picture.shape[0], picture.shape[1]


def _resized(
    image: Image.Image, box: tuple[float, float, float, float], face: FaceInput
) -> NDArray[np.uint8]:
    """The box of the image at the size asked for; smaller faces are enlarged."""
    size = (face.size_px, face.size_px)
    return np.asarray(image.resize(size, resample=_filters(face)[1], box=box), np.uint8)


def _filters(face: FaceInput) -> tuple[Image.Resampling, Image.Resampling]:
    """How to turn and how to resize; resizing takes every pixel into account when it shrinks."""
    from PIL import Image

    bilinear, bicubic = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
    return {
        "bilinear": (bilinear, bilinear),
        "bicubic": (bicubic, bicubic),
        "area": (bilinear, Image.Resampling.BOX),
    }[face.interpolation]


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels)
