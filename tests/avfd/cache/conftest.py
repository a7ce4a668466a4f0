"""Fixtures: a small cache, and numbers that follow from a clip's index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avfd.cache import Cache, ClipResult, Entry
from avfd.specs import DONE, BackboneSpec

ROWS, RATE, DIM = 3, 4, 5
SPEC = BackboneSpec("mel", 1, "audio", "for tests", RATE, (DIM,), licence="MIT", source="here")
CLIP_SPEC = BackboneSpec("functionals", 1, "audio", "for tests", 0, (DIM,))


def key(entry: int) -> str:
    return f"set/part {entry % 3}/clip#{entry}.mp4"


def values(entry: int, rows: int = ROWS) -> np.ndarray:
    return np.arange(rows * RATE * DIM, dtype=np.float32).reshape(rows, RATE, DIM) + 1000 * entry


def valid(entry: int, rows: int = ROWS) -> np.ndarray:
    return (np.arange(rows * RATE).reshape(rows, RATE) + entry) % 3 > 0


def done(entry: int, name: str | None = None, rows: int = ROWS, sha256: str = "") -> ClipResult:
    given = key(entry) if name is None else name
    return ClipResult(entry, given, DONE, "", values(entry, rows), valid(entry, rows), sha256)


def entries(count: int, mtime_ns: int = 1) -> list[Entry]:
    return [Entry(key(i), float(ROWS), 100 + i, mtime_ns) for i in range(count)]


@pytest.fixture
def make() -> SimpleNamespace:
    """What a test builds its inputs with."""
    return SimpleNamespace(
        key=key,
        values=values,
        valid=valid,
        done=done,
        entries=entries,
        spec=SPEC,
        clip_spec=CLIP_SPEC,
        rows=ROWS,
        rate=RATE,
        dim=DIM,
    )


@pytest.fixture
def open_cache(tmp_path: Path) -> Callable[[], Cache]:
    """Opens the test's cache, as often as wanted, each time as another process would."""

    def opened() -> Cache:
        lock = tmp_path / "locks" / "set.lock"
        return Cache.open(str(tmp_path / "cache"), dataset="set", lock_path=lock, create=True)

    return opened


@pytest.fixture
def cache(open_cache: Callable[[], Cache]) -> Cache:
    """A cache of ten clips with an empty column `mel`."""
    opened = open_cache()
    opened.update_clips(entries(10))
    opened.ensure_column("mel", SPEC, "f" * 64, {"versions": {"numpy": np.__version__}})
    return opened
