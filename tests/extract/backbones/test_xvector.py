"""xvector, xvector-posterior: published files in; seconds that equal SpeechBrain's; the door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from avfd.errors import AbsentError, InputError
from avfd.home import Home
from extract import weights
from extract.backbones.base import AudioBlock, build
from extract.backbones.xvector import XVector
from extract.nets.xvector_settings import SMALL

RATE = 16_000
FILES = {"xvector-tiny": "embedding_model.ckpt", "xvector-tiny-classifier": "classifier.ckpt"}
COLUMNS = {"xvector": SMALL.dim, "xvector-posterior": SMALL.speakers}


def sound(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A gliding tone in noise that swells and fades."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    glide = np.sin(2 * np.pi * (150 * t + 90 * t**2))
    return ((0.4 * glide + 0.05 * noise) * (1.1 + np.sin(5 * t)) / 2).astype(np.float32)


def block(samples: np.ndarray, rate: int = RATE, covered=None, start: float = 0.0) -> AudioBlock:
    end = start + len(samples) / rate
    return AudioBlock(samples, rate, start, (start, end), covered or ((start, end),))


def near(found: np.ndarray, expected: np.ndarray) -> bool:
    assert found.shape == expected.shape
    return bool((np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all())


@pytest.fixture(scope="module")
def reference(
    speechbrain: SimpleNamespace, randomised: Callable[..., nn.Module]
) -> SimpleNamespace:
    """Small networks made of SpeechBrain's own classes."""
    embedding = speechbrain.Xvector(
        tdnn_channels=list(SMALL.channels), lin_neurons=SMALL.dim, in_channels=24
    )
    classifier = speechbrain.Classifier(
        (2, 1, SMALL.dim), lin_neurons=SMALL.dim, out_neurons=SMALL.speakers
    )
    return SimpleNamespace(
        embedding=randomised(embedding),
        classifier=randomised(classifier, seed=1),
        features=speechbrain.Fbank(n_mels=24),
        normalise=speechbrain.InputNormalization(norm_type="sentence", std_norm=False),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: SimpleNamespace) -> Home:
    """A home that both files were added to, as SpeechBrain's checkpointer writes them."""
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    home = Home(tmp_path / "home")
    for (name, file), network in zip(
        FILES.items(), (reference.embedding, reference.classifier), strict=True
    ):
        torch.save(network.state_dict(), tmp_path / file)
        weights.add(tmp_path / file, name, home)
    return home


def made(home: Home, ask: str) -> XVector:
    """The backbone, loaded with what was added."""
    name, _, options = ask.partition(":")
    backbone = build(f"{name}:preset=small,{options}")
    assert isinstance(backbone, XVector)
    backbone.load({name: weights.find(name, home).path for name in backbone.spec.weights})
    return backbone


def expected(reference: SimpleNamespace, column: str, seconds: np.ndarray) -> np.ndarray:
    """What SpeechBrain's `encode_batch` or `classify_batch` does, [n, samples] → [n, dim]."""
    lengths = torch.ones(len(seconds))
    with torch.inference_mode():
        features = reference.normalise(
            reference.features(torch.from_numpy(seconds.copy())), lengths
        )
        vectors = reference.embedding(features, lengths)
        answer = vectors if column == "xvector" else reference.classifier(vectors)
    return answer[:, 0].numpy()


def test_the_specs_are_those_of_the_published_network() -> None:
    vectors, posteriors = build("xvector").spec, build("xvector-posterior").spec
    assert (vectors.rate_hz, vectors.shape, vectors.weights) == (1, (512,), ("xvector",))
    assert (posteriors.rate_hz, posteriors.shape) == (1, (7205,))
    assert posteriors.weights == ("xvector", "xvector-classifier")
    assert vectors.audio is not None
    assert vectors.audio.sample_rate_hz == 16_000


@pytest.mark.parametrize("name", FILES)
def test_published_files_are_taken_in_with_every_tensor(
    name: str, home: Home, reference: SimpleNamespace
) -> None:
    network = reference.classifier if "classifier" in name else reference.embedding
    stored = load_file(weights.find(name, home).path)
    state = network.state_dict()
    assert isinstance(state, OrderedDict)
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in state)


def test_the_two_files_are_not_taken_for_each_other(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing: blocks\.0\.conv\.weight \[16, 24, 5\]"):
        weights.add(tmp_path / "classifier.ckpt", "xvector-tiny", home)
    with pytest.raises(InputError, match=r"extra: blocks\.0\.conv\.weight"):
        weights.add(tmp_path / "embedding_model.ckpt", "xvector-tiny-classifier", home)


@pytest.mark.usefixtures("noiseless")
@pytest.mark.parametrize("column", COLUMNS)
def test_each_second_equals_speechbrains(
    column: str, home: Home, reference: SimpleNamespace
) -> None:
    samples = sound(5.4)
    slots = made(home, column).audio(block(samples))
    assert (slots.first_slot, slots.valid.tolist()) == (0, [True] * 5)
    seconds = samples[: 5 * RATE].reshape(5, RATE)
    assert near(slots.values, expected(reference, column, seconds))
    assert slots.values.shape == (5, COLUMNS[column])


@pytest.mark.usefixtures("noiseless")
def test_2d3mfs_sound_is_taken_for_slower_than_it_is(
    home: Home, reference: SimpleNamespace
) -> None:
    backbone = made(home, "xvector-posterior:as_2d3mf=true")
    assert backbone.spec.audio is not None
    assert backbone.spec.audio.sample_rate_hz == 44_100
    samples = sound(2.0, 44_100)
    slots = backbone.audio(block(samples, 44_100))
    seconds = samples.reshape(2, 44_100)
    assert reference.features(torch.from_numpy(seconds.copy())).shape == (2, 276, 24)
    assert near(slots.values, expected(reference, "xvector-posterior", seconds))
    right = made(home, "xvector-posterior").audio(block(sound(2.0)))
    assert np.abs(right.values - slots.values).max() > 0.01
    with pytest.raises(InputError, match="16000 Hz"):
        backbone.audio(block(sound(2.0)))


@pytest.mark.parametrize("column", COLUMNS)
def test_sound_at_another_rate_is_refused(column: str) -> None:
    with pytest.raises(InputError, match="44100 Hz"):
        build(f"{column}:preset=small").audio(block(sound(1.0, 44_100), 44_100))


@pytest.mark.parametrize(("seconds", "count"), [(2.0, 2), (2.9, 2), (2.97, 2), (2.98, 3)])
def test_a_partial_second_gives_nothing_but_a_codecs_frame_may_lack(
    seconds: float, count: int, home: Home
) -> None:
    slots = made(home, "xvector").audio(block(sound(seconds)))
    assert slots.valid.tolist() == [True] * count


def test_seconds_with_a_gap_are_not_computed_and_not_valid(home: Home) -> None:
    backbone = made(home, "xvector")
    covered = ((60.0, 61.5), (62.01, 64.0))
    gapped = block(sound(4.0), covered=covered, start=60.0)
    windows = backbone.windows(gapped)
    assert len(windows.inputs) == 3
    slots = backbone.audio(gapped)
    assert slots.first_slot == 60
    assert slots.valid.tolist() == [True, False, True, True]
    assert not slots.values[1].any()
    assert near(slots.values[2:], backbone.audio(block(sound(4.0))).values[2:])


@pytest.mark.parametrize("seconds", [0.01, 0.9])
def test_under_a_second_is_absent(seconds: float) -> None:
    with pytest.raises(AbsentError, match="too short for xvector"):
        build("xvector:preset=small").audio(block(sound(seconds)))


@pytest.mark.parametrize("column", COLUMNS)
def test_neither_neighbours_nor_batches_change_a_second(column: str, home: Home) -> None:
    backbone = made(home, column)
    samples = sound(19.0)
    together = backbone.audio(block(samples)).values
    alone = [
        backbone.audio(block(second)).values[0] for second in samples.reshape(19, RATE)[[0, 7, 18]]
    ]
    assert near(together[[0, 7, 18]], np.stack(alone))
    backbone.at_once = 4  # type: ignore[misc]
    assert near(backbone.audio(block(samples)).values, together)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.ones(RATE), 25 * sound(1.0)])
def test_no_sound_makes_a_value_that_is_not_finite(samples: np.ndarray, home: Home) -> None:
    slots = made(home, "xvector-posterior").audio(block(samples.astype(np.float32)))
    assert np.isfinite(slots.values).all()


def test_what_decides_the_numbers_is_in_the_fingerprint() -> None:
    asks = ("", ":as_2d3mf=true", ":precision=bfloat16", ":preset=small")
    specs = [build(f"xvector{options}").spec for options in asks]
    prints = {spec.fingerprint(dict.fromkeys(spec.weights, "0" * 64)) for spec in specs}
    assert len(prints) == len(asks)
    with pytest.raises(InputError, match="as_2d3mf=False"):
        build("xvector:sample_rate_hz=44100")


@pytest.mark.usefixtures("noiseless")
def test_from_published_files_and_a_recording_to_the_columns(
    home: Home,
    tmp_path: Path,
    extracts: ModuleType,
    make_audio: Callable[..., Path],
    reference: SimpleNamespace,
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    make_audio(media / "voice.wav", sound(2.6)[None])
    extracts.indexed(home.path, media)
    asks = ["waveform", *(f"{column}:preset=small" for column in COLUMNS)]
    extracts.extract(home, asks, device="cpu")
    reader = extracts.cache_of(home).snapshot()
    (key,) = reader.keys
    seconds = reader.column("waveform").read(key).values[:2].reshape(2, RATE)
    for column, dim in COLUMNS.items():
        found = reader.column(column).read(key)
        assert found.values.shape == (3, 1, dim)
        assert found.valid[:, 0].tolist() == [True, True, False]
        assert near(found.values[:2, 0], expected(reference, column, seconds))
