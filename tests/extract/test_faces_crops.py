"""Crops of a drawn picture, where every pixel's value is known."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avfd.specs import FaceInput
from extract.faces import crop
from extract.media import VideoFrame

PLAIN = FaceInput(rate_hz=10, size_px=64, margin=0.0)


def ramp(width: int = 200, height: int = 100) -> NDArray[np.uint8]:
    """Red is the column, green the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = np.arange(width)
    pixels[:, :, 1] = np.arange(height)[:, None]
    return pixels


def row(
    box: tuple[float, float, float, float],
    eyes: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    size: tuple[int, int] = (200, 100),
) -> NDArray[np.float32]:
    """A track row from a box and the right and left eye in pixels."""
    scale = np.array([*size, *size], np.float32)
    vector = np.zeros(18, np.float32)
    vector[:4], vector[4], vector[5:9] = np.array(box) / scale, 0.9, np.array(eyes) / scale
    return vector


def test_a_crop_of_its_own_size_is_that_part_of_the_picture() -> None:
    got = crop(ramp(), row((100, 20, 64, 64)), PLAIN)
    assert np.abs(got.astype(int) - ramp()[20:84, 100:164]).max() <= 1


def test_the_square_stands_on_the_longer_side_and_the_margin_widens_it() -> None:
    got = crop(ramp(), row((80, 40, 40, 20)), replace(PLAIN, margin=0.5))
    # 60 pixels around (100, 50): columns 70 to 130, rows 20 to 80.
    edges = [got[32, 0, 0], got[32, -1, 0], got[0, 32, 1], got[-1, 32, 1]]
    assert edges == pytest.approx([70, 130, 20, 80], abs=1.5)


def test_outside_the_picture_is_black() -> None:
    got = crop(ramp() + 55, row((-32, 18, 64, 64)), PLAIN)
    assert not got[:, :31].any()
    assert got[:, 33:].min() > 0
    assert not crop(ramp() + 55, row((500, 500, 64, 64)), PLAIN).any()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "area"])
def test_a_shrunk_crop_averages_what_it_covers(interpolation: str) -> None:
    checks = np.indices((96, 192)).sum(0) % 2 * 255
    board = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    face = replace(PLAIN, size_px=12, interpolation=interpolation)  # type: ignore[arg-type]
    got = crop(board, row((0, 0, 96, 96), size=(192, 96)), face)
    assert np.abs(got[2:-2, 2:-2].astype(int) - 127).max() < 12


def test_small_faces_are_enlarged() -> None:
    got = crop(ramp(), row((100, 40, 16, 16)), PLAIN)
    assert got.shape == (64, 64, 3)
    assert got[32, 32, 0] == pytest.approx(108, abs=1)


@pytest.mark.parametrize("degrees", [-30.0, 20.0, 45.0])
def test_aligned_eyes_are_level(degrees: float) -> None:
    centre, reach = np.array([100.0, 50.0]), 15.0
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    right_eye, left_eye = centre - reach * along, centre + reach * along
    pixels = np.zeros((100, 200, 3), np.uint8)
    y, x = np.indices((100, 200))
    pixels[np.hypot(x + 0.5 - right_eye[0], y + 0.5 - right_eye[1]) < 4] = (255, 0, 0)
    pixels[np.hypot(x + 0.5 - left_eye[0], y + 0.5 - left_eye[1]) < 4] = (0, 0, 255)
    track_row = row((68, 18, 64, 64), (*right_eye, *left_eye))
    got = crop(pixels, track_row, replace(PLAIN, align="eyes"))
    places = [np.argwhere(got[:, :, c] > 128).mean(0) + 0.5 for c in (0, 2)]
    assert places[0] == pytest.approx([32, 32 - reach], abs=0.7)
    assert places[1] == pytest.approx([32, 32 + reach], abs=0.7)


@pytest.mark.parametrize("align", ["none", "eyes"])
def test_a_frame_and_its_pixels_give_the_same_crop(align: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    picture = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format="yuv420p")
    fresh, whole = (VideoFrame(picture, 0.0, 0.04) for _ in range(2))
    face = replace(PLAIN, margin=0.3, align=align)  # type: ignore[arg-type]
    track_row = row((61, 13, 40, 47), (70, 30, 90, 35))
    assert np.array_equal(crop(fresh, track_row, face), crop(whole.rgb, track_row, face))
