"""EAT's published files, of every kind, taken in through `weights.add`."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from avfd.errors import InputError
from avfd.home import Home
from extract import weights
from extract.nets import eat_files
from extract.nets.eat import position_table
from extract.nets.eat_files import FINETUNED_SMALL, POSITIONS, PRETRAINED_SMALL, encoder_only
from extract.nets.eat_settings import SMALL


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def tensors(checkpoint_makers):
    """A finetuned network's tensors, the table of places as published."""
    made = checkpoint_makers.random_tensors(FINETUNED_SMALL.expected())
    return made | {POSITIONS: torch.from_numpy(position_table(SMALL.dim))[None]}


@pytest.fixture(scope="module")
def pretrained(tensors):
    return encoder_only(tensors)


def same(path, tensors):
    stored = load_file(path)
    assert stored.keys() == tensors.keys()
    return all(torch.equal(stored[name], tensor) for name, tensor in tensors.items())


def test_the_files_hold_as_many_tensors_as_the_published_ones():
    """FACTS.md 0.3 and 1.2; finetuning adds four tensors."""
    shapes = eat_files.PRETRAINED_BASE.expected()
    assert len(shapes) == 150
    assert sum(map(math.prod, shapes.values())) == 89_972_736
    early = shapes | {POSITIONS: (1, 512, 768)}
    assert sum(map(math.prod, early.values())) == 85_647_360
    finetuned = eat_files.FINETUNED_BASE.expected()
    assert len(finetuned) == 154
    assert finetuned["head.weight"] == (527, 768)
    large = eat_files.PRETRAINED_LARGE.expected()
    assert sum(map(math.prod, large.values())) == 308_867_072


@pytest.mark.parametrize("rows", [512, 6_144])
def test_a_fairseq_file_of_either_generation(home, tmp_path, checkpoint_makers, pretrained, rows):
    path = checkpoint_makers.eat_pretrained(tmp_path / "EAT.pt", pretrained, rows)
    assert same(weights.add(path, "eat-small", home).path, pretrained)


def test_a_hub_file_gives_the_same_bytes_as_a_fairseq_file(
    home, tmp_path, checkpoint_makers, pretrained
):
    hub = checkpoint_makers.eat_hub(tmp_path / "model.safetensors", pretrained)
    fairseq = checkpoint_makers.eat_pretrained(tmp_path / "EAT.pt", pretrained)
    digest = weights.add(hub, "eat-small", home).sha256
    assert weights.add(fairseq, "eat-small", home).sha256 == digest


@pytest.mark.parametrize("write", ["eat_finetuned", "eat_hub"])
def test_a_finetuned_file(home, tmp_path, checkpoint_makers, tensors, write):
    path = getattr(checkpoint_makers, write)(tmp_path / "finetuned", tensors)
    assert same(weights.add(path, "eat-finetuned-small", home).path, tensors)


def test_half_precision_becomes_float32(home, tmp_path, checkpoint_makers, pretrained):
    half = {name: tensor.half() for name, tensor in pretrained.items()}
    path = checkpoint_makers.eat_pretrained(tmp_path / "EAT.pt", half)
    stored = {name: tensor.float() for name, tensor in half.items()}
    assert same(weights.add(path, "eat-small", home).path, stored)


def test_pretrained_and_finetuned_are_not_mixed_up(home, tmp_path, checkpoint_makers, tensors):
    finetuned = checkpoint_makers.eat_finetuned(tmp_path / "finetuned.pt", tensors)
    with pytest.raises(InputError, match=r"4 extra: .*head\.weight"):
        weights.add(finetuned, "eat-small", home)
    pretrained = checkpoint_makers.eat_hub(tmp_path / "model.safetensors", encoder_only(tensors))
    with pytest.raises(InputError, match=r"4 missing: .*head.weight \[527, 32\]"):
        weights.add(pretrained, "eat-finetuned-small", home)


@pytest.mark.parametrize(("row", "off"), [(5, 2e-5), (511, 4e-5), (6_143, 3e-4)])
def test_a_table_that_is_not_the_formula_is_refused(
    home, tmp_path, checkpoint_makers, pretrained, row, off
):
    table = pretrained[POSITIONS].clone()
    table[0, row, 3] += off
    other = pretrained | {POSITIONS: table}
    path = checkpoint_makers.eat_pretrained(tmp_path / "EAT.pt", other)
    with pytest.raises(InputError, match=f"places is not EAT's.*row {row} is off"):
        weights.add(path, "eat-small", home)


def test_a_table_of_another_shape_is_named_with_the_rest(
    home, tmp_path, checkpoint_makers, pretrained
):
    path = checkpoint_makers.eat_pretrained(tmp_path / "EAT.pt", pretrained, rows=511)
    with pytest.raises(InputError, match=r"positions \[1, 511, 32\] instead of \[1, 6144, 32\]"):
        weights.add(path, "eat-small", home)


def test_what_is_not_known_is_reported(home, tmp_path, checkpoint_makers, pretrained):
    odd = pretrained | {"adapter.weight": torch.zeros(1)}
    path = checkpoint_makers.eat_hub(tmp_path / "model.safetensors", odd)
    with pytest.raises(InputError, match=r"1 extra: adapter\.weight"):
        weights.add(path, "eat-small", home)


def test_a_converted_file_is_taken_again(home, tmp_path, pretrained):
    plain = tmp_path / "eat-small.safetensors"
    save_file(pretrained, plain)
    assert same(weights.add(plain, "eat-small", home).path, pretrained)


def test_the_facts_name_the_network():
    for name in ("eat", "eat-large", "eat-finetuned", "eat-large-finetuned"):
        facts = weights.facts(name)
        values = sum(map(math.prod, facts.reader().expected().values()))
        assert facts.size_bytes == 4 * values
        assert facts.urls[0].startswith("https://huggingface.co/worstchan/EAT-")
    assert weights.facts("eat-small").reader() == PRETRAINED_SMALL
