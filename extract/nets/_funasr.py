"""The parts of emotion2vec that funasr carries, without the rest of funasr.

Importing funasr imports every model that it has, model hubs and transformers among them: seven
seconds of work in each worker, for three small modules that need PyTorch and OmegaConf only.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from avfd.errors import MissingError


@contextmanager
def emotion2vec_classes() -> Iterator[tuple[Any, Any]]:
    """funasr's `AudioEncoder` and `AltBlock`; build with them inside the block.

    Whoever imports funasr afterwards gets it whole.

    Raises:
        MissingError: funasr is not installed.
    """
    with _bare("funasr"):
        audio = importlib.import_module("funasr.models.emotion2vec.audio")
        modules = importlib.import_module("funasr.models.emotion2vec.modules")
        yield audio.AudioEncoder, modules.AltBlock


@contextmanager
def _bare(package: str) -> Iterator[None]:
    """Inside, the package's modules can be imported though its `__init__` has not run."""
    if package in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise MissingError(f"{package} is not installed", next_step="pip install 'avfd[networks]'")
    module = ModuleType(package)
    module.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = module
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            del sys.modules[name]
