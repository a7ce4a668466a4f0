"""Independent truth for the signal-processing columns."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def librosa() -> ModuleType:
    """librosa where it is installed; it is a check, not a dependency."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("librosa")
