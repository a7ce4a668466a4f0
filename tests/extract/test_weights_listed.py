"""`weights ls` and `doctor` on model files, and what is said of small presets without any."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from avfd import doctor
from avfd.cli import run
from avfd.home import Home
from extract import weights
from extract.backbones import base, load_all
from extract.run.plan import weights_files

load_all()
SHIPPED = sorted(
    name for name, entry in base._REGISTRY.items() if entry.make.__module__.startswith("extract.")
)
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return Home(tmp_path / "home")


@pytest.fixture
def avfd(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`avfd(*words) -> stdout`; the call succeeds."""

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["avfd", *words, "--home", str(home.path)])
        assert run() == 0
        return capsys.readouterr().out

    return call


def test_those_for_tests_are_hidden_unless_all_are_asked_for(avfd: Any) -> None:
    listed = [row["name"] for row in json.loads(avfd("weights", "ls", "--json"))]
    every = [row["name"] for row in json.loads(avfd("weights", "ls", "--all", "--json"))]
    hidden = set(every) - set(listed)
    assert {"eat", "emo-lstm", "marlin-base", "blazeface"} <= set(listed)
    assert hidden == {n for n in weights.TABLE if weights.facts(n).for_tests}
    assert {"eat-small", "emo-cnn3d-small", "marlin-tiny", "resnet18-small"} <= hidden


def test_a_row_has_digest_place_and_origin(avfd: Any, home: Home, tmp_path: Path) -> None:
    tensors = {n: torch.zeros(s) for n, s in weights.facts("resnet18").reader().expected().items()}
    save_file(tensors, tmp_path / "given.safetensors")
    added = weights.add(tmp_path / "given.safetensors", "resnet18", home)
    rows = {row["name"]: row for row in json.loads(avfd("weights", "ls", "--json"))}
    assert rows["resnet18"]["found"] == str(added.path)
    assert rows["resnet18"]["found_sha256"] == added.sha256
    assert rows["resnet18"]["origin"] == "unverified"
    assert rows["eat"]["sha256"] == list(weights.facts("eat").sha256)
    assert rows["eat"]["found"] is None
    assert "weights pull eat" in rows["eat"]["next"]
    for row in rows.values():
        assert row["licence"]
        assert row["bytes"] > 0
        assert row["needed_by"]
        assert row["source"]
    text = avfd("weights", "ls")
    assert added.sha256[:12] in text
    assert weights.facts("eat").sha256[0][:12] in text


def test_a_file_that_is_not_accepted_does_not_hide_the_others(avfd: Any, home: Home) -> None:
    home.weights_dir.mkdir(parents=True)
    (home.weights_dir / weights.facts("blazeface").file_name).write_text("another model")
    rows = {row["name"]: row for row in json.loads(avfd("weights", "ls", "--json"))}
    assert "not one that is known" in rows["blazeface"]["problem"]
    assert "eat" in rows
    assert "not accepted" in avfd("weights", "ls")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not tensors", "cannot be read"), (None, "no checkpoint of eat"), (b"", "cannot be read")],
)
def test_a_damaged_or_foreign_file_is_a_problem_not_a_find(
    avfd: Any, home: Home, content: bytes | None, said: str
) -> None:
    home.weights_dir.mkdir(parents=True)
    path = home.weights_dir / "eat.safetensors"
    save_file({"other": torch.ones(1)}, path)
    if content is not None:
        path.write_bytes(content)
    rows = {row["name"]: row for row in json.loads(avfd("weights", "ls", "--json"))}
    assert rows["eat"]["found"] is None
    assert said in rows["eat"]["problem"]
    sections = json.loads(avfd("doctor", "--json"))["sections"]
    (eat,) = (f for s in sections for f in s["findings"] if f["name"] == "eat")
    assert said in eat["detail"]


def test_a_file_of_another_digest_than_the_published_is_said_to_be_so(
    avfd: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {n: torch.zeros(s) for n, s in weights.facts("resnet18").reader().expected().items()}
    home.weights_dir.mkdir(parents=True)
    save_file(tensors, home.weights_dir / "resnet18.safetensors")

    def listed() -> tuple[str, str]:
        rows = {row["name"]: row for row in json.loads(avfd("weights", "ls", "--json"))}
        return rows["resnet18"]["origin"], " ".join(avfd("weights", "ls").split())

    assert listed()[0] == "unverified"
    declared = replace(weights.facts("resnet18"), sha256=("abcdef012345" + "0" * 52,))
    monkeypatch.setitem(weights.TABLE, "resnet18", declared)
    origin, text = listed()
    assert origin == "other"
    assert declared.said_of("other") == "other: not made from the published file, abcdef012345"
    assert "abcdef012345" in text


PLUGIN = """
from extract.weights.facts import Weights, register

class Reader:
    def expected(self):
        return {"net.weight": (2, 3)}
    def clean(self, raw):
        return dict(raw["model"])

READER = Reader()
register(Weights("plugged", "plugged.safetensors", (), 24, "MIT", "us", ("plugged",),
                 checkpoint="avfd_test_plugged:READER"))
"""


def test_a_plugins_checkpoint_comes_in_through_the_command_line(
    avfd: Any, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "avfd_test_plugged.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AVFD_BACKBONE_MODULES", "avfd_test_plugged")
    torch.save({"model": {"net.weight": torch.ones(2, 3)}}, tmp_path / "file.pt")
    try:
        added = json.loads(
            avfd("weights", "add", str(tmp_path / "file.pt"), "--as", "plugged", "--json")
        )
        rows = {row["name"]: row for row in json.loads(avfd("weights", "ls", "--json"))}
        assert (
            rows["plugged"]["found"]
            == added["path"]
            == str(home.weights_dir / "plugged.safetensors")
        )
        assert json.loads(avfd("weights", "pull", "plugged", "--json"))["path"] == added["path"]
        sections = json.loads(avfd("doctor", "--json"))["sections"]
        assert "plugged" in {f["name"] for s in sections for f in s["findings"]}
    finally:
        weights.TABLE.pop("plugged", None)


def test_doctor_names_a_plugin_that_fails_and_goes_on(
    avfd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "avfd_test_failing.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AVFD_BACKBONE_MODULES", "avfd_test_failing")
    report = json.loads(avfd("doctor", "--json"))
    (gap,) = (g for g in report["gaps"] if "avfd_test_failing" in g["name"])
    assert gap["detail"] == "ZeroDivisionError: division by zero"
    assert {"weights", "backbones"} <= {s["title"] for s in report["sections"]}


@pytest.mark.parametrize("name", SHIPPED)
def test_whoever_needs_a_file_is_named_beside_it(name: str) -> None:
    for needed in base.build(name).spec.weights:
        assert name in weights.facts(needed).needed_by


def test_doctor_lists_what_the_extra_networks_holds(home: Home) -> None:
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    wanted = [requirement.partition(">")[0] for requirement in extras["networks"]]
    assert sorted(doctor.PARTS["networks"]) == sorted(wanted)
    found = {f.name: f for s in doctor.diagnose(home).sections for f in s.findings}
    for name in wanted:
        if found[name].state == "ok":
            version, licence = found[name].detail.split(", ", 1)
            assert version[0].isdigit()
            assert licence != "no licence stated"
        else:
            assert "avfd[" in found[name].next_step


def test_doctor_does_not_ask_for_what_only_tests_need(avfd: Any) -> None:
    sections = json.loads(avfd("doctor", "--json"))["sections"]
    (listed,) = (s["findings"] for s in sections if s["title"] == "weights")
    assert "eat-small" not in {finding["name"] for finding in listed}


NETWORKS = [
    name
    for name in SHIPPED
    if any(weights.facts(w).checkpoint is not None for w in base.build(name).spec.weights)
]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_preset_without_weights_says_what_to_do(name: str, home: Home) -> None:
    spec = base.build(f"{name}:preset=small").spec
    own = [w for w in spec.weights if weights.facts(w).checkpoint is not None]
    for weight in own:
        with pytest.raises(LookupError) as caught:
            weights.find(weight, home)
        said = str(caught.value)
        assert "without preset=small, which is for tests" in said
        assert f"avfd weights add FILE --as {weight}" in said
    with pytest.raises(LookupError, match=r"without preset=small|blazeface"):
        weights_files(home, [spec], ())
