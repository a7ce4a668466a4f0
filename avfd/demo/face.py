"""A talking face: a portrait whose mouth, eyes, brows and head move, one frame at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.demo.look import BASE_PX, FRAME_PX, MARGIN_PX, Look, Portrait, light, portrait, wall
from avfd.demo.motion import Motion
from avfd.demo.photo import Image, sample

ROI = (slice(100, 250), slice(86, 210))
"""Rows and columns of a portrait that a face moves in; the same for everybody."""

_OPEN_PX, _SHUT_PX = 13.0, 6.0
_CAVITY, _TONGUE = (np.array(c, np.float32) for c in ((48, 18, 18, 1), (135, 62, 60, 1)))

_TO_BYTES = np.array((1, 1, 1, 255), np.float32)

Grid = NDArray[np.floating]


@dataclass(frozen=True)
class Pose:
    """One frame of a `Motion`."""

    mouth_open: float
    mouth_wide: float
    blink: float
    brow: float

    @classmethod
    def at(cls, motion: Motion, index: int) -> Pose:
        """The pose of frame `index`."""
        tracks = (motion.mouth_open, motion.mouth_wide, motion.blink, motion.brow)
        return cls(*(float(track[index]) for track in tracks))


class Face:
    """A portrait that can take a pose; what stays the same from frame to frame is kept."""

    def __init__(self, still: Portrait) -> None:
        self.still = still
        self.y, self.x = np.mgrid[ROI].astype(np.float32)
        left, right = sorted(corner[0] for corner in still.mouth_corners)
        corner_y = np.mean([corner[1] for corner in still.mouth_corners])
        lip_x, lip_y = (left + right) / 2, still.lower_lip[1]
        across = (self.x - lip_x) / ((right - left) / 2)
        self.lip_line = lip_y - float(lip_y - corner_y) * np.clip(across**2, 0, 1.7)
        self.taper = np.clip(1 - across**2, 0, None) ** 0.8
        self.hinge = 0.8 * np.exp(-((across / 1.5) ** 2))
        near_mouth = np.exp(-((across / 1.2) ** 2) - ((self.y - lip_y) / 14) ** 2)
        self.spread = 0.11 * (self.x - lip_x) * near_mouth
        self.brows = sum(self._round(x, y - 13, 20, 8) for x, y in still.eyes)

    def posed(self, pose: Pose) -> Image:
        """The region `ROI` in that pose, [150, 124, 4]."""
        opening = pose.mouth_open * (_OPEN_PX + _SHUT_PX) - _SHUT_PX
        gap = opening * self.taper
        below = self.y - self.lip_line - gap
        down = np.where(below > 0, self._jaw(opening, gap, below), -2.5 * pose.brow * self.brows)
        image = sample(self.still.image, self.x - pose.mouth_wide * self.spread, self.y - down)
        if opening > 0:
            image = self._with_cavity(image, gap)
        for eye in self.still.eyes:
            image = self._with_lid(image, eye, pose.blink)
        return image

    def _round(self, x: float, y: float, radius_x: float, radius_y: float) -> Grid:
        """A soft spot, 1 in its middle."""
        spot: Grid = np.exp(-(((self.x - x) / radius_x) ** 2) - ((self.y - y) / radius_y) ** 2)
        return spot

    def _jaw(self, opening: float, gap: Grid, below: Grid) -> Grid:
        """How far lower lip, chin and cheeks go down, in pixels."""
        chin = self.still.chin[1] - self.still.lower_lip[1]
        hanging = _ease(below / 16)
        fade = 1 - _ease((below - 0.6 * chin) / (0.9 * chin))
        return np.asarray((gap + hanging * (opening * self.hinge - gap)) * fade)

    def _with_cavity(self, image: Image, gap: Grid) -> Image:
        """Dark between the teeth and the lower lip, the tongue at the bottom."""
        deep = self.y - self.lip_line
        cover = np.clip(np.minimum(deep, gap - deep) + 0.5, 0, 1) * np.clip(gap - 0.5, 0, 1)
        tongue = _ease((deep / np.maximum(gap, 1) - 0.45) / 0.6)
        colour = _CAVITY + (_TONGUE - _CAVITY) * tongue[..., None]
        return np.asarray(image + cover[..., None] * (colour - image))

    def _with_lid(self, image: Image, eye: tuple[float, float], blink: float) -> Image:
        """The upper lid down by `blink`: skin from above the eye, a lash line below it."""
        if blink <= 0:
            return image
        arch = np.clip(1 - ((self.x - eye[0]) / 12) ** 2, 0, None)
        top, bottom = eye[1] - 5.5 * arch, eye[1] + 4.5 * arch
        edge = top + blink * (bottom - top)
        cover = np.clip(self.y - top + 0.8, 0, 1) * np.clip(edge - self.y + 0.5, 0, 1) * (arch > 0)
        skin = sample(self.still.image, self.x, top - 3 - 0.35 * (self.y - top))
        lash = 0.5 * blink * np.exp(-(((self.y - edge) / 1.1) ** 2)) * arch**0.5
        shade = np.stack([1 - lash] * 3 + [np.ones_like(lash)], axis=2)
        return np.asarray((image + cover[..., None] * (skin - image)) * shade)


class Scene:
    """A person before a wall, lit; `frame` draws one frame, a donor's face in it if asked."""

    def __init__(self, look: Look, random: np.random.Generator, donor: Look | None = None) -> None:
        self.face = Face(portrait(look))
        self.donor = None if donor is None else Face(portrait(donor))
        self.wall, self.light = wall(look), light(look)
        self.inner = _inner_face(self.face.still)
        self.noise = random.normal(0.5, 1.6, (4, FRAME_PX, FRAME_PX, 1)).astype(np.float32)

    def frame(self, motion: Motion, index: int, donor_share: float = 0.0) -> NDArray[np.uint8]:
        """Frame `index` of the motion, uint8 [256, 256, 3]."""
        pose = Pose.at(motion, index)
        image = self.face.still.image.copy()
        image[ROI] = self.face.posed(pose)
        if self.donor is not None and donor_share > 0:
            other = _laid_over(self.donor.posed(pose), self.donor.still, self.face.still)
            image[ROI] = self._swapped(image[ROI], other, donor_share)
        person = _moved(image, motion, index)
        cover = person[..., 3:] / 255
        picture = self.wall + cover * (person[..., :3] - self.wall)
        lit = picture * self.light + self.noise[index % 4]
        return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)

    def _swapped(self, own: Image, other: Image, share: float) -> Image:
        """The donor's inner face over one's own: softer, its colour moved most of the way."""
        from scipy.ndimage import gaussian_filter

        other = np.asarray(gaussian_filter(other, (1.0, 1.0, 0)), dtype=np.float32)
        offset = ((own - other) * (self.inner / self.inner.sum())).sum(axis=(0, 1))
        return np.asarray(own + share * self.inner * (other + 0.8 * offset - own))


def _moved(image: Image, motion: Motion, index: int) -> Image:
    """The person turned, moved and zoomed round the neck, [256, 256, 4], alpha up to 255.

    Pillow reads along the affine way, in 8 bits: faster than numpy by far.
    """
    from PIL import Image as Pillow

    angle = np.deg2rad(motion.turn_degrees[index])
    cos, sin = np.cos(angle) / motion.zoom[index], np.sin(angle) / motion.zoom[index]
    pivot_x, pivot_y = BASE_PX / 2, BASE_PX * 0.75
    x = MARGIN_PX - pivot_x - motion.shift_x_px[index]
    y = MARGIN_PX - pivot_y - motion.shift_y_px[index]
    way = (cos, -sin, cos * x - sin * y + pivot_x, sin, cos, sin * x + cos * y + pivot_y)
    pixels = np.clip(image * _TO_BYTES + 0.5, 0, 255).astype(np.uint8)
    affine, bilinear = Pillow.Transform.AFFINE, Pillow.Resampling.BILINEAR
    moved = Pillow.fromarray(pixels).transform((FRAME_PX, FRAME_PX), affine, way, bilinear)
    return np.asarray(moved, np.float32)


def _inner_face(still: Portrait) -> Image:
    """Brows to chin, soft at the edge, over `ROI`, [150, 124, 1]."""
    y, x = np.mgrid[ROI]
    eyes = np.mean(still.eyes, axis=0)
    centre_x, top = (eyes[0] + still.lower_lip[0]) / 2, eyes[1] - 20
    bottom = still.chin[1] - 6
    tall = (bottom - top) / 2
    away = np.hypot((x - centre_x) / (0.82 * tall), (y - (top + bottom) / 2) / tall)
    return (1 - _ease((away - 0.82) / 0.2))[..., None].astype(np.float32)


def _laid_over(image: Image, donor: Portrait, own: Portrait) -> Image:
    """The donor's region moved so that eyes and mouth fall on one's own."""

    def anchors(still: Portrait) -> Grid:
        places = [*sorted(still.eyes), still.lower_lip]
        return np.array([(x - ROI[1].start, y - ROI[0].start) for x, y in places])

    here = np.column_stack([anchors(own), np.ones(3)])
    way = np.linalg.solve(here, anchors(donor))  # [3, 2]: own place → donor's place
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    there = np.stack([x, y, np.ones_like(x)], axis=2) @ way
    return sample(image, there[..., 0], there[..., 1])


def _ease(value: Grid) -> Grid:
    """0 below 0, 1 above 1, smooth between."""
    v = np.clip(value, 0, 1)
    return v * v * (3 - 2 * v)
