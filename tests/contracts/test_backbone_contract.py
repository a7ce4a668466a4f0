"""What every shipped backbone must do; a new one gets these tests by registering itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from avfd.errors import AbsentError, InputError
from avfd.timeline import slot_centres
from extract.audio import AudioTap
from extract.backbones import base, load_all
from extract.backbones.base import AudioBlock, FaceBlock, is_face_pass

load_all()
NETWORKS = {n for n in base.names() if set(base.build(n).spec.weights) - {"blazeface"}}
"""They need weights, and have a contract of their own."""
SHIPPED = sorted(
    name
    for name, entry in base._REGISTRY.items()
    if entry.make.__module__.startswith("extract.") and name not in NETWORKS
)
SPECS = {name: base.build(name).spec for name in SHIPPED}
AUDIO = [name for name in SHIPPED if SPECS[name].audio]
AUDIO_SLOTS = [name for name in AUDIO if not SPECS[name].clip_level]
FACES = [name for name in SHIPPED if SPECS[name].faces]
TRACKS = [name for name in SHIPPED if is_face_pass(SPECS[name])]

HEAVY = "torch pandas mediapipe opensmile librosa numba soxr av scipy sklearn funasr transformers"
GOLDEN = Path(__file__).parent / "golden_columns.json"
BLOCKWISE_EXEMPT = {"compare2016": slice(65, 71)}  # deltas of the voicing columns, see its docs


@dataclass(frozen=True)
class Chunk:
    samples: np.ndarray
    sample_rate_hz: int
    start_seconds: float


def voice(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """A wavering tone with harmonics, syllables and breath: voiced, so that pitch is found."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * t + 3 * np.sin(2 * np.pi * 1.5 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * t) + 0.3, 0, None)
    breath = np.random.default_rng(seed).standard_normal(len(t))
    return (0.2 * tone * syllables + 0.005 * breath).astype(np.float32)


def block_of(name: str, sound: np.ndarray, covered=None) -> AudioBlock:
    rate = SPECS[name].audio.sample_rate_hz
    end = len(sound) / rate
    return AudioBlock(sound, rate, 0.0, (0.0, end), covered or ((0.0, end),))


def voiced(name: str, seconds: float) -> AudioBlock:
    return block_of(name, voice(seconds, SPECS[name].audio.sample_rate_hz))


def tapped(name: str, sound: np.ndarray, **blocks):
    """Values and mask of the whole sound, put together from its blocks."""
    spec = SPECS[name]
    wanted = replace(spec.audio, **blocks)
    tap = AudioTap(wanted, 1e9)
    found = [*tap.push(Chunk(sound[None], wanted.sample_rate_hz, 0.0)), *tap.finish()]
    slots = [base.build(name).audio(block) for block in found]
    firsts = [s.first_slot for s in slots]
    assert firsts == list(np.cumsum([0, *[len(s.valid) for s in slots[:-1]]]))
    return len(found), np.concatenate([s.values for s in slots])


@pytest.mark.parametrize("name", SHIPPED)
def test_the_spec_states_its_facts(name):
    spec = SPECS[name]
    assert spec.name == name
    assert spec.revision >= 1
    assert spec.summary
    assert spec.licence
    assert spec.source
    assert np.dtype(spec.dtype).name == spec.dtype
    assert (spec.modality == "audio") == (spec.audio is not None)
    json.dumps(spec.hashed())
    assert len(spec.fingerprint(dict.fromkeys(spec.weights, "0" * 64))) == 64


@pytest.mark.parametrize("name", SHIPPED)
def test_each_build_gives_the_same_spec(name):
    assert base.build(name).spec == SPECS[name]


@pytest.mark.parametrize("name", AUDIO)
def test_audio_gives_vectors_of_the_shape_and_type_that_the_spec_states(name):
    spec = SPECS[name]
    slots = base.build(name).audio(voiced(name, 2.5))
    assert slots.values.shape[1:] == spec.shape
    assert slots.values.dtype == spec.dtype
    assert slots.first_slot == 0
    assert slots.valid.any()
    assert len(slots.valid) <= max(1, np.ceil(2.5 * spec.rate_hz))


@pytest.mark.parametrize("name", AUDIO)
def test_audio_repeats_bit_for_bit_and_leaves_its_input_alone(name):
    block = voiced(name, 1.7)
    before = block.samples.copy()
    first, second = base.build(name), base.build(name)
    once = first.audio(block)
    for again in (first.audio(block), second.audio(block)):
        np.testing.assert_array_equal(once.values, again.values)
        np.testing.assert_array_equal(once.valid, again.valid)
    np.testing.assert_array_equal(block.samples, before)


@pytest.mark.parametrize("name", AUDIO)
def test_output_is_what_it_was_when_the_revision_was_given(name):
    """Numbers of ten places of a column, and its revision, are kept in golden_columns.json.

    If output was meant to change: raise the revision, and run with AVFD_WRITE_GOLDEN=1.
    """
    values = base.build(name).audio(voiced(name, 2.0)).values.ravel()
    places = np.linspace(0, len(values) - 1, 10).astype(int)
    found = {
        "revision": SPECS[name].revision,
        "values": [float(f"{v:.7g}") for v in values[places]],
    }
    if os.environ.get("AVFD_WRITE_GOLDEN"):
        golden = json.loads(GOLDEN.read_text()) | {name: found}
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    golden = json.loads(GOLDEN.read_text())[name]
    assert golden["revision"] == found["revision"]
    np.testing.assert_allclose(found["values"], golden["values"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AUDIO)
def test_audio_at_another_rate_is_refused(name):
    sound = np.zeros(8_000, dtype=np.float32)
    with pytest.raises(InputError, match="8000 Hz"):
        base.build(name).audio(AudioBlock(sound, 8_000, 0.0, (0.0, 1.0), ((0.0, 1.0),)))


NO_SOUNDS = {
    "16-bit integers": lambda sound: sound * 32_768,
    "quiet 16-bit integers": lambda sound: np.rint(sound / np.abs(sound).max() * 2),
    "beyond the bound": lambda sound: np.where(np.arange(len(sound)) == 7, -16.1, sound),
    "nan": lambda sound: np.where(np.arange(len(sound)) == 7, np.nan, sound),
    "infinity": lambda sound: np.where(np.arange(len(sound)) == 7, -np.inf, sound),
}


@pytest.mark.parametrize("spoilt", NO_SOUNDS)
@pytest.mark.parametrize("name", AUDIO)
def test_samples_out_of_range_are_refused(name, spoilt):
    rate = SPECS[name].audio.sample_rate_hz
    samples = NO_SOUNDS[spoilt](voice(0.1, rate)).astype(np.float32)
    with pytest.raises(InputError, match="no sound at full scale"):
        base.build(name).audio(block_of(name, samples))


HARD_SOUNDS = {
    "silence": lambda n: np.zeros(n),
    "constant": lambda n: np.ones(n),
    "square": lambda n: np.sign(np.sin(np.arange(n) / 20)),
    "impulse": lambda n: np.eye(1, n)[0],
    "denormal": lambda n: np.full(n, 1e-39),
    "far over full scale": lambda n: base.LOUDEST * np.sin(np.arange(n) / 7),
    "noise": lambda n: np.random.default_rng(0).uniform(-1, 1, n),
}


@pytest.mark.parametrize("sound", HARD_SOUNDS)
@pytest.mark.parametrize("name", AUDIO)
def test_no_sound_makes_a_value_that_is_not_finite(name, sound):
    samples = HARD_SOUNDS[sound](SPECS[name].audio.sample_rate_hz + 100).astype(np.float32)
    slots = base.build(name).audio(block_of(name, samples))
    assert np.isfinite(slots.values).all()


@pytest.mark.parametrize("name", AUDIO)
def test_any_length_gives_slots_or_is_absent(name):
    rate = SPECS[name].audio.sample_rate_hz
    reasons = []
    for samples in (1, 2, rate // 100, 959, 960, 1_119, rate // 2):
        try:
            slots = base.build(name).audio(block_of(name, voice(samples / rate, rate)))
        except AbsentError as error:
            reasons.append(str(error))
        else:
            assert np.isfinite(slots.values).all()
    assert all("too short" in reason for reason in reasons)


@pytest.mark.parametrize("name", AUDIO_SLOTS)
def test_a_slot_is_valid_only_where_the_file_has_sound(name):
    spec = SPECS[name]
    covered = ((0.0, 1.1), (1.6, 3.4))
    block = block_of(name, voice(3.4, spec.audio.sample_rate_hz), covered)
    slots = base.build(name).audio(block)
    centres = slot_centres(len(slots.valid), spec.rate_hz)
    inside = (centres < 1.1) | ((centres >= 1.6) & (centres < 3.4))
    assert not slots.valid[~inside].any()
    assert slots.valid[centres < 1].all()
    assert slots.valid[(centres > 2) & (centres < 3)].all()


@pytest.mark.parametrize("name", AUDIO_SLOTS)
def test_the_last_partial_second_is_never_whole(name):
    spec = SPECS[name]
    slots = base.build(name).audio(voiced(name, 2.4))
    assert slots.valid[2 * spec.rate_hz :].sum() < max(1, 0.45 * spec.rate_hz)


@pytest.mark.parametrize("name", AUDIO_SLOTS)
def test_blocks_give_the_same_core_as_the_whole(name):
    sound = voice(13.3, SPECS[name].audio.sample_rate_hz)
    blocks, parts = tapped(name, sound, block_seconds=11.0)
    one, whole = tapped(name, sound, block_seconds=None)
    assert (blocks, one) == (2, 1)
    assert parts.shape == whole.shape
    same = np.ones(whole.shape[-1], dtype=bool)
    same[BLOCKWISE_EXEMPT.get(name, slice(0, 0))] = False
    np.testing.assert_allclose(parts[..., same], whole[..., same], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FACES)
def test_faces_gives_vectors_of_the_shape_and_type_that_the_spec_states(name):
    spec = SPECS[name]
    size = spec.faces.size_px
    crops = np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    valid = np.array([True, True, False, True, True])
    slots = base.build(name).faces(FaceBlock(crops, 7, valid))
    assert slots.first_slot >= 7
    assert slots.values.shape[1:] == spec.shape
    assert slots.values.dtype == spec.dtype
    assert slots.valid.any()


@pytest.mark.parametrize("name", FACES)
def test_crops_of_another_size_are_refused(name):
    crops = np.zeros((2, 5, 5, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="5 px"):
        base.build(name).faces(FaceBlock(crops, 0, np.ones(2, dtype=bool)))


@pytest.mark.parametrize("name", TRACKS)
def test_the_face_pass_stores_what_was_followed(name):
    spec = SPECS[name]
    rows = np.random.default_rng(0).random((6, *spec.shape), dtype=np.float32)
    valid = np.array([True, False, True, True, False, True])
    slots = base.build(name).track(rows, valid)
    assert slots.first_slot == 0
    assert slots.values.dtype == spec.dtype
    np.testing.assert_array_equal(slots.valid, valid)
    np.testing.assert_array_equal(slots.values[valid], rows[valid])
    assert not slots.values[~valid].any()


def test_registering_every_backbone_imports_nothing_heavy():
    code = (
        "import sys; from extract.backbones import load_all, names, build; load_all(); "
        "[build(n) for n in names()]; "
        f"print(sorted(set(sys.modules) & set({HEAVY.split()!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
