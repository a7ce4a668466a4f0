"""The packages that CONTRIBUTING.md shows: written as they stand there, and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from avfd.specs import DONE

PAGE = Path(__file__).parents[3] / "CONTRIBUTING.md"
RATE_HZ, SAMPLE_RATE_HZ = 10, 16_000


def shown(kind: str = "backbone") -> dict[str, str]:
    """File name → its text, of the code blocks of the section on a backbone or a network."""
    title = f"## A {kind} in a package of your own"
    section = PAGE.read_text(encoding="utf-8").partition(title)[2]
    found = re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip put the package into, without a look at any index."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name, text in shown().items():
        (source / name).write_text(text, encoding="utf-8")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    call = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", target, source]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_it_is_about_thirty_lines() -> None:
    files = shown()
    assert set(files) == {"pyproject.toml", "avfd_peak.py"}
    lines = [line for text in files.values() for line in text.splitlines() if line.strip()]
    assert len(lines) <= 36


def test_its_column_holds_what_was_played(
    installed: Path, tmp_path: Path, make_audio: Callable[..., Path], extracts: ModuleType
) -> None:
    """A square wave that is louder from slot to slot; a quarter of the last is missing."""
    amplitudes = np.arange(1, 19, dtype=np.float32) / 32
    hop = SAMPLE_RATE_HZ // RATE_HZ
    signs = np.resize(np.float32([1, -1]), len(amplitudes) * hop)
    wave = (np.repeat(amplitudes, hop) * signs)[None, : -hop // 4]
    (tmp_path / "media").mkdir()
    make_audio(tmp_path / "media" / "steps.wav", wave)
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    home = extracts.indexed(tmp_path / "home", tmp_path / "media")
    call = [sys.executable, "-m", "avfd", "extract", "--backbone", "peak", "--workers", "1"]
    call += ["--home", str(home.path)]
    done = subprocess.run(call, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr

    (found,) = extracts.contents(home, "peak").values()
    status, _, values, valid = found
    assert status == DONE
    wanted = np.zeros(20, np.float32)
    wanted[: len(amplitudes)] = amplitudes
    np.testing.assert_array_equal(np.frombuffer(values, np.float32), wanted)
    np.testing.assert_array_equal(np.frombuffer(valid, np.bool_), wanted > 0)


def test_its_networks_file_comes_in_and_its_column_holds_what_the_tensors_say(
    tmp_path: Path, make_audio: Callable[..., Path], extracts: ModuleType
) -> None:
    """Two seconds and a half of a constant; the file has the wrappers and the head of training."""
    for name, text in shown("network").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    weight = torch.arange(4.0)[:, None].repeat(1, SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    bias = torch.tensor([1.0, 2.0, 3.0, 4.0])
    tensors = {"encoder.weight": weight, "encoder.bias": bias, "head.weight": torch.ones(1)}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "tilt.pt")
    (tmp_path / "media").mkdir()
    make_audio(tmp_path / "media" / "level.wav", np.full((1, 40_000), 0.25, np.float32))
    home = extracts.indexed(tmp_path / "home", tmp_path / "media")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        **{name: value for name, value in os.environ.items() if name != "AVFD_WEIGHTS"},
        "PYTHONPATH": os.pathsep.join(paths),
        "AVFD_BACKBONE_MODULES": "avfd_tilt",
    }

    def avfd(*words: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "avfd", *words, "--home", str(home.path)]
        return subprocess.run(call, capture_output=True, text=True, env=env)

    extract = ("extract", "--backbone", "tilt", "--workers", "1", "--device", "cpu")
    missing = avfd(*extract)
    assert missing.returncode == 2
    assert "avfd weights add FILE --as tilt" in missing.stderr
    assert "weights pull" not in missing.stderr
    for words in (("weights", "add", str(tmp_path / "tilt.pt"), "--as", "tilt"), extract):
        done = avfd(*words)
        assert done.returncode == 0, done.stderr
    (found,) = extracts.contents(home, "tilt").values()
    status, _, values, valid = found
    assert status == DONE
    assert np.frombuffer(valid, np.bool_).tolist() == [True, True, False]
    wanted = 0.25 * np.arange(4) + bias.numpy()
    given = np.frombuffer(values, np.float32).reshape(3, 4)[:2]
    np.testing.assert_allclose(given, [wanted, wanted], rtol=1e-5)
