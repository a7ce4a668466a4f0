"""eat: the published front end, golden numbers, and where each token goes."""

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
from extract.backbones.eat import FBANK, EatOptions, log_mel
from extract.nets.eat_files import PRETRAINED_SMALL
from extract.nets.eat_settings import SMALL

RATE = 16_000
load_all()


def tone() -> np.ndarray:
    """S of FACTS.md 16, in single precision throughout."""
    t = np.arange(RATE, dtype=np.float32) / np.float32(RATE)
    return np.float32(0.5) * np.sin(np.float32(2 * np.pi * 440) * t)


def chirp(seconds: float = 1.0) -> np.ndarray:
    """C of FACTS.md 16."""
    t = np.arange(round(seconds * RATE)) / RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t**2))
    return (sweep + 0.1 * np.sin(2 * np.pi * 1234.5 * t)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(0.05, 0.1, round(seconds * RATE))
    return (samples * np.sin(np.arange(len(samples)) / 4_000)).astype(np.float32)


def block(sound: np.ndarray, covered=None) -> AudioBlock:
    end = len(sound) / RATE
    return AudioBlock(sound, RATE, 0.0, (0.0, end), covered or ((0.0, end),))


@pytest.fixture(scope="module")
def tensors(checkpoint_makers):
    return checkpoint_makers.random_tensors(PRETRAINED_SMALL.expected())


@pytest.fixture(scope="module")
def made(tensors, tmp_path_factory):
    """`made(options) -> backbone`, small and loaded."""
    path = tmp_path_factory.mktemp("weights") / "eat-small.safetensors"
    save_file(tensors, path)

    def make(options=""):
        backbone = build(f"eat:preset=small,{options}")
        backbone.load({"eat-small": path})
        return backbone

    return make


@pytest.fixture(scope="module")
def tokens(tensors, references):
    """`tokens(sound, **picture) -> [512, dim]`: the published features in double precision."""
    weights = {name: tensor.double().numpy() for name, tensor in tensors.items()}

    def of(sound, **picture):
        mel = references.eat_picture(sound, **picture).double().numpy()
        return references.eat_tokens(weights, mel, SMALL)[1:]

    return of


def close(found, expected):
    return (np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def in_seconds(expected, count):
    """Tokens [n, dim] → a mean for each second: mel patches first, then steps by centre."""
    steps = expected.reshape(-1, 8, expected.shape[1]).mean(axis=1)
    second = np.floor((np.arange(len(steps)) + 0.5) * 0.16)
    return np.array([steps[second == s].mean(axis=0) for s in range(count)])


def test_the_golden_log_mel_of_the_tone():
    mel = log_mel(tone())
    assert mel.shape == (98, 128)
    assert mel[10].argmax() == 23
    assert mel[10].max() == pytest.approx(3.908805, abs=2e-6)
    assert mel.mean() == pytest.approx(-13.025721, abs=1e-4)


def test_the_golden_log_mel_of_the_chirp():
    mel = log_mel(chirp())
    assert mel.shape == (98, 128)
    assert mel.mean() == pytest.approx(-12.79423, abs=1e-4)
    assert mel.std(ddof=1) == pytest.approx(5.40322, abs=1e-4)
    golden = [-13.7885, -15.0980, -7.7606, -11.4796, -15.9424, -15.9424]
    # Mel 20 lies between the tones, near the rounding of the samples themselves.
    np.testing.assert_allclose(mel[50, [0, 20, 40, 60, 80, 127]], golden, atol=2e-4)


def test_padding_is_above_the_mean_of_the_data():
    """Zeros are put in before the normalisation, as the published code does."""
    picture = build("eat").picture(chirp())
    assert picture.shape == (1024, 128)
    np.testing.assert_allclose(picture[98:], 0.467061, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "picture"),
    [
        ("", {}),
        ("normalisation=esc50", {"mean": -6.627, "std": 5.359}),
        (
            "normalisation=spcv2,target_length=128",
            {"mean": -6.846, "std": 5.565, "target_length": 128},
        ),
    ],
)
def test_the_picture_is_the_published_one(references, options, picture):
    sound = noise(1.25)
    found = build(f"eat:{options}").picture(sound)
    np.testing.assert_allclose(found, references.eat_picture(sound, **picture), atol=1e-6)


@pytest.mark.parametrize("constants", ["esc50", "spcv2"])
def test_constants_of_other_sets_are_refused_with_weights_trained_on_audioset(
    tmp_path, tensors, constants
):
    with pytest.raises(InputError, match=r"trained on AudioSet last.*weights of your own"):
        build(f"eat-finetuned:normalisation={constants}")
    path = tmp_path / "eat-small.safetensors"
    save_file(tensors, path)
    backbone = build(f"eat:preset=small,normalisation={constants}")
    backbone.check({"eat-small": path})
    path.with_suffix(".json").write_text('{"origin": "published"}')
    with pytest.raises(InputError, match=f"found: normalisation={constants}"):
        backbone.check({"eat-small": path})
    build("eat:preset=small").check({"eat-small": path})


@pytest.mark.parametrize("seconds", [10.0, 10.2, 4.7, 1.0])
def test_a_second_is_the_mean_of_its_steps(made, tokens, seconds):
    sound = noise(seconds)
    slots = made().audio(block(sound))
    count = int(seconds + 0.5)
    assert slots.valid.tolist() == [True] * count + [False] * (len(slots.valid) - count)
    expected = tokens(sound)
    whole = int(seconds)
    assert close(slots.values[:whole], in_seconds(expected, whole))
    if whole < count:  # of the last, partial second the steps that begin within the sound count
        steps = expected.reshape(64, 8, -1).mean(axis=1)
        last = [t for t in range(64) if whole <= (t + 0.5) * 0.16 < seconds]
        assert close(slots.values[whole], steps[last].mean(axis=0))


def test_raw_tokens_stand_where_their_step_lies(made, tokens):
    sound = noise(3.0)
    backbone = made("tokens=raw")
    assert (backbone.spec.rate_hz, backbone.spec.shape) == (50, (SMALL.dim,))
    slots = backbone.audio(block(sound))
    assert slots.valid.all()
    assert len(slots.valid) == 150
    assert close(slots.values, tokens(sound)[:150])


def test_2d3mfs_array_is_the_tokens_of_ten_seconds(made, tokens):
    """As stored by 2D3MF: cut or filled with silence to 10 s, 512 tokens (FACTS.md 8.1)."""
    backbone = made("tokens=clip,pad=silence")
    assert (backbone.spec.rate_hz, backbone.spec.shape) == (0, (512, SMALL.dim))
    for seconds in (3.0, 10.0):
        sound = noise(seconds)
        slots = backbone.audio(block(sound))
        assert slots.valid.tolist() == [True]
        filled = np.pad(sound, (0, 160_000 - len(sound)))
        assert close(slots.values[0], tokens(filled))


def blocks_of(backbone, sound):
    tap = AudioTap(backbone.spec.audio, len(sound) / RATE)
    chunk = SimpleNamespace(samples=sound[None], sample_rate_hz=RATE, start_seconds=0.0)
    return [*tap.push(chunk), *tap.finish()]


def test_a_long_clip_is_seen_ten_seconds_at_a_time(made, tokens):
    sound = noise(30.2)
    backbone = made()
    slots = [backbone.audio(b) for b in blocks_of(backbone, sound)]
    assert [s.first_slot for s in slots] == [0, 10, 20]
    assert [len(s.valid) for s in slots] == [10, 10, 11]
    for s, start in zip(slots, (0, 10, 20), strict=True):
        seen = sound[start * RATE :] if start == 20 else sound[start * RATE : (start + 10) * RATE]
        assert close(s.values[:10], in_seconds(tokens(seen), 10))


def test_only_the_clips_beginning_is_taken_as_2d3mf_did(made):
    backbone = made("tokens=clip")
    first, second = blocks_of(backbone, noise(10.1))
    assert backbone.audio(first).values.shape == (1, 512, SMALL.dim)
    with pytest.raises(AbsentError, match="first 10 s"):
        backbone.audio(second)


def test_the_class_token_of_a_block_stands_in_each_of_its_seconds(made, tensors, references):
    """What the authors call granularity "utterance": the first token (FACTS.md 1.6)."""
    backbone = made("tokens=utterance")
    assert (backbone.spec.rate_hz, backbone.spec.shape) == (1, (SMALL.dim,))
    sound = noise(3.0)
    slots = backbone.audio(block(sound, covered=((0.0, 1.2),)))
    weights = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    mel = references.eat_picture(sound).double().numpy()
    expected = references.eat_tokens(weights, mel, SMALL)[0]
    assert slots.valid.tolist() == [True, False, False]
    assert slots.values.shape == (3, SMALL.dim)
    assert all(close(each, expected) for each in slots.values)
    pooled = made().spec
    assert backbone.spec.fingerprint({"eat-small": "0"}) != pooled.fingerprint({"eat-small": "0"})


def test_another_length_cuts_other_blocks(made, tokens):
    backbone = made("target_length=128")
    slots = [backbone.audio(b) for b in blocks_of(backbone, noise(3.0))]
    assert [s.first_slot for s in slots] == [0, 1, 2]
    expected = tokens(noise(3.0)[RATE : 2 * RATE], target_length=128)
    assert close(slots[1].values, in_seconds(expected, 1))


def test_a_gap_masks_its_seconds(made):
    slots = made().audio(block(noise(5.0), ((0.0, 1.2), (2.8, 5.0))))
    assert slots.valid.tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("samples", [1, 399, 7_999])
def test_too_little_sound_is_absent(made, samples):
    with pytest.raises(AbsentError, match="too short for eat"):
        made().audio(block(noise(1.0)[:samples]))


def test_a_stretch_without_sound_is_absent(made):
    with pytest.raises(AbsentError, match="no sound for eat"):
        made().audio(block(noise(4.0), ((0.0, 0.3),)))


@pytest.mark.parametrize("length", [96, 1000, 12_304])
def test_lengths_that_eat_cannot_see_are_refused(length):
    with pytest.raises(InputError, match="multiple of 16 from 112"):
        EatOptions(target_length=length)


def test_every_variant_names_its_weights_and_every_option_its_fingerprint():
    sizes = {"eat": 768, "eat-large": 1024, "eat-finetuned": 768, "eat-large-finetuned": 1024}
    for name, dim in sizes.items():
        spec = build(name).spec
        assert (spec.weights, spec.shape, spec.rate_hz) == ((name,), (dim,), 1)
    assert build("eat-large-finetuned:preset=small").spec.weights == ("eat-finetuned-small",)
    asks = ["", "tokens=raw", "tokens=clip", "normalisation=esc50", "target_length=512"]
    asks += ["pad=silence", "precision=bfloat16"]
    prints = {build(f"eat:{ask}").spec.fingerprint({"eat": "0"}) for ask in asks}
    assert len(prints) == len(asks)


def test_whose_mean_is_taken_off_changes_nothing():
    """Kaldi takes off the mean of each frame, so neither the clip's nor the block's is left."""
    from torchaudio.compliance import kaldi

    sound = noise(1.0)
    moved = kaldi.fbank(torch.from_numpy(sound + np.float32(0.05))[None], **FBANK).numpy()
    np.testing.assert_allclose(moved, log_mel(sound), atol=2e-3)
