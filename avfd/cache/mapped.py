"""Arrays that are views of mapped files: their pages are given back once they were copied."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def let_go(array: NDArray[Any]) -> None:
    """Take a read-only view of a mapped file out of this process's memory; other arrays stay.

    The file keeps the bytes: where they are looked at again, they are mapped again.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    # What may be written to might be a private copy, whose pages nothing would bring back.
    if not isinstance(base, mmap.mmap) or array.flags.writeable or not array.size:
        return
    low, high = np.lib.array_utils.byte_bounds(array)
    start = np.frombuffer(base, np.uint8).ctypes.data
    first = (low - start) // mmap.PAGESIZE * mmap.PAGESIZE
    base.madvise(mmap.MADV_DONTNEED, first, high - start - first)
