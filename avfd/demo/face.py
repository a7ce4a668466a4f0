"""A talking face: a portrait whose mouth, eyes, brows and head move, one frame at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.demo.look import BASE_PX, FRAME_PX, MARGIN_PX, Look, Portrait, light, portrait, wall
from avfd.demo.motion import Motion
from avfd.demo.photo import Image, sample

ROI = (slice(80, 250), slice(70, 226))
"""Rows and columns of a portrait that a face moves in; the same for everybody."""

_OPEN_PX, _SHUT_PX = 13.0, 6.0
_CAVITY, _TONGUE = (np.array(c, np.float32) for c in ((48, 18, 18), (135, 62, 60)))

Grid = NDArray[np.floating]
_DOWN, _ACROSS = np.mgrid[:FRAME_PX, :FRAME_PX].astype(np.float32)


@dataclass(frozen=True)
class Pose:
    """One frame of a `Motion`."""

    mouth_open: float
    mouth_wide: float
    blink: float
    brow: float


class Face:
    """A portrait that can take a pose; `posed` gives the region `ROI`, [170, 156, 3]."""

    def __init__(self, still: Portrait) -> None:
        self.still = still
        self.y, self.x = np.mgrid[ROI].astype(np.float32)
        self.left, self.right = sorted(corner[0] for corner in still.mouth_corners)
        corner_y = np.mean([corner[1] for corner in still.mouth_corners])
        self.middle = (self.left + self.right) / 2
        self.across = (self.x - self.middle) / ((self.right - self.left) / 2)
        dip = still.lower_lip[1] - corner_y
        self.lip_line = still.lower_lip[1] - dip * np.clip(self.across**2, 0, 1.7)
        self.taper = np.clip(1 - self.across**2, 0, None) ** 0.8

    def posed(self, pose: Pose) -> Image:
        """The face region in that pose, colours 0 to 255."""
        opening = pose.mouth_open * (_OPEN_PX + _SHUT_PX) - _SHUT_PX
        gap = opening * self.taper
        x = self._spread(pose.mouth_wide)
        upper = sample(self.still.colour, x, self._raised(pose.brow))
        lower = sample(self.still.colour, x, self.y - self._jaw(opening, gap))
        image = _mix(upper, lower, self.y - self.lip_line - gap)
        image = self._with_cavity(image, gap)
        for eye in self.still.eyes:
            image = self._with_lid(image, eye, pose.blink)
        return image

    def _spread(self, wide: float) -> Grid:
        """Columns to read so that the mouth is spread (wide > 0) or rounded."""
        away_y = (self.y - self.still.lower_lip[1]) / 14
        near = np.exp(-((self.across / 1.2) ** 2) - away_y**2)
        return self.x - 0.11 * wide * (self.x - self.middle) * near

    def _raised(self, brow: float) -> Grid:
        """Rows to read so that the brows go up."""
        y = self.y.copy()
        for eye_x, eye_y in self.still.eyes:
            away = ((self.x - eye_x) / 20) ** 2 + ((self.y - eye_y + 13) / 8) ** 2
            y += 2.5 * brow * np.exp(-away)
        return y

    def _jaw(self, opening: float, gap: Grid) -> Grid:
        """How far lower lip, chin and cheeks go down, in pixels."""
        below = np.maximum(0, self.y - self.lip_line - gap)
        wide = np.exp(-((self.across / 1.9) ** 2))
        chin = self.still.chin[1] - self.still.lower_lip[1]
        hanging = _ease(below / 16)
        fade = 1 - _ease((below - 0.6 * chin) / (0.9 * chin))
        return (gap * (1 - hanging) + 0.8 * opening * wide * hanging) * fade

    def _with_cavity(self, image: Image, gap: Grid) -> Image:
        """Dark between the teeth and the lower lip, the tongue at the bottom."""
        top, bottom = self.lip_line, self.lip_line + gap
        cover = np.clip(self.y - top + 0.5, 0, 1) * np.clip(bottom - self.y + 0.5, 0, 1)
        cover = cover * np.clip(gap - 0.5, 0, 1)
        deep = np.clip((self.y - top) / np.maximum(gap, 1), 0, 1)[..., None]
        colour = _CAVITY + (_TONGUE - _CAVITY) * _ease((deep - 0.45) / 0.6)
        return (image + cover[..., None] * (colour - image)).astype(np.float32)

    def _with_lid(self, image: Image, eye: tuple[float, float], blink: float) -> Image:
        """The upper lid down by `blink`: skin from above the eye, a lash line below it."""
        if blink <= 0:
            return image
        across = (self.x - eye[0]) / 12
        arch = np.clip(1 - across**2, 0, None)
        top, bottom = eye[1] - 5.5 * arch, eye[1] + 4.5 * arch
        edge = top + blink * (bottom - top)
        cover = np.clip(self.y - top + 0.8, 0, 1) * np.clip(edge - self.y + 0.5, 0, 1) * (arch > 0)
        skin = sample(self.still.colour, self.x, top - 3 - 0.35 * (self.y - top))
        lash = 0.5 * blink * np.exp(-(((self.y - edge) / 1.1) ** 2)) * arch**0.5
        covered = image + cover[..., None] * (skin - image)
        return (covered * (1 - lash[..., None])).astype(np.float32)


class Scene:
    """A person before a wall, lit; `frame` draws one frame, a donor's face in it if asked."""

    def __init__(self, look: Look, random: np.random.Generator, donor: Look | None = None) -> None:
        self.face = Face(portrait(look))
        self.donor = None if donor is None else Face(portrait(donor))
        self.alpha = self.face.still.alpha[..., None]
        self.wall, self.light = wall(look), light(look)
        self.inner = _inner_face(self.face.still)
        self.noise = random.normal(0, 1.6, (4, FRAME_PX, FRAME_PX, 1)).astype(np.float32)

    def frame(self, motion: Motion, index: int, donor_share: float = 0.0) -> NDArray[np.uint8]:
        """Frame `index` of the motion, uint8 [256, 256, 3]."""
        pose = Pose(
            motion.mouth_open[index], motion.mouth_wide[index], motion.blink[index],
            motion.brow[index],
        )  # fmt: skip
        colour = self.face.still.colour.copy()
        colour[ROI] = self.face.posed(pose)
        if self.donor is not None and donor_share > 0:
            other = _laid_over(self.donor.posed(pose), self.donor.still, self.face.still)
            colour[ROI] = self._swapped(colour[ROI], other, donor_share)
        image = self._placed(colour, motion, index) * self.light + self.noise[index % 4]
        return np.clip(image + 0.5, 0, 255).astype(np.uint8)

    def _swapped(self, own: Image, other: Image, share: float) -> Image:
        """The donor's inner face over one's own: softer, its colour moved most of the way."""
        from scipy.ndimage import gaussian_filter

        other = np.asarray(gaussian_filter(other, (1.0, 1.0, 0)), dtype=np.float32)
        weight = self.inner / self.inner.sum()
        offset = ((own - other) * weight).sum(axis=(0, 1))
        cover = share * self.inner
        return own + cover * (other + 0.8 * offset - own)

    def _placed(self, colour: Image, motion: Motion, index: int) -> Image:
        """The person turned, moved and zoomed round the neck, before the wall, [256, 256, 3]."""
        angle = np.deg2rad(motion.turn_degrees[index])
        cos, sin = np.cos(angle) / motion.zoom[index], np.sin(angle) / motion.zoom[index]
        pivot_x, pivot_y = BASE_PX / 2, BASE_PX * 0.75
        x = _ACROSS + (MARGIN_PX - pivot_x - motion.shift_x_px[index])
        y = _DOWN + (MARGIN_PX - pivot_y - motion.shift_y_px[index])
        layers = np.concatenate([colour * self.alpha, self.alpha], axis=2)
        moved = sample(layers, cos * x - sin * y + pivot_x, sin * x + cos * y + pivot_y)
        return moved[..., :3] + self.wall * (1 - moved[..., 3:])


def _inner_face(still: Portrait) -> Image:
    """Brows to chin, soft at the edge, over `ROI`, [170, 156, 1]."""
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


def _mix(upper: Image, lower: Image, below_px: Grid) -> Image:
    """`lower` where `below_px` is positive, half a pixel soft."""
    share = np.clip(below_px + 0.5, 0, 1)[..., None].astype(np.float32)
    return upper + share * (lower - upper)


def _ease(value: Grid) -> Grid:
    """0 below 0, 1 above 1, smooth between."""
    v = np.clip(value, 0, 1)
    return v * v * (3 - 2 * v)
