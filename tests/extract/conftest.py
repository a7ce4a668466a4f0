"""Fixtures of the tests of stage 1."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from avfd.home import Home

_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def extracts() -> ModuleType:
    """The module `extracts`: small data sets, extracts as processes, caches as plain data."""
    if "extracts" not in sys.modules:
        spec = importlib.util.spec_from_file_location("extracts", _HERE / "extracts.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["extracts"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["extracts"]


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
