"""Fixtures that every part's tests may use."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

_HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    """A helper module that lies beside this file; tests have no packages to import from."""
    spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def media_makers() -> ModuleType:
    """The module `media_makers`: clock pictures, clicks, video and audio files."""
    return sys.modules.get("media_makers") or _load("media_makers")


@pytest.fixture(scope="session")
def checkpoint_makers() -> ModuleType:
    """The module `checkpoint_makers`: random weights in the files that publishers write."""
    return sys.modules.get("checkpoint_makers") or _load("checkpoint_makers")


@pytest.fixture(scope="session")
def make_video(media_makers: ModuleType) -> Callable[..., Path]:
    """`make_video(path, seconds, fps, size, codec, ...) -> path`; see media_makers."""
    maker: Callable[..., Path] = media_makers.make_video
    return maker


@pytest.fixture(scope="session")
def make_audio(media_makers: ModuleType) -> Callable[..., Path]:
    """`make_audio(path, samples, rate_hz, ...) -> path`; see media_makers."""
    maker: Callable[..., Path] = media_makers.make_audio
    return maker


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Real clips for local testing: `$AVFD_TESTDATA`; tests that ask for it skip without."""
    default = _HERE.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("AVFD_TESTDATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set AVFD_TESTDATA")
    return folder


@pytest.fixture(scope="session")
def blazeface() -> Path:
    """The face model in `$AVFD_WEIGHTS`, which `make test` fills; tests that ask skip without."""
    folder = Path(os.environ.get("AVFD_WEIGHTS") or _HERE.parent.parent / "shared" / "weights")
    path = folder / "blaze_face_short_range.tflite"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {folder}; set AVFD_WEIGHTS")
    return path


@pytest.fixture(autouse=True)
def _quiet_loggers() -> Iterator[None]:
    """A command run inside a test sets up logging; the next test finds it as it was."""
    loggers = [logging.getLogger(name) for name in ("avfd", "extract", "classify")]
    before = [(logger.handlers, logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers = handlers
        logger.setLevel(level)
