"""Imports of libraries that list scikit-learn's estimators, without what they load for nothing.

The list imports every package of scikit-learn on its way, that for Torch's arrays too, and skips
what cannot be imported. Torch is half of the time of such an import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

_OF_TORCH = "sklearn.externals.array_api_compat.torch"


def skops_io() -> ModuleType:
    """The module `skops.io`."""
    with _without_torch():
        return import_module("skops.io")


def lazypredict() -> ModuleType:
    """The module `lazypredict.Supervised`."""
    with _without_torch():
        return import_module("lazypredict.Supervised")


@contextmanager
def _without_torch() -> Iterator[None]:
    """Scikit-learn's package for Torch cannot be imported, unless Torch or it is there already."""
    if "torch" in sys.modules or _OF_TORCH in sys.modules:
        yield
        return
    sys.modules[_OF_TORCH] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_OF_TORCH]
