"""What the package imports, and what it leaves alone until somebody asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

import avfd.cache

CHEAP = """
import sys
from avfd.cache import ClipResult
import extract.pipeline
print(*sorted({"icechunk", "zarr"} & set(sys.modules)))
"""


def test_a_worker_of_extract_does_not_pay_for_the_store() -> None:
    done = subprocess.run([sys.executable, "-c", CHEAP], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", avfd.cache.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(avfd.cache, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cash'"):
        avfd.cache.Cash  # noqa: B018
