"""What training programs put around a state dict goes, whatever reads the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from avfd.errors import InputError
from avfd.home import Home
from extract import weights
from extract.weights.checking import check_file
from extract.weights.unwrapping import unwrapped

READERS = ("eat-small", "emotion2vec-small", "xvector-tiny", "marlin-tiny", "resnet18-small")
Content = Mapping[str, Any]


def put_before(front: str) -> Callable[[Content], Content]:
    return lambda tensors: {f"{front}{name}": tensor for name, tensor in tensors.items()}


AROUND: dict[str, Callable[[Content], Content]] = {
    "parallel": put_before("module."),
    "compiled": put_before("_orig_mod.module."),
    "state dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model": lambda tensors: {"model": put_before("module.")(tensors), "optimizer": {}},
    "lightning": lambda tensors: {"state_dict": put_before("model.")(tensors), "callbacks": {}},
    "twice": lambda tensors: {"model": {"state_dict": tensors}},
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", READERS)
def test_every_reader_takes_the_same_wrappers_off(
    name: str, around: str, tmp_path: Path, checkpoint_makers: Any
) -> None:
    tensors = checkpoint_makers.random_tensors(weights.facts(name).reader().expected())
    torch.save(AROUND[around](tensors), tmp_path / "file.pt")
    stored = load_file(weights.add(tmp_path / "file.pt", name, Home(tmp_path / "home")).path)
    assert stored.keys() == tensors.keys()
    assert all(torch.equal(stored[key], tensors[key]) for key in stored)


def test_a_front_of_some_names_only_stays() -> None:
    assert unwrapped({"model.weight": 1, "head.weight": 2}) == {"model.weight": 1, "head.weight": 2}


TABLES = {
    "eat-small": ("fixed_positional_encoder.positions", "EAT"),
    "marlin-tiny": ("encoder.pos_embedding.emb", "MARLIN"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_places_is_checked_on_every_road(
    name: str, tmp_path: Path, checkpoint_makers: Any
) -> None:
    tensors = checkpoint_makers.random_tensors(weights.facts(name).reader().expected())
    key, maker = TABLES[name]
    path = tmp_path / "own.safetensors"
    save_file(tensors, path)
    check_file(path, name)
    save_file({**tensors, key: torch.zeros_like(tensors[key])}, path)
    home = Home(tmp_path / "home")
    for refuse in (lambda: weights.add(path, name, home), lambda: check_file(path, name)):
        with pytest.raises(InputError, match=f"places is not {maker}'s.*is off by 1"):
            refuse()
    wrapped = {"model": put_before("module.")({**tensors, key: tensors[key].flip(1)})}
    torch.save(wrapped, tmp_path / "file.pt")
    with pytest.raises(InputError, match=f"places is not {maker}'s"):
        weights.add(tmp_path / "file.pt", name, home)
