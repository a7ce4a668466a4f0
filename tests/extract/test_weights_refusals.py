"""What `weights add`, `pull` and a run say of a model file that they do not take, and why."""

from __future__ import annotations

import datetime
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from avfd.cli import run
from avfd.errors import InputError, MissingError
from avfd.home import Home
from extract import weights
from extract.backbones import base, load_all
from extract.weights import pulling
from extract.weights.checking import check_file
from extract.weights.finding import card_path, file_sha256
from extract.weights.published_names import PUBLISHED
from extract.weights.reading import read

load_all()
NAME = "thirty-layers"
SHAPES = {f"layers.{i}.weight": (2, 3) for i in range(30)} | {"bn.running_var": (4,)}
TENSORS = {name: torch.ones(shape) for name, shape in SHAPES.items()}


class Reader:
    """Its files come with `net.` before every name, and a head that is dropped."""

    def expected(self) -> Mapping[str, tuple[int, ...]]:
        return SHAPES

    def clean(self, raw: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        return {n.removeprefix("net."): t for n, t in raw.items() if not n.startswith("head.")}


READER = Reader()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    facts = weights.Weights(
        NAME,
        f"{NAME}.safetensors",
        (),
        40,
        "MIT",
        "somebody",
        ("x",),
        urls=("https://maker.example/model.pt",),
        checkpoint=f"{__name__}:READER",
    )
    monkeypatch.setitem(weights.TABLE, NAME, facts)
    return Home(tmp_path / "home")


def saved(path: Path, content: Mapping[str, Any]) -> Path:
    torch.save(dict(content), path)
    return path


def test_a_sentence_tells_twenty_of_each_kind_and_json_all(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = {f"other.{i}": torch.ones(1) for i in range(25)}
    path = saved(tmp_path / "f.pt", {"bn.running_var": torch.ones(5), **extra})
    words = ["avfd", "weights", "add", str(path), "--as", NAME, "--home", str(home.path), "--json"]
    monkeypatch.setattr(sys, "argv", words)
    assert run() == 2
    told = capsys.readouterr()
    assert "layers.19.weight [2, 3] and 10 more (all: --json)" in told.err
    assert "25 extra: " in told.err
    assert json.loads(told.out)["error"]["details"] == {
        "missing": [f"layers.{i}.weight [2, 3]" for i in range(30)],
        "extra": [f"other.{i}" for i in range(25)],
        "of another shape": ["bn.running_var [5] instead of [4]"],
    }


@pytest.mark.parametrize(
    ("number", "why"), [(-1.0, "variances below 0"), (np.inf, "NaN or infinity")]
)
def test_a_variance_that_none_can_be_is_refused_by_name(
    home: Home, tmp_path: Path, number: float, why: str
) -> None:
    spoilt = torch.tensor([1.0, number, 1.0, 1.0])
    path = saved(tmp_path / "f.pt", {**TENSORS, "bn.running_var": spoilt})
    with pytest.raises(InputError, match=rf"1 not usable: bn\.running_var holds {why}"):
        weights.add(path, NAME, home)
    assert not home.weights_dir.exists()


@pytest.mark.parametrize(
    ("value", "kind"), [(np.ones((2, 3)), r"numpy\.ndarray"), (3, "int"), ([1.0], "list")]
)
def test_what_is_no_tensor_is_called_what_it_is(
    home: Home, tmp_path: Path, value: Any, kind: str
) -> None:
    path = saved(tmp_path / "f.pt", {**TENSORS, "layers.3.weight": value})
    said = rf"layers\.3\.weight is of type {kind} instead of a tensor \[2, 3\]"
    with pytest.raises(InputError, match=said):
        weights.add(path, NAME, home)


def test_numpys_arrays_instead_of_eats_tensors_are_told(
    home: Home, tmp_path: Path, checkpoint_makers: Any
) -> None:
    tensors = checkpoint_makers.random_tensors(weights.facts("eat-small").reader().expected())
    arrays = {f"model.{name}": tensor.numpy() for name, tensor in tensors.items()}
    with pytest.raises(InputError, match=r"numpy\.ndarray instead of a tensor"):
        weights.add(saved(tmp_path / "f.pt", arrays), "eat-small", home)


@pytest.mark.parametrize(
    "beside",
    [
        datetime.datetime(2024, 1, 2, 3, 4),
        datetime.timedelta(1),
        slice(1, 2),
        range(3),
        frozenset({1}),
    ],
)
def test_times_and_slices_beside_the_tensors_are_let_in_and_stay_inert(
    home: Home, tmp_path: Path, beside: Any
) -> None:
    path = saved(tmp_path / "f.pt", {**TENSORS, "head.made": beside})
    weights.add(path, NAME, home)
    assert type(read(path)["head.made"]).__name__ == "Inert"


def test_a_program_is_called_one(home: Home, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 3)).save(tmp_path / "f.pt")
    with pytest.raises(InputError, match=r"TorchScript archive.*fetch the checkpoint instead"):
        weights.add(tmp_path / "f.pt", NAME, home)


def test_a_folder_is_called_one_and_its_files_are_told(home: Home, tmp_path: Path) -> None:
    saved(tmp_path / "model.pt", TENSORS)
    with pytest.raises(InputError, match=r"this is a folder; found: files model\.pt"):
        weights.add(tmp_path, NAME, home)


@pytest.mark.parametrize("kind", ["eat's page", "a head"])
def test_a_published_file_put_in_place_says_to_add_it(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_makers: Any,
    kind: str,
) -> None:
    name = "eat-small" if kind == "eat's page" else "resnet18-small"
    tensors = checkpoint_makers.random_tensors(weights.facts(name).reader().expected())
    folder = tmp_path / "shared"
    folder.mkdir()
    path = folder / f"{name}.safetensors"
    if kind == "eat's page":
        checkpoint_makers.eat_hub(path, tensors)
    else:
        save_file({**tensors, "fc.weight": torch.ones(8, 16), "fc.bias": torch.ones(8)}, path)
    monkeypatch.setenv("AVFD_WEIGHTS", str(folder))
    said = f"not converted yet.*next: .*avfd weights add FILE --as {name}"
    with pytest.raises(InputError, match=said):
        weights.found_and_checked(name, home)
    moved = path.rename(tmp_path / "moved.safetensors")
    weights.add(moved, name, home)
    assert weights.found_and_checked(name, home).path.parent == home.weights_dir


def test_a_file_of_another_network_is_not_said_to_be_one_to_add(home: Home, tmp_path: Path) -> None:
    save_file({"net.other": torch.ones(1)}, tmp_path / "f.safetensors")
    with pytest.raises(InputError, match="fetch the file again"):
        check_file(tmp_path / "f.safetensors", NAME)


def test_what_a_file_replaces_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = weights.add(saved(tmp_path / "a.pt", TENSORS), NAME, home)
    assert first.replaced_sha256 is None
    assert weights.add(tmp_path / "a.pt", NAME, home).replaced_sha256 is None
    other = saved(tmp_path / "b.pt", {name: tensor + 1 for name, tensor in TENSORS.items()})
    words = ["avfd", "weights", "add", str(other), "--as", NAME, "--home", str(home.path)]
    monkeypatch.setattr(sys, "argv", words)
    assert run() == 0
    assert f"replaced the file that was there (sha256 {first.sha256})" in capsys.readouterr().err


def test_a_file_that_was_trained_here_is_not_replaced(home: Home, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    path = run_folder / f"{NAME}.safetensors"
    save_file(TENSORS, path)
    card = {"name": NAME, "origin": "trained here", "file": {"sha256": file_sha256(path)}}
    card_path(path).write_text(json.dumps(card))
    trained = weights.add(path, NAME, home)
    assert weights.add(path, NAME, home).sha256 == trained.sha256
    other = saved(tmp_path / "f.pt", {name: tensor + 1 for name, tensor in TENSORS.items()})
    said = f"trained here; found: sha256 {trained.sha256}.*move it and {NAME}.json away first"
    with pytest.raises(InputError, match=said):
        weights.add(other, NAME, home)
    assert weights.find(NAME, home).sha256 == trained.sha256


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def put_another(path: Path) -> None:
    card_path(path).unlink()
    save_file({"other": torch.ones(1)}, path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "cannot be read"),
        (turn_a_bit, "changed after it was written"),
        (put_another, "no checkpoint of"),
    ],
)
def test_pull_checks_what_is_there_and_writes_over_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, said: str
) -> None:
    published = saved(tmp_path / "a.pt", TENSORS)
    added = weights.add(published, NAME, home)
    assert weights.pull(NAME, home) == added
    spoil(added.path)
    left = added.path.read_bytes()
    with pytest.raises(
        InputError, match=f"not fetched again.*{said}.*remove it, or move it"
    ) as why:
        weights.pull(NAME, home)
    assert f"run `avfd weights pull {NAME}`" in str(why.value)
    assert added.path.read_bytes() == left
    added.path.unlink()
    monkeypatch.setattr(pulling, "_download", lambda url, to: published)
    assert weights.pull(NAME, home).sha256 == added.sha256


def test_a_card_of_another_file_does_not_say_what_a_file_was_made_from(
    home: Home, tmp_path: Path
) -> None:
    published = saved(tmp_path / "a.pt", TENSORS)
    added = weights.add(published, NAME, home)
    assert added.made_from_sha256 == file_sha256(published)
    turn_a_bit(added.path)
    assert weights.find(NAME, home).made_from_sha256 is None


def test_a_file_of_a_plugin_without_digest_and_reader_comes_in_as_it_is(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = weights.Weights("pnet", "pnet.onnx", (), 9, "MIT", "us", ("pnet",))
    monkeypatch.setitem(weights.TABLE, "pnet", facts)
    with pytest.raises(MissingError, match="avfd weights add FILE --as pnet") as missing:
        weights.pull("pnet", home)
    assert "weights pull" not in str(missing.value)
    (tmp_path / "given.onnx").write_bytes(b"a network")
    added = weights.add(tmp_path / "given.onnx", "pnet", home)
    assert (added.path.read_bytes(), added.origin) == (b"a network", "unverified")
    assert weights.found_and_checked("pnet", home) == weights.pull("pnet", home) == added
    check_file(added.path, "pnet")
    monkeypatch.setitem(weights.TABLE, "pnet", replace(facts, sha256=("0" * 64,)))
    with pytest.raises(InputError, match="next: take another file: us"):
        weights.add(tmp_path / "given.onnx", "pnet", home)


@pytest.mark.parametrize(
    ("asked", "ours"),
    [
        ("emotion2vec-base", "emotion2vec"),
        ("iic/emotion2vec_base", "emotion2vec"),
        *PUBLISHED.items(),
    ],
)
def test_a_published_name_is_told_as_the_network_that_it_is_here(
    home: Home, asked: str, ours: str
) -> None:
    for ask in (base.build, lambda name: weights.find(name, home)):
        with pytest.raises(MissingError, match=rf"did you mean {ours}\?"):
            ask(asked)
