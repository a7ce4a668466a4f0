"""Extracts whose arrays wait in files: the same columns, and no file is left however they end."""

from __future__ import annotations

import os
import signal
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from avfd.home import Home

COLUMNS = ["mel", "waveform", "mean-loudness", "net-seconds"]
MODULES = "reading_backbones,small_networks"
IN_FILES: dict[str, Any] = {"limits": {"spool_bytes": 1, "commit_seconds": 0.0}}

Contents = dict[str, dict[str, tuple[int, str, bytes, bytes]]]


def add_weights(home: Home) -> None:
    rng = np.random.default_rng(3)
    home.weights_dir.mkdir(exist_ok=True)
    shapes = {"weight": (8, 16), "bias": (8,)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, home.weights_dir / "small_network.safetensors")


def contents(extracts: ModuleType, home: Home) -> Contents:
    return {column: extracts.contents(home, column) for column in COLUMNS}


@pytest.fixture(scope="module")
def in_memory(
    extracts: ModuleType, small_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Contents:
    """What a run makes that keeps everything in memory."""
    home = extracts.copied(small_home, tmp_path_factory.mktemp("in_memory") / "home")
    add_weights(home)
    extracts.extract(home, COLUMNS, MODULES, device="cpu")
    assert not home.spool_dir.exists()
    return contents(extracts, home)


def test_the_bits_are_those_of_a_run_in_memory(
    extracts: ModuleType, home: Home, in_memory: Contents
) -> None:
    add_weights(home)
    extracts.extract(home, COLUMNS, MODULES, device="cpu", **IN_FILES)
    assert contents(extracts, home) == in_memory
    assert list(home.spool_dir.iterdir()) == []


def test_a_device_fills_files_too(extracts: ModuleType, home: Home, in_memory: Contents) -> None:
    add_weights(home)
    extracts.extract(home, ["net-seconds"], MODULES, device="cpu-batched", **IN_FILES)
    found = extracts.contents(home, "net-seconds")
    for key, (status, _, values, valid) in in_memory["net-seconds"].items():
        assert (found[key][0], found[key][3]) == (status, valid)
        mine, theirs = (np.frombuffer(v, np.float32) for v in (found[key][2], values))
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    assert list(home.spool_dir.iterdir()) == []


def test_a_cached_column_is_read_through_a_file(
    extracts: ModuleType, home: Home, in_memory: Contents
) -> None:
    extracts.extract(home, ["loudness"])
    assert not home.spool_dir.exists()
    extracts.extract(home, ["mean-loudness"], MODULES, **IN_FILES)
    assert extracts.contents(home, "mean-loudness") == in_memory["mean-loudness"]
    assert list(home.spool_dir.iterdir()) == []


def rerun(extracts: ModuleType, home: Home, in_memory: Contents) -> None:
    extracts.extract(home, ["waveform"], **IN_FILES)
    assert extracts.contents(home, "waveform") == in_memory["waveform"]


def test_a_killed_run_leaves_no_file(extracts: ModuleType, home: Home, in_memory: Contents) -> None:
    told, tell = os.pipe()
    run = extracts.start(home, ["waveform"], progress_fd=tell, **IN_FILES)
    os.close(tell)
    assert os.read(told, 1) + os.read(told, 1) == b".."  # a clip is back, the next under way
    run.process.send_signal(signal.SIGKILL)
    assert run.left_after(2.0) == []
    run.end()
    os.close(told)
    assert list(home.spool_dir.iterdir()) == []
    rerun(extracts, home, in_memory)


def test_files_that_cannot_be_made_end_the_run_cleanly(
    extracts: ModuleType, home: Home, in_memory: Contents
) -> None:
    home.spool_dir.write_text("no folder")
    run = extracts.start(home, ["waveform"], **IN_FILES)
    status, _, error = run.end()
    assert status == 2, error
    assert f"{home.spool_dir}: a large result cannot be kept on its way to the cache" in error
    assert "Traceback" not in error
    assert run.left_after(2.0) == []
    home.spool_dir.unlink()
    rerun(extracts, home, in_memory)
