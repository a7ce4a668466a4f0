"""What every network among the shipped backbones must do; small presets, random weights.

A new one gets these tests by registering itself; it needs options with `preset`, and weights in
the table whose `Checkpoint` says what to expect.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from avfd.errors import InputError
from avfd.home import Home
from extract import weights
from extract.audio import AudioTap
from extract.backbones import base, load_all
from extract.backbones._network import NetworkBackbone
from extract.backbones.base import FaceBlock
from extract.task import FACE_MODEL

load_all()
NETWORKS = sorted(
    name
    for name, entry in base._REGISTRY.items()
    if entry.make.__module__.startswith("extract.")
    and set(base.build(name).spec.weights) - {FACE_MODEL}
)
SPECS = {name: base.build(f"{name}:preset=small").spec for name in NETWORKS}
AUDIO = [name for name in NETWORKS if SPECS[name].audio]
FACES = [name for name in NETWORKS if SPECS[name].faces]
COLUMNS = [name for name in NETWORKS if SPECS[name].reads]
SECONDS = 2.2
PRECISION_PAGE = Path(__file__).parents[2] / "docs" / "backbones" / "precision.md"
HEAVY = "torch pandas scipy safetensors funasr speechbrain transformers torchaudio torchvision"


def own_weights(name):
    return [w for w in SPECS[name].weights if w != FACE_MODEL]


@pytest.fixture(scope="module")
def files(tmp_path_factory, checkpoint_makers):
    """`files(name) -> {weights: path}`, random tensors through the public road."""
    folder = tmp_path_factory.mktemp("networks")
    home = Home(folder / "home")

    def file_of(weight):
        facts = weights.facts(weight)
        target = home.weights_dir / facts.file_name
        if not target.is_file():
            made = checkpoint_makers.random_tensors(facts.reader().expected())
            save_file(made, folder / facts.file_name)
            weights.add(folder / facts.file_name, weight, home)
        return weights.find(weight, home, target).path

    return lambda name: {w: file_of(w) for w in own_weights(name)}


@pytest.fixture(scope="module")
def built(files):
    """`built(name) -> backbone`, small and loaded; each once."""
    kept = {}

    def make(name):
        if name not in kept:
            kept[name] = base.build(f"{name}:preset=small")
            kept[name].load(files(name))
        return kept[name]

    return make


@pytest.fixture(scope="module")
def first(built):
    """`first(name) -> slots` of the first run, each once."""
    kept = {}

    def run_of(name):
        if name not in kept:
            kept[name] = run(built(name))
        return kept[name]

    return run_of


def voice(rate, seed=0):
    """A wavering tone with syllables and breath, so that voicing is found."""
    t = np.arange(round(SECONDS * rate)) / rate
    phase = 2 * np.pi * (120 * t + 3 * np.sin(2 * np.pi * 1.5 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    breath = np.random.default_rng(seed).standard_normal(len(t))
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * t) + 0.3, 0, None)
    return (0.2 * tone * syllables + 0.005 * breath).astype(np.float32)


def audio_block(spec, rate=None):
    """The clip's first block, as the pipeline would cut it."""
    wanted = replace(spec.audio, sample_rate_hz=rate or spec.audio.sample_rate_hz)
    tap = AudioTap(wanted, SECONDS)
    rate = wanted.sample_rate_hz
    chunk = type("Chunk", (), {})()
    chunk.samples, chunk.sample_rate_hz, chunk.start_seconds = voice(rate)[None], rate, 0.0
    return [*tap.push(chunk), *tap.finish()][0]


def face_block(spec, size=None):
    """Pictures that change slowly, the last of them without a face."""
    size, count = size or spec.faces.size_px, max(1, round(SECONDS * spec.faces.rate_hz))
    draw = np.random.default_rng(0)
    first, last = draw.integers(0, 256, (2, size, size, 3))
    mix = np.linspace(0, 1, count)[:, None, None, None]
    crops = (first * (1 - mix) + last * mix).astype(np.uint8)
    valid = np.ones(count, dtype=bool)
    valid[-1] = count == 1
    crops[~valid] = 0
    return FaceBlock(crops, 0, valid)


def column(spec):
    """Values of the column that is read."""
    read = base.build(spec.reads).spec
    count = max(1, round(SECONDS * read.rate_hz))
    values = np.random.default_rng(0).normal(0, 1, (count, *read.shape)).astype(read.dtype)
    return values, np.ones(count, dtype=bool)


def run(backbone):
    spec = backbone.spec
    if spec.reads:
        return backbone.column(*column(spec))
    if spec.faces:
        return backbone.faces(face_block(spec))
    return backbone.audio(audio_block(spec))


def test_there_are_networks():
    assert {"eat", "emotion2vec"} <= set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_facts_are_stated(name):
    spec = base.build(name).spec
    assert (spec.name, spec.revision >= 1) == (name, True)
    assert spec.summary
    assert spec.licence
    assert spec.source
    for weight in {*spec.weights, *SPECS[name].weights} - {FACE_MODEL}:
        facts = weights.facts(weight)
        assert name in facts.needed_by
        assert facts.licence
        assert facts.source
        assert facts.reader().expected()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_small_preset_has_a_fingerprint_of_its_own(name):
    published, small = base.build(name).spec, SPECS[name]
    assert published.options["preset"] == "published"
    assert small.options["preset"] == "small"
    assert set(published.weights) & set(small.weights) <= {FACE_MODEL}
    prints = {
        spec.fingerprint(dict.fromkeys(spec.weights, "0"), "0" if spec.reads else "")
        for spec in (published, small)
    }
    assert len(prints) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_it_gives_vectors_of_the_shape_and_type_that_the_spec_states(name, first):
    spec, slots = SPECS[name], first(name)
    assert slots.values.shape == (len(slots.valid), *spec.shape)
    assert slots.values.dtype == spec.dtype
    assert slots.first_slot == 0
    assert slots.valid.any()
    assert np.isfinite(slots.values[slots.valid]).all()
    if spec.clip_level:
        assert len(slots.valid) == 1
    else:
        assert len(slots.valid) <= np.ceil(SECONDS) * spec.rate_hz
        assert slots.valid.sum() > (SECONDS - 1.5) * spec.rate_hz


@pytest.mark.parametrize("name", NETWORKS)
def test_numbers_do_not_depend_on_how_many_windows_run_at_once(name, built, first):
    backbone = built(name)
    if not isinstance(backbone, NetworkBackbone):
        pytest.skip("it takes no windows")
    by_default = backbone.at_once
    backbone.at_once = 3 if by_default == 1 else 1
    one, several = run(backbone), first(name)
    del backbone.at_once
    np.testing.assert_array_equal(one.valid, several.valid)
    accepted = 1e-5 * np.maximum(1, np.abs(several.values))
    assert (np.abs(one.values - several.values) <= accepted).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_it_repeats(name, built, first):
    again = run(built(name))
    np.testing.assert_array_equal(again.values, first(name).values)
    np.testing.assert_array_equal(again.valid, first(name).valid)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_moves_vectors_by_no_more_than_the_page_states(
    name, precision, files, first
):
    page = PRECISION_PAGE.read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
    tolerance = float(re.search(rf"\*\*Tolerance\*\*.*?{precision} ([\d.]+) %", page)[1]) / 100
    backbone = base.build(f"{name}:preset=small,precision={precision}")
    backbone.load(files(name))
    half, full = run(backbone), first(name)
    np.testing.assert_array_equal(half.valid, full.valid)
    exact = full.values[full.valid].astype(np.float64).reshape(full.valid.sum(), -1)
    moved = half.values[full.valid].reshape(exact.shape) - exact
    assert (np.linalg.norm(moved, axis=1) <= tolerance * np.linalg.norm(exact, axis=1)).all()


@pytest.mark.parametrize("name", AUDIO)
def test_sound_at_another_rate_is_refused(name, built):
    rate = SPECS[name].audio.sample_rate_hz + 1_000
    with pytest.raises(InputError, match=f"{rate} Hz"):
        built(name).audio(audio_block(SPECS[name], rate))


@pytest.mark.parametrize("name", FACES)
def test_crops_of_another_size_are_refused(name, built):
    with pytest.raises(InputError, match="7 px"):
        built(name).faces(face_block(SPECS[name], size=7))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_another_kind_is_refused(name, built):
    values, valid = column(SPECS[name])
    for odd in (values[..., :-1], values[0], values.astype(np.int64), np.float32(1)):
        with pytest.raises(InputError, match=f"another kind.*accepted: {SPECS[name].reads}"):
            built(name).column(np.asarray(odd), valid)
    with pytest.raises(InputError, match=f"with \\[{len(valid) - 1}\\] validities"):
        built(name).column(values, valid[:-1])


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_is_not_finite_is_refused_where_it_counts(name, built):
    values, valid = column(SPECS[name])
    values[0] = np.nan
    with pytest.raises(InputError, match=f"not finite.*{SPECS[name].reads}"):
        built(name).column(values, valid)
    if len(valid) > 1:
        valid[0] = False
        assert np.isfinite(built(name).column(values, valid).values).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_another_network_are_refused(name, tmp_path, checkpoint_makers):
    (weight, *_) = own_weights(name)
    expected = dict(weights.facts(weight).reader().expected())
    lost = sorted(expected)[0]
    shape = expected.pop(lost)
    path = tmp_path / "wrong.safetensors"
    save_file(checkpoint_makers.random_tensors(expected), path)
    home = Home(tmp_path / "home")
    with pytest.raises(InputError, match="1 missing"):
        weights.add(path, weight, home)
    save_file(checkpoint_makers.random_tensors({**expected, lost: (*shape, 2)}), path)
    with pytest.raises(InputError, match="1 of another shape"):
        weights.add(path, weight, home)


def test_importing_and_building_a_network_imports_nothing_heavy():
    code = (
        "import sys; from extract.backbones import load_all, names, build; load_all(); "
        f"[build(n + ':preset=small') for n in {NETWORKS!r}]; "
        f"print(sorted(set(sys.modules) & set({HEAVY.split()!r})))"
    )
    env = {k: v for k, v in os.environ.items() if k != "AVFD_BACKBONE_MODULES"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=env,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
