"""Arrays too large for memory, in files without a name on the disk of the home.

A long clip's crops are gigabytes. They are written to a file slot by slot, seen as an array that
maps it, handed from process to process as a descriptor (`extract.boxes`) and copied into the cache
from there, so no process ever holds them. The kernel frees the file when the last process that has
it lets go, however it ends. Numbers go in through the file, not through the mapping: on a full disk
that is an error, where the mapping's would be a signal.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfd.errors import SpoolError

SPOOL_BYTES = 64 << 20
"""Size from which on an array is kept in a file, by default."""

_PREFIX = "avfd-"
_LEFT_SECONDS = 60.0  # a file keeps its name for microseconds


@dataclass(frozen=True)
class Spool:
    """Where large arrays are kept.

    Attributes:
        folder: made where it is first needed. Not `/tmp`, which may be memory.
        least_bytes: size from which on an array is large.
    """

    folder: Path
    least_bytes: int = SPOOL_BYTES

    def sheet(self, shape: Sequence[int], dtype: str | np.dtype[Any]) -> Sheet | None:
        """A file for an array of that shape; None where it is small enough for memory.

        Raises:
            SpoolError: the file cannot be made.
        """
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size < max(1, self.least_bytes):
            return None
        with _disk_errors(self.folder):
            return Sheet(self.folder, tuple(shape), np.dtype(dtype))

    def clear(self) -> None:
        """Remove what killed processes left where files cannot be made without a name."""
        for path in self.folder.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFT_SECONDS:
                    path.unlink()


class Sheet:
    """An array in a file while it is filled, zero where nothing was put.

    Attributes:
        array: what the file holds, read-only; what is put later shows in it.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._folder = folder
        fd = _nameless(folder)
        try:
            os.ftruncate(fd, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
            self._mapping = Mapping.of(fd)
        except BaseException:
            os.close(fd)
            raise
        self.array: NDArray[Any] = self._mapping.array(0, shape, dtype)

    def put(self, at: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Write rows [n, ...] to these places along the first axis [n], which ascend.

        Raises:
            SpoolError: the disk is full.
        """
        row_bytes = self.array.strides[0]
        with _disk_errors(self._folder):
            for run in _runs(at):
                piece = np.ascontiguousarray(rows[run], dtype=self.array.dtype)
                write_all(self._mapping.fd, int(at[run.start]) * row_bytes, piece.data)


class Mapping(mmap.mmap):
    """A whole file, seen read-only; holds the file open.

    Attributes:
        fd: its descriptor, closed when nothing needs the mapping any more.
    """

    fd: int = -1

    @classmethod
    def of(cls, fd: int) -> Mapping:
        """The mapping, which the descriptor then belongs to."""
        mapping = cls(fd, 0, prot=mmap.PROT_READ)
        mapping.fd = fd
        return mapping

    @staticmethod
    def behind(array: NDArray[Any]) -> Mapping | None:
        """The mapping that an array is a view of; None where it is of other memory."""
        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        base = base.obj if isinstance(base, memoryview) else base
        return base if isinstance(base, Mapping) else None

    def array(self, offset: int, shape: Sequence[int], dtype: str | np.dtype[Any]) -> NDArray[Any]:
        """The array that begins at that byte of the file; it keeps the mapping alive."""
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self, dtype, count, offset).reshape(shape)

    def offset(self, array: NDArray[Any]) -> int:
        """The byte of the file at which a view of it begins."""
        return int(array.ctypes.data - np.frombuffer(self, np.uint8).ctypes.data)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def write_all(fd: int, at: int, data: memoryview) -> None:
    """Write all the bytes, at that offset."""
    data = data.cast("B")
    end = at + data.nbytes
    while data.nbytes:
        data = data[os.pwrite(fd, data, end - data.nbytes) :]


def _runs(at: NDArray[np.int64]) -> Iterator[slice]:
    """Where numbers follow each other without a gap.

    >>> list(_runs(np.array([3, 4, 9])))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    breaks = (np.flatnonzero(np.diff(at) != 1) + 1).tolist()
    edges = [0, *breaks, len(at)]
    return (slice(a, b) for a, b in pairwise(edges) if a < b)


def _nameless(folder: Path) -> int:
    """Descriptor of a new file that nobody can find."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # network disks lack this
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    fd, name = tempfile.mkstemp(prefix=_PREFIX, dir=folder)
    Path(name).unlink(missing_ok=True)
    return fd


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolError(
            "a large result cannot be kept on its way to the cache",
            where=folder,
            found=error.strerror or type(error).__name__,
            next_step="see that the disk of the home has space, then run again",
        ) from error
