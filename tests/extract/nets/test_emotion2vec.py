"""emotion2vec's network against funasr's own class with the same weights."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from extract.nets.emotion2vec import Emotion2vecNetwork, slopes
from extract.nets.emotion2vec_files import (
    BASE_FILE,
    PLUS_BASE_FILE,
    PLUS_LARGE_FILE,
    PLUS_SMALL_FILE,
    SMALL_FILE,
)
from extract.nets.emotion2vec_settings import frame_count
from extract.nets.loading import loaded, shapes_of


@pytest.fixture(scope="module", params=[SMALL_FILE, PLUS_SMALL_FILE], ids=["base", "plus"])
def pair(request, checkpoint_makers, references):
    """Our network and funasr's, with the same numbers; one with 12 heads, one with 16."""
    file = request.param
    tensors = checkpoint_makers.random_tensors(file.expected())
    ours = loaded(lambda: Emotion2vecNetwork(file.settings), tensors, "emotion2vec-small")
    return ours.eval(), references.funasr_emotion2vec(file, tensors)


def sound(seconds, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16_000))
    return np.cumsum(noise - noise.mean()).astype(np.float32) / 10


def run(network, waveforms):
    with torch.inference_mode():
        return network(torch.from_numpy(np.atleast_2d(waveforms))).numpy()


def unit(waveform):
    """Zero mean, unit variance over the whole clip."""
    return torch.nn.functional.layer_norm(torch.from_numpy(waveform), waveform.shape).numpy()


@pytest.mark.parametrize("seconds", [0.025, 1.0, 2.756])
def test_frames_equal_funasrs(pair, references, seconds):
    ours, theirs = pair
    clip = sound(seconds)
    expected, _ = references.funasr_answers(theirs, clip, "frame")
    found = run(ours, unit(clip))[0]
    assert found.shape == expected.shape == (frame_count(len(clip)), ours.settings.dim)
    assert (np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def test_the_mean_of_the_logits_gives_funasrs_scores(pair, references):
    ours, theirs = pair
    clip = sound(1.3)
    _, expected = references.funasr_answers(theirs, clip, "utterance")
    if not ours.settings.classes:
        assert expected == []
        return
    with torch.inference_mode():
        logits = ours.logits(torch.from_numpy(unit(clip))[None]).mean(dim=1)
    np.testing.assert_allclose(logits.softmax(dim=1)[0], expected, atol=1e-5)


def test_frames_do_not_depend_on_the_batch(pair):
    clips = np.stack([unit(sound(0.7, seed)) for seed in range(5)])
    together = run(pair[0], clips)
    for clip, expected in zip(clips, together, strict=True):
        np.testing.assert_allclose(run(pair[0], clip)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(399, 0), (400, 1), (16_000, 49), (16_320, 50), (32_000, 99), (44_100, 137), (160_000, 499)],
)
def test_frame_counts(samples, frames):
    """FACTS.md 2.2 and 16."""
    assert frame_count(samples) == frames


def test_the_network_gives_499_frames_for_ten_seconds(pair):
    assert run(pair[0], sound(10)).shape[1] == 499


@pytest.mark.parametrize(
    ("file", "tensors", "values"),
    [
        (BASE_FILE, 183, 93_171_212),
        (PLUS_BASE_FILE, 185, 93_178_133),
        (PLUS_LARGE_FILE, 185, 162_140_185),
    ],
)
def test_the_published_files_hold_what_the_network_has(file, tensors, values):
    """Counts of FACTS.md 2.3 and 2.4; shapes written out against shapes of the modules."""
    shapes = file.expected()
    assert (len(shapes), sum(map(math.prod, shapes.values()))) == (tensors, values)
    assert shapes_of(lambda: Emotion2vecNetwork(file.settings)) == shapes


def test_slopes():
    """FACTS.md 2.2."""
    halves = [2.0**-i for i in range(1, 9)]
    assert slopes(8) == halves
    assert slopes(12) == pytest.approx([*halves, *(2 ** -(i + 0.5) for i in range(4))])
    assert slopes(16) == pytest.approx([2 ** (-i / 2) for i in range(1, 17)])


def test_building_the_network_imports_no_hub_and_leaves_funasr_alone():
    code = (
        "import sys; from extract.nets.emotion2vec import Emotion2vecNetwork as N; "
        "from extract.nets.emotion2vec_settings import SMALL; N(SMALL); "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('funasr', 'modelscope', 'huggingface_hub', 'transformers', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
