"""Counts, shapes and arithmetic of the thesis' 3D CNNs against FACTS.md 13.3 and 16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from avfd.errors import InputError
from avfd.nets.emo_cnn3d import JI, PAPER, SMALL, EmoCnn3d
from avfd.nets.frames_cnn3d import EXPERIMENT_1, EXPERIMENT_2, FramesCnn3d
from avfd.nets.frames_cnn3d import SMALL as SMALL_FRAMES


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return EmoCnn3d(replace(SMALL, **changes)).eval()


def test_ji_et_al_have_295_458_parameters():
    network = EmoCnn3d(JI)
    assert count(network) == 295_458
    assert (count(network.conv1), count(network.pool1)) == (1_480, 92)
    assert (count(network.conv2), count(network.pool2)) == (3_810, 156)
    assert (count(network.last), count(network.out)) == (289_536, 384)
    assert network(torch.zeros(2, 33, 60, 40)).shape == (2, 3)


@pytest.mark.parametrize(("last", "expected"), [("filters", 174_752), ("connections", 177_216)])
def test_last_convolution_of_the_thesis(last, expected):
    assert count(EmoCnn3d(replace(PAPER, last=last)).last) == expected


def test_shapes_of_the_thesis():
    network = EmoCnn3d().eval()
    shapes = []
    for layer in (network.conv1[0], network.conv2[0], network.conv2[3], network.last):
        layer.register_forward_hook(lambda _m, x, y: shapes.append((*x[0].shape[1:], *y.shape[1:])))
    assert network.features(torch.zeros(1, 33, 80, 60)).shape == (1, 32)
    assert shapes[0] == (1, 7, 80, 60, 2, 5, 74, 54)
    assert shapes[1] == (2, 5, 37, 27, 6, 3, 31, 22)
    assert shapes[2] == (2, 4, 37, 27, 6, 2, 31, 22)
    assert shapes[3] == (78, 10, 7, 32)
    assert network(torch.zeros(1, 33, 80, 60)).shape == (1, 5)


def transcribed(network, x):
    """Ji et al.'s arithmetic in float64, one map at a time."""
    p = {k: v.double().numpy() for k, v in network.state_dict().items()}
    maps = []
    for kind, part in enumerate(np.split(x, [7, 14, 21, 27])):
        for first in range(2):
            w, b = p[f"conv1.{kind}.weight"][first, 0], p[f"conv1.{kind}.bias"][first]
            one = pooled(np.tanh(correlate(part, w, "valid") + b), 2)
            if "pool1.0.scale" in p:
                scale, shift = (p[f"pool1.{kind}.{n}"][first] for n in ("scale", "offset"))
                one = np.tanh(scale * one + shift)
            for which in range(3):
                at = 3 * first + which
                w, b = p[f"conv2.{kind}.weight"][at, 0], p[f"conv2.{kind}.bias"][at]
                two = pooled(np.tanh(correlate(one, w, "valid") + b), 3)
                if "pool2.0.scale" in p:
                    scale, shift = (p[f"pool2.{kind}.{n}"][at] for n in ("scale", "offset"))
                    two = np.tanh(scale * two + shift)
                maps.extend(two)
    bias = p["last.bias"].sum(axis=1) if p["last.bias"].ndim == 2 else p["last.bias"]
    emo = np.tanh(np.einsum("mhw,umhw->u", np.stack(maps), p["last.weight"]) + bias)
    return emo, p["out.weight"] @ emo + p.get("out.bias", 0.0)


def pooled(x, n):
    t, h, w = x.shape[0], x.shape[1] // n, x.shape[2] // n
    return x[:, : h * n, : w * n].reshape(t, h, n, w, n).mean(axis=(2, 4))


@pytest.mark.parametrize(
    ("pooling", "last", "bias"), [("plain", "filters", True), ("trained", "connections", False)]
)
def test_numbers_are_those_of_a_straight_transcription(pooling, last, bias):
    network = small(pooling=pooling, last=last, out_bias=bias).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    x = np.random.default_rng(0).normal(size=(33, 40, 30))
    emo, logits = transcribed(network, x)
    given = torch.from_numpy(x)[None]
    np.testing.assert_allclose(network.features(given)[0].detach(), emo, atol=1e-12)
    np.testing.assert_allclose(network(given)[0].detach(), logits, atol=1e-12)


def test_other_readings_run():
    x = torch.randn(2, 33, 40, 30)
    assert small(second_per_set=6).last.weight.shape[1] == 156
    assert small(pool_frames=2)(x).shape == (2, 5)
    assert small(long_axis="width")(x.transpose(2, 3)).shape == (2, 5)
    softmax = small(activation="softmax").features(x)
    torch.testing.assert_close(softmax.sum(dim=1), torch.ones(2))
    assert (small(hidden="relu", classes=2)(x)).shape == (2, 2)
    with pytest.raises(InputError, match="nothing is left"):
        small(long_px=20, short_px=15)
    with pytest.raises(InputError, match="nothing is left"):
        small(pool_frames=3)


@pytest.mark.parametrize("changes", [{}, {"pooling": "trained", "last": "connections"}])
def test_gradients_reach_every_parameter(changes):
    network = small(**changes)
    network(torch.randn(2, 33, 40, 30)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_two_layer_network_of_300_frames():
    first = FramesCnn3d(EXPERIMENT_1)
    assert first.conv1.weight.shape == (2, 3, 3, 3, 3)
    assert first.conv2.weight.shape == (32, 2, 3, 50, 46)
    assert first.out.weight.shape == (5, 32)
    short = torch.rand(1, 4, 100, 93, 3)
    each = first.eval().features(short)
    assert each.shape == (1, 4, 32)
    torch.testing.assert_close(each.sum(dim=2), torch.ones(1, 4))
    assert first(short).shape == (1, 4, 5)
    second = FramesCnn3d(EXPERIMENT_2).eval()
    assert second(short).shape == (1, 5)
    assert second.features(short).abs().max() <= 1


@pytest.mark.parametrize("plane", ["full", "mean"])
def test_padding_and_lost_faces_of_the_two_layer_network(plane):
    torch.manual_seed(0)
    network = FramesCnn3d(replace(SMALL_FRAMES, plane=plane)).eval()
    x = torch.rand(1, 6, 24, 24, 3)
    valid = torch.tensor([[True, True, False, True, True, True]])
    dirty = x.clone()
    dirty[:, 2] = torch.nan
    longer = torch.cat([dirty, torch.full((1, 3, 24, 24, 3), 1e9)], dim=1)
    known = torch.cat([valid, torch.zeros(1, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(network(longer, known), network(x, valid))
    torch.testing.assert_close(network(x, torch.ones(1, 6).bool()), network(x))


def test_two_layer_network_is_its_transcription():
    """Convolution, tanh, maximum of 2 x 2, convolution over the plane, tanh, dense; in float64."""
    torch.manual_seed(1)
    network = FramesCnn3d(replace(SMALL_FRAMES, rows=6, columns=4)).eval().double()
    p = {k: v.numpy() for k, v in network.state_dict().items()}
    x = np.random.default_rng(0).uniform(size=(5, 6, 4, 3))
    padded = np.pad(x, ((1, 1), (1, 1), (1, 1), (0, 0)))
    first = np.zeros((2, 5, 6, 4))
    for f, t, r, c in np.ndindex(first.shape):
        seen = padded[t : t + 3, r : r + 3, c : c + 3].transpose(3, 0, 1, 2)
        first[f, t, r, c] = np.tanh((seen * p["conv1.weight"][f]).sum() + p["conv1.bias"][f])
    pooled = np.pad(
        first.reshape(2, 5, 3, 2, 2, 2).max(axis=(3, 5)), ((0, 0), (1, 1), (0, 0), (0, 0))
    )
    emo = np.stack(
        [
            np.tanh(
                (pooled[:, t : t + 3] * p["conv2.weight"]).sum(axis=(1, 2, 3, 4)) + p["conv2.bias"]
            )
            for t in range(5)
        ]
    )
    given = torch.from_numpy(x)[None]
    np.testing.assert_allclose(network.features(given)[0].detach(), emo, atol=1e-12)
    logits = (emo @ p["out.weight"].T + p["out.bias"]).mean(axis=0)
    np.testing.assert_allclose(network(given)[0].detach(), logits, atol=1e-12)


def test_gradients_reach_every_parameter_of_the_two_layer_network():
    network = FramesCnn3d(SMALL_FRAMES)
    network(torch.rand(2, 5, 24, 24, 3)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_an_even_kernel_is_refused():
    with pytest.raises(InputError, match="odd"):
        FramesCnn3d(replace(SMALL_FRAMES, kernel_frames=4))
