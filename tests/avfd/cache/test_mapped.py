"""Pages of mapped files are given back, and nothing else is touched."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from avfd.cache.mapped import let_go

PAGES = 40


@pytest.fixture
def numbers(tmp_path: Path) -> np.ndarray:
    """A mapped file of pages, page i full of i, all of it in memory."""
    path = tmp_path / "pages"
    path.write_bytes(b"".join(bytes([i]) * mmap.PAGESIZE for i in range(PAGES)))
    fd = os.open(path, os.O_RDONLY)
    mapped = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    os.close(fd)
    array = np.frombuffer(mapped, np.uint8).reshape(PAGES, -1)
    assert array.sum() == sum(range(PAGES)) * mmap.PAGESIZE
    return array


def mapped_pages() -> int:
    """Pages of files named `pages` that this process has in its page table."""
    text = Path("/proc/self/smaps").read_text().partition("/pages\n")[2]
    return int(text.partition("\nRss:")[2].split()[0]) * 1024 // mmap.PAGESIZE


def test_the_pages_go_and_come_back(numbers: np.ndarray) -> None:
    assert mapped_pages() == PAGES
    let_go(numbers[8:24, 100:])
    assert mapped_pages() == PAGES - 16
    let_go(numbers)
    assert mapped_pages() == 0
    assert numbers[:, 0].tolist() == list(range(PAGES))


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_other_arrays_stay_as_they_are(size: int) -> None:
    private = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for array in (np.ones(size), np.frombuffer(private, np.uint8)[:size]):
        if array.flags.writeable:
            array[:] = 1
        let_go(array)
        assert array.all()
