"""The one real face: scikit-image's astronaut photograph (NASA, public domain), cut out and mapped.

Coordinates are pixels of the cut-out, x to the right, y down; measured by eye on the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from avfd.errors import MissingError

Image = NDArray[np.float32]
"""[height, width] or [height, width, 4]: red, green, blue 0 to 255, masks and alpha 0 to 1."""

LEFT, SIZE_PX = 96, 260
"""The cut-out is columns 96 to 355 and rows 0 to 259 of the 512 × 512 photograph."""

EYES = ((106.7, 100.3), (152.0, 102.5))
MOUTH_CORNERS = ((108.5, 141.5), (147.0, 142.0))
LOWER_LIP = (128.0, 149.3)
CHIN = (127.0, 177.0)

_SKIN = (
    (89, 72), (83, 110), (76, 118), (80, 130), (87, 128), (90, 165), (92, 182), (125, 190),
    (157, 187), (160, 166), (171, 134), (182, 131), (178, 122), (173, 113), (173, 88), (147, 82),
    (117, 78), (97, 72),
)  # fmt: skip
_HAIR_BOTTOM = 131
_COLLAR_TOP = 150


@dataclass(frozen=True)
class Photo:
    """The cut-out and where its parts are.

    Attributes:
        colour: [260, 260, 3].
        person, skin, hair, suit: soft masks [260, 260].
    """

    colour: Image
    person: Image
    skin: Image
    hair: Image
    suit: Image


@cache
def photograph() -> Photo:
    """The photograph, cut out; needs scikit-image."""
    try:
        from skimage import data
    except ImportError as error:
        raise MissingError(
            "the demo needs a photograph", where="scikit-image", next_step="pip install avfd[demo]"
        ) from error
    colour = data.astronaut()[:SIZE_PX, LEFT : LEFT + SIZE_PX].astype(np.float32)
    person = _person(colour)
    skin = _skin(colour)
    rows = np.arange(SIZE_PX)[:, None]
    orange = (colour[..., 0] - colour[..., 2] > 70) & (rows > _COLLAR_TOP) & (skin < 0.05)
    hair = person * (rows < _HAIR_BOTTOM) * (1 - skin)
    return Photo(colour, person, skin, hair.astype(np.float32), _soft(orange, 1.0))


def ellipse(centre: tuple[float, float], radius_x: float, radius_y: float) -> NDArray[np.bool_]:
    """Which pixels of the cut-out lie inside, [260, 260]."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    inside: NDArray[np.bool_] = ((x - centre[0]) / radius_x) ** 2 + (
        (y - centre[1]) / radius_y
    ) ** 2 < 1
    return inside


def _person(colour: Image) -> Image:
    """Everything but the wall: grey, of middle brightness, in one piece with the edges."""
    from scipy import ndimage

    spread = colour.max(axis=2) - colour.min(axis=2)
    brightness = colour.mean(axis=2)
    grey = (spread < 34) & (brightness > 120) & (brightness < 235)
    parts, _ = ndimage.label(grey)
    edges = (parts[0, :30], parts[0, -30:], parts[:60, 0], parts[:60, -1])
    wall = np.isin(parts, [p for p in np.unique(np.concatenate(edges)) if p])
    person = ~ndimage.binary_closing(wall, iterations=2, border_value=1)
    person[_COLLAR_TOP:] |= _closed(person, 9)[_COLLAR_TOP:]  # the collar's ring is grey too
    parts, _ = ndimage.label(person)
    whole = ndimage.binary_fill_holes(parts == parts[SIZE_PX // 2, SIZE_PX // 2])
    return _soft(ndimage.binary_erosion(whole, border_value=1), 0.9)


def _closed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    from scipy import ndimage

    disc = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), radius)
    wide = np.pad(mask, 2 * radius, mode="edge")
    closed: NDArray[np.bool_] = ndimage.binary_closing(wide, structure=disc)
    return closed[2 * radius : -2 * radius, 2 * radius : -2 * radius]


def _skin(colour: Image) -> Image:
    """Face, ears and neck without eyes and teeth."""
    from skimage.draw import polygon2mask

    outline = polygon2mask((SIZE_PX, SIZE_PX), [(y, x) for x, y in _SKIN])
    skin = outline & (colour[..., 0] > 80)
    for eye in EYES:
        skin &= ~ellipse(eye, 7, 3)
    return _soft(skin & ~ellipse((128, 144), 16, 4), 1.5)


def _soft(mask: NDArray[np.bool_], sigma_px: float) -> Image:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(mask.astype(np.float32), sigma_px), dtype=np.float32)


def sample(image: Image, x: NDArray[np.floating], y: NDArray[np.floating]) -> Image:
    """The image [h, w, 4] at places x, y [...]: [..., 4], bilinear, the edge repeated outside."""
    rows, columns, _ = image.shape
    x = np.clip(x, 0, columns - 1.001).astype(np.float32)
    y = np.clip(y, 0, rows - 1.001).astype(np.float32)
    left, top = x.astype(np.int32), y.astype(np.int32)
    corner = top * columns + left
    across, down = (x - left)[..., None], (y - top)[..., None]
    # Four float32 are as wide as one complex128: taken as such, a pixel is gathered in one go.
    pixels = np.ascontiguousarray(image, np.float32).view(np.complex128).ravel()

    def at(step: int) -> Image:
        taken = pixels.take(corner + step)[..., None].view(np.float32)
        return np.asarray(taken)

    first, second = at(0), at(columns)
    upper = first + across * (at(1) - first)
    lower = second + across * (at(columns + 1) - second)
    return np.asarray(upper + down * (lower - upper))
