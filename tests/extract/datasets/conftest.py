"""Readers run on the trees of `trees.py`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from avfd.clips import Clip
from avfd.manifest import load
from extract.datasets import base


@dataclass(frozen=True)
class Found:
    """What a reader yielded: clips by key without the data set's name, and its notes."""

    clips: dict[str, Clip]
    notes: base.Notes


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trees", Path(__file__).with_name("trees.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


Read = Callable[..., Found]


@pytest.fixture
def read(trees: ModuleType, tmp_path: Path) -> Read:
    """`read(layout, tree, **options)`: grow the tree and read it."""

    def run(
        layout: str,
        tree: dict[str, str],
        audio_tree: dict[str, str] | None = None,
        frame_rate: Callable[[Path], float] | None = None,
        audio_root: Path | None = None,
        **options: str,
    ) -> Found:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        trees.grow(root, tree)
        if audio_tree:
            audio_root = trees.grow(tmp_path / "audio", audio_tree)
        source = base.Source("d", root, load(layout), audio_root, options, frame_rate)
        notes = base.Notes()
        clips = list(base.get(layout)(source, notes))
        return Found({clip.key.removeprefix("d/"): clip for clip in clips}, notes)

    return run
