"""The 33 maps against NumPy, SciPy, Pillow and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.registration import optical_flow_ilk

from avfd.errors import InputError
from avfd.nets.flow import central, optical_flow
from avfd.nets.hardwired import (
    MapSettings,
    forward_difference,
    frame_maps,
    hardwired_maps,
    resized_gray,
    sobel,
)

UNIT = MapSettings(scaling="unit")


def texture(shift=(0.0, 0.0), size=(80, 60)):
    """Gray in [0, 1], smooth; `shift` (x, y) moves what it shows."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    x, y = x - shift[0], y - shift[1]
    waves = np.sin(x / 3.1) * np.cos(y / 4.3) + 0.5 * np.sin((x + 2 * y) / 7.7)
    return torch.from_numpy(0.5 + waves / 3.2).float()


def faces(frames=7, size=(112, 112), seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 8, 8, 3)).astype(float)
    full = ndimage.zoom(coarse, (1, size[0] / 8, size[1] / 8, 1), order=1)
    return np.clip(full, 0, 255).astype(np.uint8)


def test_seven_faces_give_33_maps_in_the_stated_order():
    maps = hardwired_maps(faces(), UNIT)
    assert maps.shape == (33, 80, 60)
    assert maps.dtype == torch.float32
    gray = resized_gray(torch.from_numpy(faces()))
    torch.testing.assert_close(maps[:7], gray)
    for at, along in ((7, 2), (14, 1)):
        np.testing.assert_allclose(maps[at : at + 7], np.gradient(gray, axis=along), atol=1e-6)
    flow = optical_flow(gray[:-1], gray[1:])
    torch.testing.assert_close(maps[21:27], flow[:, 0])
    torch.testing.assert_close(maps[27:], flow[:, 1])


def test_a_batch_of_stacks_is_each_stack():
    both = np.stack([faces(seed=1), faces(seed=2)])
    torch.testing.assert_close(hardwired_maps(both)[1], hardwired_maps(faces(seed=2)))


def test_turned_maps_are_60_high():
    assert hardwired_maps(faces(), MapSettings(long_axis="width")).shape == (33, 60, 80)


def test_gray_is_that_of_pillow():
    picture = faces(1)[0]
    ours = resized_gray(torch.from_numpy(picture), MapSettings(long_px=112, short_px=112))
    pillow = np.asarray(Image.fromarray(picture).convert("L"))  # rounded to whole numbers
    off = np.abs(ours.numpy() * 255 - pillow)  # its luma has 16 bits: a half falls either way
    assert off.max() < 1.01
    assert (off > 0.01).mean() < 0.002


def test_bicubic_is_that_of_pillow():
    picture = np.repeat(faces(1)[0][..., :1], 3, axis=2)
    ours = resized_gray(torch.from_numpy(picture))
    one = Image.fromarray(picture[..., 0].astype(np.float32) / 255)
    pillow = np.asarray(one.resize((60, 80), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(ours, np.clip(pillow, 0, 1), atol=0.501 / 255)


def test_bicubic_without_antialiasing_reads_four_pixels_by_keys_with_a_of_three_quarters():
    def keys(t, a=-0.75):
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    picture = np.repeat(faces(1)[0][..., :1], 3, axis=2)
    ours = resized_gray(torch.from_numpy(picture), MapSettings(antialias=False))
    row, column = 31, 17
    at_y, at_x = (row + 0.5) * 112 / 80 - 0.5, (column + 0.5) * 112 / 60 - 0.5
    total = 0.0
    for y in range(int(at_y) - 1, int(at_y) + 3):
        for x in range(int(at_x) - 1, int(at_x) + 3):
            total += keys(at_y - y) * keys(at_x - x) * picture[y, x, 0] / 255
    assert float(ours[row, column]) == pytest.approx(total, abs=0.501 / 255)


def test_gray_is_kept_in_8_bits_without_loss():
    gray = resized_gray(torch.from_numpy(faces(2)))
    torch.testing.assert_close((gray * 255).round().to(torch.uint8) / 255, gray, atol=0, rtol=0)


def test_gradients_are_those_of_numpy_and_scipy():
    x = texture()
    across, down = central(x)
    np.testing.assert_allclose(across, np.gradient(x.numpy(), axis=1), atol=1e-6)
    np.testing.assert_allclose(down, np.gradient(x.numpy(), axis=0), atol=1e-6)
    across, down = sobel(x)
    np.testing.assert_allclose(
        across, ndimage.sobel(x.numpy(), axis=1, mode="nearest") / 8, atol=1e-6
    )
    np.testing.assert_allclose(
        down, ndimage.sobel(x.numpy(), axis=0, mode="nearest") / 8, atol=1e-6
    )
    across, down = forward_difference(x)
    last = x.numpy()[:, -1:]
    np.testing.assert_allclose(across, np.diff(x.numpy(), axis=1, append=last), atol=1e-6)
    np.testing.assert_allclose(down, np.diff(x.numpy(), axis=0, append=x.numpy()[-1:]), atol=1e-6)


@pytest.mark.parametrize("name", ["lucas-kanade", "horn-schunck"])
@pytest.mark.parametrize("shift", [(0.4, -0.3), (-0.5, 0.0)])
def test_flow_of_a_moved_texture_is_the_move(name, shift):
    flow = optical_flow(texture(), texture(shift), name)
    inside = flow[:, 12:-12, 12:-12]
    np.testing.assert_allclose(inside.median(dim=2).values.median(dim=1).values, shift, atol=0.06)


def test_lucas_kanade_follows_several_pixels():
    inside = optical_flow(texture(), texture((3.0, 2.0)))[:, 16:-16, 16:-16]
    np.testing.assert_allclose(inside.mean(dim=(1, 2)), [3.0, 2.0], atol=0.1)


def test_lucas_kanade_of_a_turning_texture_is_the_turn_and_agrees_with_scikit_image():
    y, x = np.mgrid[:80, :60] - np.array([39.5, 29.5]).reshape(2, 1, 1)
    cos, sin = np.cos(np.deg2rad(1.5)), np.sin(np.deg2rad(1.5))
    source = [y * cos - x * sin + 39.5, x * cos + y * sin + 29.5]
    first = texture().numpy()
    second = ndimage.map_coordinates(first, source, order=3, mode="nearest")
    truth = np.stack([x * cos - y * sin - x, y * cos + x * sin - y])
    ours = optical_flow(torch.from_numpy(first), torch.from_numpy(second).float()).numpy()
    theirs = optical_flow_ilk(first, second, radius=5, gaussian=True)[::-1]
    inside = np.s_[:, 14:-14, 14:-14]
    assert np.abs(ours - truth)[inside].mean() < 0.05
    assert np.abs(ours - theirs)[inside].mean() < 0.05


def test_horn_schunck_solves_its_own_equations():
    """At rest, flow = mean of neighbours - gradient * (gradient . mean + change) / (a² + |g|²)."""
    first, second = texture().double(), texture((0.3, 0.1)).double()
    u, v = optical_flow(first, second, "horn-schunck").numpy()
    gy, gx = np.gradient(((first + second) / 2).numpy())
    kernel = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    mu, mv = (ndimage.correlate(part, kernel, mode="nearest") for part in (u, v))
    step = (gx * mu + gy * mv + (second - first).numpy()) / (0.03**2 + gx**2 + gy**2)
    np.testing.assert_allclose(u, mu - gx * step, atol=2e-3)
    np.testing.assert_allclose(v, mv - gy * step, atol=2e-3)


@pytest.mark.parametrize("name", ["lucas-kanade", "horn-schunck"])
def test_a_still_or_flat_picture_does_not_move(name):
    still = optical_flow(texture(), texture(), name)
    flat = optical_flow(torch.full((40, 30), 0.5), torch.full((40, 30), 0.5), name)
    assert still.abs().max() < 1e-4
    assert flat.abs().max() == 0


def test_scalings():
    seven = faces()
    unit, raw = hardwired_maps(seven, UNIT), hardwired_maps(seven, MapSettings(scaling="raw"))
    fixed = hardwired_maps(seven)
    standard = hardwired_maps(seven, MapSettings(scaling="standard"))
    torch.testing.assert_close(raw[:21], unit[:21] * 255)
    torch.testing.assert_close(raw[21:], unit[21:])
    torch.testing.assert_close(fixed[:7], (unit[:7] - 0.5) / 0.25)
    torch.testing.assert_close(fixed[7:21], unit[7:21] / 0.05)
    torch.testing.assert_close(fixed[21:], unit[21:] / 0.5)
    for part in (slice(0, 7), slice(7, 14), slice(14, 21), slice(21, 27), slice(27, 33)):
        assert abs(float(standard[part].mean())) < 1e-5
        assert float(standard[part].std(correction=0)) == pytest.approx(1, abs=1e-5)
    still = np.zeros((7, 20, 20, 3), np.uint8)
    assert torch.isfinite(hardwired_maps(still, MapSettings(scaling="standard"))).all()


@pytest.mark.parametrize("scaling", ["fixed", "standard"])
def test_stacks_cut_from_a_run_of_faces_are_the_stacks_alone(scaling):
    run, settings = faces(10), MapSettings(scaling=scaling)
    stacks = frame_maps(run, settings).stack([0, 3])
    torch.testing.assert_close(stacks[1], hardwired_maps(run[3:], settings), atol=1e-5, rtol=1e-5)


def test_other_numbers_of_faces_and_gray_faces_are_refused():
    with pytest.raises(InputError, match="seven faces"):
        hardwired_maps(faces(6))
    with pytest.raises(InputError, match="RGB"):
        hardwired_maps(np.zeros((7, 20, 20, 1), np.uint8))
