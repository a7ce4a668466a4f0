"""Fixtures of the tests of stage 1."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from avfd.home import Home

_HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    """A helper module beside this file; tests have no packages to import from."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def extracts() -> ModuleType:
    """The module `extracts`: small data sets, extracts as processes, caches as plain data."""
    return _load("extracts")


@pytest.fixture(scope="session")
def damage() -> ModuleType:
    """The module `damage`: media that are broken in many ways."""
    return _load("damage")


@pytest.fixture(scope="session")
def small_media(
    extracts: ModuleType, media_makers: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of 26 clips: 24 sounds, a text, a silent film."""
    folder: Path = extracts.make_media(tmp_path_factory.mktemp("small") / "media", media_makers, 24)
    return folder


@pytest.fixture(scope="session")
def small_home(
    extracts: ModuleType, small_media: Path, tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """A home with these clips indexed and nothing extracted; copy it, do not change it."""
    home: Home = extracts.indexed(tmp_path_factory.mktemp("home") / "home", small_media)
    return home


@pytest.fixture
def home(extracts: ModuleType, small_home: Home, tmp_path: Path) -> Home:
    """A copy of `small_home` for one test."""
    copy: Home = extracts.copied(small_home, tmp_path / "home")
    return copy
