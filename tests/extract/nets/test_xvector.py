"""x-vectors against SpeechBrain's own classes, and against the numbers in FACTS.md, 3 and 16."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from extract.nets.xvector import (
    CLASSIFIER,
    EMBEDDING,
    MelLevels,
    SpeakerClassifier,
    XVector,
    _Statistics,
)

T = torch.arange(16_000, dtype=torch.float64) / 16_000
SINE = (0.5 * torch.sin(2 * math.pi * 440 * T)).float()
CHIRP = (
    0.3 * torch.sin(2 * math.pi * (200 * T + 900 * T**2))
    + 0.1 * torch.sin(2 * math.pi * 1234.5 * T)
).float()
NOISE = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
SOUNDS = torch.stack([CHIRP, *NOISE])
SINE_50 = [-45.0842, -45.0842, -45.0842, 26.8809, 34.9158, 19.6171]
CHIRP_50 = [-22.3959, -21.6566, -20.6387, -19.3854, -17.6459, -15.3315]


def near(found: Tensor, expected: Tensor) -> bool:
    """Equal to 1e-5 · max(1, |expected|)."""
    assert found.shape == expected.shape
    return bool(((found - expected).abs() <= 1e-5 * expected.abs().clamp(min=1)).all())


@pytest.fixture(scope="module")
def reference(
    speechbrain: SimpleNamespace, randomised: Callable[[nn.Module], nn.Module]
) -> SimpleNamespace:
    """The published network and classifier as SpeechBrain builds them, random weights.

    The embedding's batch normalisation has the statistics of what passes through, as in a trained
    network: that keeps numbers at the size of 1.
    """
    embedding = randomised(speechbrain.Xvector(in_channels=24))
    classifier = randomised(speechbrain.Classifier((2, 1, 512), out_neurons=7205))
    for layer in embedding.train().modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 1.0
    levels = MelLevels()(torch.cat([SOUNDS, NOISE * torch.tensor([[0.01], [1.0]])]))
    with torch.inference_mode():
        embedding((levels - levels.mean(dim=2, keepdim=True)).mT)
    return SimpleNamespace(embedding=embedding.eval(), classifier=classifier)


def ours(reference: SimpleNamespace) -> nn.Sequential:
    """Our networks with the reference's tensors: mel levels → x-vectors → posteriors."""
    networks = nn.Sequential(XVector(), SpeakerClassifier()).eval()
    networks[0].load_state_dict(reference.embedding.state_dict())
    networks[1].load_state_dict(reference.classifier.state_dict())
    return networks


@pytest.mark.parametrize(
    ("checkpoint", "tensors", "numbers"), [(EMBEDDING, 37, 4_218_705), (CLASSIFIER, 14, 3_962_919)]
)
def test_the_tensors_are_as_many_as_the_published_files_hold(checkpoint, tensors, numbers) -> None:
    expected = checkpoint.expected()
    assert len(expected) == tensors
    assert sum(math.prod(shape) for shape in expected.values()) == numbers


def test_names_and_shapes_are_those_of_speechbrain(reference: SimpleNamespace) -> None:
    for checkpoint, network in (
        (EMBEDDING, reference.embedding),
        (CLASSIFIER, reference.classifier),
    ):
        found = {name: tuple(t.shape) for name, t in network.state_dict().items()}
        assert checkpoint.expected() == found


@pytest.mark.parametrize(
    ("sound", "mean", "std", "row"),
    [(SINE, -34.89199, 24.43439, SINE_50), (CHIRP, -15.85127, 18.66123, CHIRP_50)],
)
def test_levels_are_the_golden_numbers(
    sound: Tensor, mean: float, std: float, row: list[float]
) -> None:
    levels = MelLevels()(sound[None])
    assert levels.shape == (1, 24, 101)
    assert levels.double().mean().item() == pytest.approx(mean, abs=2e-5)
    assert levels.double().std().item() == pytest.approx(std, abs=2e-5)
    assert levels[0, :6, 50].tolist() == pytest.approx(row, abs=1e-4)
    if sound is SINE:
        extremes = (levels.min().item(), levels.max().item())
        assert extremes == pytest.approx((-45.08424, 34.91576), abs=1e-4)


def test_levels_equal_speechbrains(speechbrain: SimpleNamespace) -> None:
    long = NOISE.reshape(1, -1).repeat(1, 2)[:, :44_100]
    for sound in (torch.stack([SINE, torch.zeros(16_000)]), SOUNDS, long):
        expected = speechbrain.Fbank(n_mels=24)(sound).mT
        assert near(MelLevels()(sound), expected)
    assert expected.shape == (1, 24, 276)


@pytest.mark.usefixtures("noiseless")
def test_vectors_and_posteriors_equal_speechbrains(
    speechbrain: SimpleNamespace, reference: SimpleNamespace
) -> None:
    normalise = speechbrain.InputNormalization(norm_type="sentence", std_norm=False)
    network = ours(reference)
    with torch.inference_mode():
        features = normalise(speechbrain.Fbank(n_mels=24)(SOUNDS), torch.ones(3))
        expected = reference.embedding(features, torch.ones(3))
        found = network[0](MelLevels()(SOUNDS))
        assert near(found, expected[:, 0])
        posteriors = network[1](found)
        assert near(posteriors, reference.classifier(expected)[:, 0])
    assert posteriors.shape == (3, 7205)
    assert posteriors.exp().sum(dim=1).numpy() == pytest.approx(np.ones(3), abs=1e-5)


@pytest.mark.usefixtures("noiseless")
def test_in_double_precision_nothing_but_rounding_differs(
    speechbrain: SimpleNamespace, reference: SimpleNamespace
) -> None:
    normalise = speechbrain.InputNormalization(norm_type="sentence", std_norm=False)
    levels = MelLevels()(torch.stack([SINE, *SOUNDS])).double()
    with torch.inference_mode():
        twin = deepcopy(reference.embedding).double()
        expected = twin(normalise(levels.mT, torch.ones(4)), torch.ones(4))[:, 0]
        found = ours(reference)[0].double()(levels)
    assert (found - expected).abs().max() < 1e-12


def test_speechbrains_noise_is_all_that_is_left_out(speechbrain: SimpleNamespace) -> None:
    maps = torch.randn(4, 60, 101, generator=torch.Generator().manual_seed(2))
    noisy = speechbrain.StatisticsPooling()(maps.mT)[:, 0]
    added = noisy - _Statistics()(maps)
    assert added[:, :60].min() >= 0.9e-5
    assert added[:, :60].max() <= 9.1e-5
    assert near(noisy[:, 60:], _Statistics()(maps)[:, 60:])


def test_a_second_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(MelLevels(), XVector(), SpeakerClassifier()).eval()
    sounds = torch.stack([SINE, CHIRP, 100 * CHIRP, torch.zeros(16_000)])
    with torch.inference_mode():
        together = network(sounds)
        alone = torch.cat([network(sound[None]) for sound in sounds])
    assert near(together, alone)
    assert torch.isfinite(together).all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_leaves_levels_and_sums_whole(half: torch.dtype) -> None:
    torch.manual_seed(4)
    network = nn.Sequential(MelLevels(), XVector()).eval()
    with torch.inference_mode():
        whole = network(CHIRP[None])
        with torch.autocast("cpu", dtype=half):
            assert torch.equal(network[0](CHIRP[None]), MelLevels()(CHIRP[None]))
            found = network(CHIRP[None]).float()
    assert (found - whole).norm() < 0.02 * whole.norm()
