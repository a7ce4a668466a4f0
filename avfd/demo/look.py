"""People: the photograph with another face shape, skin, hair, clothes, light and room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.demo.photo import CHIN, EYES, LOWER_LIP, MOUTH_CORNERS, SIZE_PX, Image, photograph, sample

FRAME_PX, MARGIN_PX = 256, 20
BASE_PX = FRAME_PX + 2 * MARGIN_PX
"""A portrait is a frame with a margin all round, so that the head may move."""

SCALE = FRAME_PX / 224
"""224 columns of the photograph fill a frame."""
_LEFT_PX, _TOP_PX = 16, 0

SKINS = (
    (1.0, 1.0, 1.0), (1.05, 1.02, 1.0), (0.96, 0.88, 0.80), (0.86, 0.74, 0.63),
    (0.70, 0.56, 0.46), (0.55, 0.42, 0.34),
)  # fmt: skip
HAIRS = (
    (1.0, 1.0, 1.0), (0.35, 0.33, 0.42), (0.6, 0.5, 0.48), (1.15, 1.12, 1.0), (1.05, 0.72, 0.6),
    (0.85, 0.95, 1.25),
)  # fmt: skip


@dataclass(frozen=True)
class Stretch:
    """A place of the photograph grown by a factor, fading over `reach` pixels."""

    x: float
    y: float
    reach_x: float
    reach_y: float
    grow_x: float
    grow_y: float


@dataclass(frozen=True)
class Look:
    """What makes a person, drawn from chance by `draw`.

    Attributes:
        stretches, mirrored: the shape of the face and hair.
        skin, hair, suit: colour factors; suit is a colour, 0 to 255.
        stubble: 0 none to 1.
        wall_seed: of the room behind.
        light_angle, light_strength, gamma: brighter on one side; darker or lighter middle tones.
    """

    stretches: tuple[Stretch, ...]
    mirrored: bool
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    suit: tuple[float, float, float]
    stubble: float
    wall_seed: int
    light_angle: float
    light_strength: float
    gamma: float


@dataclass(frozen=True)
class Portrait:
    """A person at rest.

    Attributes:
        image: colours and alpha, [296, 296, 4], see `BASE_PX`.
        eyes, mouth_corners, lower_lip, chin: where they are in it, x and y.
    """

    image: Image
    eyes: tuple[tuple[float, float], ...]
    mouth_corners: tuple[tuple[float, float], ...]
    lower_lip: tuple[float, float]
    chin: tuple[float, float]


def draw(random: np.random.Generator, male: bool) -> Look:
    """One person; men get heavier jaws, flatter hair and stubble."""

    def near(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    eye_x, eye_y = near(0.92, 1.15), near(0.85, 1.2)
    jaw = near(1.04, 1.14) if male else near(0.9, 1.04)
    hair_x = near(0.82, 0.92) if male else near(0.9, 1.1)
    hair_y = near(0.9, 1.05) if male else near(0.95, 1.1)
    stretches = (
        Stretch(129, 130, 55, 60, near(0.92, 1.10), near(0.94, 1.10)),
        Stretch(128, 168, 40, 26, jaw, near(0.95, 1.12)),
        *(Stretch(x, y, 15, 12, eye_x, eye_y) for x, y in EYES),
        Stretch(128, 118, 15, 20, near(0.82, 1.3), near(0.95, 1.12)),
        Stretch(128, 146, 26, 16, near(0.86, 1.12), near(0.9, 1.2)),
        Stretch(130, 70, 80, 45, hair_x, hair_y),
    )
    return Look(
        stretches=stretches,
        mirrored=bool(random.random() < 0.5),
        skin=_jittered(random, SKINS[random.integers(len(SKINS))]),
        hair=_jittered(random, HAIRS[random.integers(len(HAIRS))]),
        suit=(near(30, 220), near(30, 190), near(30, 210)),
        stubble=near(0.3, 0.8) if male else 0.0,
        wall_seed=int(random.integers(2**31)),
        light_angle=near(0, 2 * np.pi),
        light_strength=near(0.05, 0.3),
        gamma=near(0.88, 1.15),
    )


def portrait(look: Look) -> Portrait:
    """The person at rest, in frame coordinates with the margin."""
    photo = photograph()
    y, x = np.mgrid[:BASE_PX, :BASE_PX].astype(np.float64)
    x, y = (x - MARGIN_PX) / SCALE + _LEFT_PX, (y - MARGIN_PX) / SCALE + _TOP_PX
    if look.mirrored:
        x = SIZE_PX - 1 - x
    dx, dy = _shifts(look, x, y)
    layers = np.dstack([_coloured(look), photo.person])
    return Portrait(
        image=sample(layers, x + dx, y + dy),
        eyes=tuple(_place(look, eye) for eye in EYES),
        mouth_corners=tuple(_place(look, corner) for corner in MOUTH_CORNERS),
        lower_lip=_place(look, LOWER_LIP),
        chin=_place(look, CHIN),
    )


def wall(look: Look) -> Image:
    """The room behind: a colour gradient with out-of-focus shapes, [256, 256, 3]."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(look.wall_seed)
    y, x = np.mgrid[:FRAME_PX, :FRAME_PX] / FRAME_PX
    top, bottom = random.uniform(60, 210, (2, 3))
    room = top + (bottom - top) * (0.7 * y + 0.3 * x)[..., None]
    for _ in range(random.integers(3, 9)):
        left, upper = random.uniform(-0.1, 0.9, 2)
        wide, high = random.uniform(0.05, 0.35), random.uniform(0.1, 0.6)
        box = (abs(x - left) < wide / 2) & (abs(y - upper) < high / 2)
        room[box] = 0.4 * room[box] + 0.6 * random.uniform(30, 230, 3)
    blurred = gaussian_filter(room, (6, 6, 0))
    return np.asarray(blurred, dtype=np.float32)


def light(look: Look) -> Image:
    """Factor for every pixel of a frame, [256, 256, 1]."""
    y, x = np.mgrid[:FRAME_PX, :FRAME_PX] / FRAME_PX - 0.5
    slope = x * np.cos(look.light_angle) + y * np.sin(look.light_angle)
    return np.asarray(1 + look.light_strength * 1.6 * slope[..., None], dtype=np.float32)


def _jittered(
    random: np.random.Generator, colour: tuple[float, float, float]
) -> tuple[float, float, float]:
    red, green, blue = np.asarray(colour) * random.uniform(0.96, 1.04, 3)
    return float(red), float(green), float(blue)


def _coloured(look: Look) -> Image:
    """The photograph in the person's colours, [260, 260, 3]."""
    photo = photograph()
    brightness = photo.colour.mean(axis=2, keepdims=True)
    colour = photo.colour
    for mask, factors in ((photo.skin, look.skin), (photo.hair, look.hair)):
        colour = colour * (1 + mask[..., None] * (np.asarray(factors) - 1))
    dyed = brightness / 120 * np.asarray(look.suit)
    colour = colour + photo.suit[..., None] * (dyed - colour)
    colour = colour * (1 - look.stubble * _beard(photo.skin)[..., None] * (0.34, 0.32, 0.26))
    bright: Image = (255 * (np.clip(colour, 0, 255) / 255) ** look.gamma).astype(np.float32)
    return bright


def _beard(skin: Image) -> Image:
    """Chin, cheeks and upper lip, without the lips, [260, 260]."""
    from scipy.ndimage import gaussian_filter

    from avfd.demo.photo import ellipse

    region = ellipse((127, 158), 36, 26) & ~ellipse((128, 147), 22, 9)
    region[:132] = False
    return skin * np.asarray(gaussian_filter(region.astype(np.float32), 4), dtype=np.float32)


def _shifts(
    look: Look, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far from a place of the person the photograph's place is, in photograph pixels."""
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for s in look.stretches:
        near = np.exp(-(((x - s.x) / s.reach_x) ** 2) - ((y - s.y) / s.reach_y) ** 2)
        dx += (1 / s.grow_x - 1) * (x - s.x) * near
        dy += (1 / s.grow_y - 1) * (y - s.y) * near
    return dx, dy


def _place(look: Look, place: tuple[float, float]) -> tuple[float, float]:
    """Where a place of the photograph has gone to in the portrait."""
    x, y = (np.array(v, dtype=np.float64) for v in place)
    for _ in range(8):  # the shifts are small and smooth: this settles fast
        dx, dy = _shifts(look, x, y)
        x, y = place[0] - dx, place[1] - dy
    column = SIZE_PX - 1 - float(x) if look.mirrored else float(x)
    return (column - _LEFT_PX) * SCALE + MARGIN_PX, (float(y) - _TOP_PX) * SCALE + MARGIN_PX
