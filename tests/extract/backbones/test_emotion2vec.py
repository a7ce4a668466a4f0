"""emotion2vec: funasr's own answers in their seconds, blocks, scores and 2D3MF's way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from avfd.errors import AbsentError, InputError
from extract.audio import AudioTap
from extract.backbones import build, load_all
from extract.backbones.base import AudioBlock
from extract.backbones.emotion2vec import normalised
from extract.nets.emotion2vec_files import PLUS_SMALL_FILE, SMALL_FILE

RATE = 16_000
FILES = {"emotion2vec-small": SMALL_FILE, "emotion2vec-plus-small": PLUS_SMALL_FILE}
load_all()


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    return (samples * np.sin(np.arange(len(samples)) / 4_000) + 0.02).astype(np.float32)


def block(sound, covered=None, rate=RATE) -> AudioBlock:
    end = len(sound) / rate
    return AudioBlock(sound, rate, 0.0, (0.0, end), covered or ((0.0, end),))


@pytest.fixture(scope="module")
def tensors(checkpoint_makers):
    return {n: checkpoint_makers.random_tensors(f.expected()) for n, f in FILES.items()}


@pytest.fixture(scope="module")
def made(tensors, tmp_path_factory):
    """`made("emotion2vec", options) -> backbone`, small and loaded; built once each."""
    folder = tmp_path_factory.mktemp("weights")
    for name, own in tensors.items():
        save_file(own, folder / f"{name}.safetensors")
    kept = {}

    def make(name="emotion2vec", options=""):
        if (name, options) not in kept:
            backbone = build(f"{name}:preset=small,{options}")
            (weights,) = backbone.spec.weights
            backbone.load({weights: folder / f"{weights}.safetensors"})
            kept[name, options] = backbone
        return kept[name, options]

    return make


@pytest.fixture(scope="module")
def funasr(tensors, references):
    """`funasr(name, sound, granularity) -> features, scores`, as its `generate` gives them."""
    models = {n: references.funasr_emotion2vec(FILES[n], own) for n, own in tensors.items()}

    def answers(name, sound, granularity="frame"):
        return references.funasr_answers(models[name], sound, granularity)

    return answers


def close(found, expected):
    return (np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def in_seconds(frames, count):
    """Frames [n, dim] → a mean for each second, by the middle of what a frame covers."""
    middle = (np.arange(len(frames)) * 320 + 200) / RATE
    return np.array([frames[np.floor(middle) == s].mean(axis=0) for s in range(count)])


@pytest.mark.parametrize("seconds", [1.0, 3.7])
def test_a_second_is_the_mean_of_its_frames(made, funasr, seconds):
    sound = noise(seconds)
    slots = made().audio(block(sound))
    count = int(seconds + 0.5)
    assert slots.valid.tolist() == [True] * count
    expected, _ = funasr("emotion2vec-small", sound)
    assert close(slots.values, in_seconds(expected, count))


def test_every_frame_has_a_slot_of_its_own(made, funasr):
    sound = noise(2.0)
    backbone = made(options="frames=true")
    assert (backbone.spec.rate_hz, backbone.spec.shape) == (50, (48,))
    slots = backbone.audio(block(sound))
    expected, _ = funasr("emotion2vec-small", sound)
    assert len(expected) == 99
    assert close(slots.values[:99], expected)
    assert slots.valid.tolist() == [True] * 99 + [False]


def test_scores_are_the_emotion_heads_of_each_second(made, funasr, tensors):
    sound = noise(2.0)
    slots = made("emotion2vec-plus-base", "output=scores").audio(block(sound))
    assert slots.values.shape == (2, 9)
    frames, _ = funasr("emotion2vec-plus-small", sound)
    own = tensors["emotion2vec-plus-small"]
    means = torch.from_numpy(in_seconds(frames, 2))
    logits = torch.nn.functional.linear(means, own["proj.weight"], own["proj.bias"])
    np.testing.assert_allclose(slots.values, logits.softmax(dim=1), atol=1e-5)


def test_the_scores_of_a_clip_that_is_one_second_are_funasrs(made, funasr):
    sound = noise(1.0)
    slots = made("emotion2vec-plus-large", "output=scores").audio(block(sound))
    _, expected = funasr("emotion2vec-plus-small", sound, "utterance")
    np.testing.assert_allclose(slots.values[0], expected, atol=1e-5)


def test_2d3mfs_way_takes_each_second_at_another_pitch(made, funasr):
    """44.1 kHz taken for 16 kHz, one second at a time, utterance granularity (FACTS.md 8.1)."""
    backbone = made(options="as_2d3mf=true")
    assert backbone.spec.audio.sample_rate_hz == 44_100
    sound = noise(3.4, 44_100)
    slots = backbone.audio(block(sound, rate=44_100))
    assert slots.valid.tolist() == [True] * 3
    for second, found in enumerate(slots.values):
        own = sound[second * 44_100 : (second + 1) * 44_100]
        expected, _ = funasr("emotion2vec-small", own, "utterance")
        assert close(found, expected)


def test_2d3mfs_way_masks_seconds_with_a_gap(made):
    sound = noise(3.99, 44_100)
    backbone = made(options="as_2d3mf=true")
    slots = backbone.audio(block(sound, ((0.0, 1.4), (1.6, 3.99)), 44_100))
    assert slots.valid.tolist() == [True, False, True, True]
    assert not slots.values[1].any()


def blocks_of(backbone, sound):
    tap = AudioTap(backbone.spec.audio, len(sound) / RATE)
    chunk = SimpleNamespace(samples=sound[None], sample_rate_hz=RATE, start_seconds=0.0)
    return [*tap.push(chunk), *tap.finish()]


def test_a_long_clip_is_seen_thirty_seconds_at_a_time(made, funasr):
    sound, backbone = noise(61.4), made()
    blocks = blocks_of(backbone, sound)
    windows = [backbone.windows(b) for b in blocks]
    assert [(w.first_slot, len(w.valid)) for w in windows] == [(0, 30), (30, 30), (60, 2)]
    for w, start in zip(windows, (0, 30, 60), strict=True):
        seen = sound[start * RATE : (start + 30) * RATE]
        np.testing.assert_array_equal(w.inputs, normalised(seen[None]))
    expected, _ = funasr("emotion2vec-small", sound[60 * RATE :])
    last = backbone.audio(blocks[2])
    assert last.valid.tolist() == [True, False]
    assert close(last.values[:1], in_seconds(expected, 1))


def test_a_last_block_is_no_mere_remainder(made):
    (only,) = blocks_of(made(), noise(30.7))
    assert made().windows(only).valid.sum() == 31


def test_normalisation_is_over_the_whole_block():
    sound = noise(1.3)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(sound), sound.shape)
    np.testing.assert_allclose(normalised(sound[None])[0], expected, atol=1e-6)
    assert not normalised(np.zeros((1, 400), dtype=np.float32)).any()


@pytest.mark.parametrize("samples", [1, 399, 7_999])
def test_too_little_sound_is_absent(made, samples):
    with pytest.raises(AbsentError, match="too short for emotion2vec"):
        made().audio(block(noise(1.0)[:samples]))
    with pytest.raises(AbsentError, match="too short for emotion2vec"):
        made(options="as_2d3mf=true").audio(block(noise(1.0)[:samples], rate=44_100))


def test_wrong_rates_are_refused(made):
    with pytest.raises(InputError, match="44100 Hz"):
        made().audio(block(noise(1.0, 44_100), rate=44_100))
    with pytest.raises(InputError, match="16000 Hz"):
        made(options="as_2d3mf=true").audio(block(noise(1.0)))


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="no emotion head"):
        build("emotion2vec:output=scores")
    with pytest.raises(InputError, match="one vector a second"):
        build("emotion2vec:frames=true,as_2d3mf=true")


def test_every_model_names_its_weights_and_every_option_its_fingerprint():
    plus = {"seed": 768, "base": 768, "large": 1024}
    sizes = {"emotion2vec": 768} | {f"emotion2vec-plus-{s}": dim for s, dim in plus.items()}
    for name, dim in sizes.items():
        spec = build(name).spec
        assert (spec.weights, spec.shape, spec.rate_hz) == ((name,), (dim,), 1)
    name = "emotion2vec-plus-large"
    assert build(f"{name}:preset=small").spec.weights == ("emotion2vec-plus-small",)
    asks = ["", "output=scores", "frames=true", "as_2d3mf=true", "precision=float16"]
    prints = {build(f"{name}:{ask}").spec.fingerprint({name: "0"}) for ask in asks}
    assert len(prints) == len(asks)


def test_a_long_clip_is_seen_whole_where_that_is_asked_for(made, funasr):
    sound = noise(32.5)
    backbone = made(options="block_seconds=0")
    tap = AudioTap(backbone.spec.audio, 60.0)
    tap.push(SimpleNamespace(samples=sound[None], sample_rate_hz=RATE, start_seconds=0.0))
    (whole,) = tap.finish()
    frames, _ = funasr("emotion2vec-small", sound)
    assert close(backbone.audio(whole).values[:32], in_seconds(frames, 32))
    assert backbone.spec.options["normalised_over"] == "clip"


def test_a_clip_too_long_to_be_seen_whole_is_refused(made):
    with pytest.raises(InputError, match=r"memory.*121\.0 s.*120 s"):
        made(options="block_seconds=0").audio(block(noise(121.0)))
    with pytest.raises(InputError, match="each second by itself"):
        build("emotion2vec:block_seconds=0,as_2d3mf=true")


def test_a_column_made_before_blocks_could_be_refused_keeps_its_fingerprint():
    assert "block_seconds" not in build("emotion2vec").spec.options
    assert build("emotion2vec").spec.audio.block_seconds == 30.0
