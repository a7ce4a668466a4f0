"""EAT's network against its steps written out in numpy, in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from extract.nets.eat import EatNetwork, position_table
from extract.nets.eat_files import PRETRAINED_SMALL
from extract.nets.eat_settings import SMALL, EatSettings
from extract.nets.loading import loaded, shapes_of


@pytest.fixture(scope="module")
def tensors(checkpoint_makers):
    return checkpoint_makers.random_tensors(PRETRAINED_SMALL.expected())


@pytest.fixture(scope="module")
def network(tensors):
    return loaded(lambda: EatNetwork(SMALL), tensors, "eat-small").eval()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).normal(0, 0.5, (5, 1, 160, 128)).astype(np.float32)


def run(network, pictures):
    with torch.inference_mode():
        return network(torch.from_numpy(pictures)).numpy()


def test_tokens_equal_the_steps_in_double_precision(network, tensors, pictures, references):
    weights = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    found = run(network, pictures[:2])
    assert found.shape == (2, 1 + 80, SMALL.dim)
    for one, picture in zip(found, pictures, strict=False):
        expected = references.eat_tokens(weights, picture[0].astype(np.float64), SMALL)
        assert (np.abs(one - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def test_tokens_do_not_depend_on_the_batch(network, pictures):
    together = run(network, pictures)
    for i, picture in enumerate(pictures):
        np.testing.assert_allclose(run(network, picture[None])[0], together[i], atol=1e-5)


def test_the_table_of_places_is_the_formula():
    """Row t * 8 + f: sines and cosines of f, then of t, from omega 1 down to 1/10,000."""
    table = position_table(768)
    assert table.shape == (6_144, 768)
    omega = 10_000.0 ** (-np.arange(192) / 192)
    for t, f in ((0, 0), (0, 7), (3, 2), (63, 5)):
        parts = [wave(p * omega) for p in (f, t) for wave in (np.sin, np.cos)]
        np.testing.assert_allclose(table[t * 8 + f], np.concatenate(parts), atol=1e-5)
    assert (position_table(768, 64) == table[:512]).all()


def test_published_sizes_by_default():
    base, large = EatSettings(), EatSettings(1024, 24, 16)
    shapes = shapes_of(lambda: EatNetwork(base))
    assert shapes["local_encoder.proj.weight"] == (768, 1, 16, 16)
    assert shapes["blocks.11.attn.qkv.weight"] == (2304, 768)
    assert sum(map(math.prod, shapes.values())) == 89_972_736
    assert sum(map(math.prod, shapes_of(lambda: EatNetwork(large)).values())) == 308_867_072
