"""`weights add`: published checkpoints in, safetensors out; what bites is refused."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from avfd.cli import setup
from avfd.errors import InputError, MissingError, StoreError
from avfd.home import Home
from extract import weights
from extract.weights import pulling
from extract.weights.checking import check_file
from extract.weights.finding import file_sha256
from extract.weights.reading import read

NAME = "two-layers"
TENSORS = {"first.weight": torch.ones(2, 3), "last.bias": torch.arange(4.0)}


class TwoLayers:
    """A checkpoint as fairseq wraps it: under "model", with a prefix, a decoder to drop."""

    def expected(self) -> Mapping[str, tuple[int, ...]]:
        return {"first.weight": (2, 3), "last.bias": (4,)}

    def clean(self, raw: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        model = raw.get("model", raw)
        return {
            name.removeprefix("net."): tensor
            for name, tensor in model.items()
            if not name.startswith("decoder.")
        }


READER = TwoLayers()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    declare(monkeypatch)
    return Home(tmp_path / "home")


def declare(monkeypatch: pytest.MonkeyPatch, *sha256: str) -> None:
    facts = weights.Weights(
        NAME, f"{NAME}.safetensors", sha256, 40, "MIT", "nobody", ("x",), checkpoint=f"{__name__}:R"
    )
    monkeypatch.setattr(weights.Weights, "reader", lambda _: READER)
    monkeypatch.setitem(weights.TABLE, NAME, facts)


def published(folder: Path, tensors: Mapping[str, torch.Tensor], **beside: Any) -> Path:
    path = folder / "published.pt"
    model = {f"net.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"model": model | {"decoder.w": torch.ones(1)}, **beside}, path)
    return path


def test_wrapper_prefix_and_decoder_go_and_the_tensors_stay(home: Home, tmp_path: Path) -> None:
    found = weights.add(published(tmp_path, TENSORS), NAME, home)
    stored = load_file(found.path)
    assert stored.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(stored[name], tensor)
    assert weights.find(NAME, home) == found
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_the_same_tensors_give_the_same_digest_whatever_file_they_came_in(
    home: Home, tmp_path: Path
) -> None:
    pickled = weights.add(published(tmp_path, TENSORS), NAME, home).sha256
    plain = tmp_path / "plain.safetensors"
    save_file(dict(reversed(TENSORS.items())), plain)
    assert weights.add(plain, NAME, home).sha256 == pickled


def test_missing_extra_and_misshapen_tensors_are_all_named(home: Home, tmp_path: Path) -> None:
    wrong = {"first.weight": torch.ones(3, 2), "head.bias": torch.ones(1)}
    with pytest.raises(InputError) as caught:
        weights.add(published(tmp_path, wrong), NAME, home)
    said = str(caught.value)
    assert "1 missing: last.bias [4]" in said
    assert "1 extra: head.bias" in said
    assert "first.weight [3, 2] instead of [2, 3]" in said
    assert not home.weights_dir.exists()


def test_settings_beside_the_weights_are_let_in_and_stay_inert(home: Home, tmp_path: Path) -> None:
    path = published(tmp_path, TENSORS, args=argparse.Namespace(lr=1e-3), epoch=3)
    weights.add(path, NAME, home)
    assert type(read(path)["args"]).__name__ == "Inert"


class Poison:
    """What runs a command when it is unpickled without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_a_poisoned_file_runs_nothing_and_is_refused(home: Home, tmp_path: Path) -> None:
    bitten = tmp_path / "bitten"
    path = published(tmp_path, TENSORS, args=Poison(f"touch {bitten}"))
    torch.load(path, weights_only=False)
    assert bitten.exists(), "the poison works where nobody takes care"
    bitten.unlink()
    with pytest.raises(InputError, match=r"code to be run.*system"):
        weights.add(path, NAME, home)
    assert not bitten.exists()


@pytest.mark.parametrize("cut", [0, 5, 100, -200])
def test_a_damaged_file_is_refused_by_name(home: Home, tmp_path: Path, cut: int) -> None:
    path = published(tmp_path, TENSORS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"published\.pt"):
        weights.add(path, NAME, home)


@pytest.mark.parametrize("number", [np.float32(63.7), np.float64(0.5), np.int64(3), np.bool_(True)])
def test_numpys_numbers_beside_the_weights_are_let_in_and_stay_inert(
    home: Home, tmp_path: Path, number: Any
) -> None:
    path = published(tmp_path, TENSORS, best_acc=number, seen=np.arange(3))
    weights.add(path, NAME, home)
    assert type(read(path)["best_acc"]).__name__ == "Inert"


@pytest.mark.parametrize("kind", [Path, PurePosixPath, PureWindowsPath])
def test_paths_beside_the_weights_are_let_in_and_stay_inert(
    home: Home, tmp_path: Path, kind: Any
) -> None:
    path = published(tmp_path, TENSORS, args={"save_dir": kind("runs") / "1"})
    weights.add(path, NAME, home)
    assert type(read(path)["args"]["save_dir"]).__name__ == "Inert"


def test_a_poisoned_file_with_numpys_numbers_and_paths_runs_nothing(
    home: Home, tmp_path: Path
) -> None:
    bitten = tmp_path / "bitten"
    beside = {"best_acc": np.float32(63.7), "save_dir": tmp_path}
    path = published(tmp_path, TENSORS, **beside, args=Poison(f"touch {bitten}"))
    with pytest.raises(InputError, match=r"code to be run.*system"):
        weights.add(path, NAME, home)
    assert not bitten.exists()


def test_text_is_no_checkpoint(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("<html>Too many requests</html>")
    with pytest.raises(InputError, match=r"model\.pt"):
        weights.add(path, NAME, home)


def test_origin_follows_the_published_digest(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(tmp_path, TENSORS)
    assert weights.add(path, NAME, home).origin == "unverified"
    declare(monkeypatch, hashlib.sha256(path.read_bytes()).hexdigest())
    assert weights.add(path, NAME, home).origin == "published"
    declare(monkeypatch, "0" * 64)
    assert weights.add(path, NAME, home).origin == "other"


def test_a_file_changed_after_it_was_added_is_not_what_its_card_says(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(tmp_path, TENSORS)
    declare(monkeypatch, hashlib.sha256(path.read_bytes()).hexdigest())
    added = weights.add(path, NAME, home)
    save_file({name: tensor + 1 for name, tensor in TENSORS.items()}, added.path)
    found = weights.find(NAME, home)
    assert found.sha256 != added.sha256
    assert (added.origin, found.origin) == ("published", "other")


def test_a_run_that_trained_the_network_can_be_named(home: Home, tmp_path: Path) -> None:
    added = weights.add(published(tmp_path, TENSORS), NAME, home)
    folder = home.runs_dir / "run-1" / "weights"
    folder.mkdir(parents=True)
    added.path.rename(folder / added.path.name)
    assert weights.find(NAME, home, "run-1").sha256 == added.sha256


def test_what_is_nowhere_says_how_to_get_it(home: Home) -> None:
    with pytest.raises(MissingError, match=f"weights add FILE --as {NAME}"):
        weights.find(NAME, home)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_large_file_that_was_cut_short_is_refused_by_name(
    home: Home, tmp_path: Path, share: float
) -> None:
    path = published(tmp_path, {"first.weight": torch.ones(2000, 1000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"published\.pt"):
        weights.add(path, NAME, home)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (torch.full((2, 3), torch.nan), "holds NaN"),
        (torch.ones(2, 3, dtype=torch.complex64), "is complex"),
        (torch.ones(2, 3).to_sparse(), "is sparse"),
        (torch.ones(2, 3, dtype=torch.int64), "is int64"),
        (torch.ones(2, 3, dtype=torch.bool), "is bool"),
    ],
)
def test_numbers_that_no_network_has_are_refused(
    home: Home, tmp_path: Path, tensor: torch.Tensor, why: str
) -> None:
    with pytest.raises(InputError, match=f"first.weight {why}"):
        weights.add(published(tmp_path, {**TENSORS, "first.weight": tensor}), NAME, home)


@pytest.mark.parametrize("text", ["<!DOCTYPE html><p>", "version https://git-lfs.github.com/spec"])
def test_a_page_or_a_pointer_is_called_text_and_no_unsafe_advice_is_given(
    home: Home, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "model.pt"
    path.write_text(text)
    with pytest.raises(InputError, match="text: a web page") as caught:
        weights.add(path, NAME, home)
    assert "weights_only" not in str(caught.value)


def test_a_published_file_given_as_weights_says_how_to_take_it_in(
    home: Home, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"weights add .*published.pt --as {NAME}"):
        weights.find(NAME, home, published(tmp_path, TENSORS))


def test_a_converted_file_of_another_network_is_refused_before_any_clip(
    home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"other": torch.ones(1)}, path)
    with pytest.raises(InputError, match="2 missing"):
        check_file(path, NAME)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="cannot be read"):
        check_file(path, NAME)


def test_whole_numbers_are_refused_in_a_converted_file_before_any_clip(
    home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file({**TENSORS, "last.bias": torch.arange(4)}, path)
    with pytest.raises(InputError, match=r"1 not usable: last\.bias is I64"):
        check_file(path, NAME)


def test_a_front_that_all_names_share_is_said_instead_of_every_tensor(
    home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file({f"student.net.{name}": tensor for name, tensor in TENSORS.items()}, path)
    said = r"all 2 names begin with 'student\.net\.'; without it 2 of them are among the 2 of ours"
    with pytest.raises(InputError, match=said) as caught:
        weights.add(path, NAME, home)
    assert "missing" not in str(caught.value)


def trained(folder: Path, card: dict[str, Any], name: str = "emo-lstm") -> Path:
    """A file and a card as `avfd fit` writes them, of a network that has its run's sizes."""
    folder.mkdir(parents=True)
    path = folder / f"{name}.safetensors"
    save_file(TENSORS, path)
    file = {"sha256": file_sha256(path), "bytes": 0, "mtime_ns": 0}
    facts = {"name": name, "origin": "trained here", "file": file, "settings": {"units": 8}}
    path.with_suffix(".json").write_text(json.dumps({**facts, **card}))
    return path


SEEN = {
    "training_keys": ["d/ä.wav"],
    "training_media": ["0" * 64],
    "data": {"d": {"title": "RAVDESS", "licence": "CC BY-NC-SA 4.0"}},
}


@pytest.mark.parametrize("name", ["emo-lstm", "resnet18"])
def test_a_file_of_a_run_keeps_what_its_card_says(home: Home, tmp_path: Path, name: str) -> None:
    path = trained(home.runs_dir / "r" / "weights", SEEN, name)
    added = weights.add(path, name, home)
    assert added.path == home.weights_dir / f"{name}.safetensors"
    assert (added.sha256, added.origin) == (file_sha256(path), "trained here")
    assert added.sha256 == weights.find(name, home, "r").sha256
    assert {key: added.card[key] for key in SEEN} == SEEN
    assert added.settings == {"units": 8}
    again = weights.add(added.path, name, Home(tmp_path / "other"))
    assert {key: again.card[key] for key in SEEN} == SEEN


def test_a_trained_card_of_another_file_or_network_is_refused(home: Home, tmp_path: Path) -> None:
    path = trained(tmp_path / "weights", SEEN)
    with pytest.raises(InputError, match=r"trained as another network.*found: emo-lstm"):
        weights.add(path, "resnet18", home)
    save_file({name: tensor + 1 for name, tensor in TENSORS.items()}, path)
    with pytest.raises(InputError, match=r"the card beside the file is of another file.*--weights"):
        weights.add(path, "emo-lstm", home)
    assert not home.weights_dir.exists()


@pytest.mark.parametrize(
    ("folds", "said"),
    [(3, r"a run of folds has no weights.*without --folds"), (1, r"no emo-lstm\.safetensors")],
)
def test_a_run_without_weights_says_why(home: Home, folds: int, said: str) -> None:
    folder = home.runs_dir / "r"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"folds": folds}))
    for named in ("r", folder):
        with pytest.raises(MissingError, match=said):
            weights.find("emo-lstm", home, named)


def serve(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Path]:
    """Have the maker's store offer the file; the copies that are made of it."""
    url = f"https://maker.example/{path.name}"
    facts = replace(weights.TABLE[NAME], urls=(url,))
    monkeypatch.setitem(weights.TABLE, NAME, facts)
    fetched = []

    def download(asked: str, to: Path) -> Path:
        assert asked == url
        fetched.append(to)
        return Path(shutil.copy(path, to))

    monkeypatch.setattr(pulling, "_download", download)
    return fetched


def test_a_checkpoint_of_another_digest_is_not_kept(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(tmp_path, TENSORS)
    declare(monkeypatch, "0" * 64)
    fetched = serve(monkeypatch, path)
    with pytest.raises(StoreError, match=f"another file.*{file_sha256(path)}.*{'0' * 64}"):
        weights.pull(NAME, home)
    assert not any(to.exists() for to in fetched)
    assert fetched
    assert not home.weights_dir.exists()


def test_a_pulled_checkpoint_says_its_origin_and_the_digest_of_the_fetched_file(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = published(tmp_path, TENSORS)
    declare(monkeypatch, file_sha256(path))
    serve(monkeypatch, path)
    setup.weights_pull(NAME, home=home.path, json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["origin"] == "published"
    assert said["fetched_sha256"] == file_sha256(path) != said["sha256"]
    setup.weights_pull(NAME, home=home.path, json=False)
    words = capsys.readouterr().err
    assert "published" in words
    assert file_sha256(path) in words
