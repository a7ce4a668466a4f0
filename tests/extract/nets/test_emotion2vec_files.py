"""emotion2vec's published files taken in through `weights.add`."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from avfd.errors import InputError
from avfd.home import Home
from extract import weights
from extract.nets.emotion2vec_files import PLUS_SMALL_FILE, SMALL_FILE

FILES = {
    "emotion2vec-small": (SMALL_FILE, "emotion2vec_base"),
    "emotion2vec-plus-small": (PLUS_SMALL_FILE, "emotion2vec_plus"),
}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_gives_the_networks_tensors(home, tmp_path, checkpoint_makers, name):
    file, writer = FILES[name]
    tensors = checkpoint_makers.random_tensors(file.expected())
    path = getattr(checkpoint_makers, writer)(tmp_path / "model.pt", tensors)
    stored = load_file(weights.add(path, name, home).path)
    assert stored.keys() == tensors.keys()
    assert all(torch.equal(stored[n], tensor) for n, tensor in tensors.items())


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict"])
def test_every_wrapper_that_funasr_unwraps(home, tmp_path, checkpoint_makers, wrapper):
    tensors = checkpoint_makers.random_tensors(SMALL_FILE.expected())
    path = tmp_path / "model.pt"
    torch.save({wrapper: {f"module.{n}": tensor for n, tensor in tensors.items()}}, path)
    stored = load_file(weights.add(path, "emotion2vec-small", home).path)
    assert stored.keys() == tensors.keys()


def test_a_plus_model_is_not_taken_for_the_base(home, tmp_path, checkpoint_makers):
    tensors = checkpoint_makers.random_tensors(PLUS_SMALL_FILE.expected())
    path = checkpoint_makers.emotion2vec_plus(tmp_path / "model.pt", tensors)
    with pytest.raises(InputError, match=r"2 extra: proj\.weight, proj\.bias"):
        weights.add(path, "emotion2vec-small", home)


def test_what_is_missing_is_named(home, tmp_path, checkpoint_makers):
    tensors = checkpoint_makers.random_tensors(SMALL_FILE.expected())
    del tensors["blocks.1.mlp.fc1.bias"]
    path = checkpoint_makers.emotion2vec_base(tmp_path / "emotion2vec_base.pt", tensors)
    with pytest.raises(InputError, match=r"1 missing: blocks\.1\.mlp\.fc1\.bias \[192\]"):
        weights.add(path, "emotion2vec-small", home)


def test_the_facts_say_that_the_licence_is_unclear():
    for name in ("emotion2vec", "emotion2vec-plus-seed", "emotion2vec-plus-large"):
        assert "unclear" in weights.facts(name).licence
    assert weights.facts("emotion2vec").urls == (
        "https://huggingface.co/emotion2vec/emotion2vec_base/resolve/main/emotion2vec_base.pt",
    )


def test_the_file_whose_digest_is_known_is_asked_for_at_its_revision():
    (url,) = weights.facts("emotion2vec-plus-large").urls
    assert "/resolve/6c303ba987b86b93193de93e34bb2b077a6bedc4/model.pt" in url
