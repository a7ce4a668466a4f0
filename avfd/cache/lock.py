"""OS locks: one writer at a time on this machine, and snapshots that readers have open.

All are `flock`: they vanish with the process that holds them, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def write_lock(paths: Sequence[Path]) -> Iterator[None]:
    """Hold every lock file exclusively, waiting for each; always taken in the order given."""
    held: list[int] = []
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
        yield
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def pin(folder: Path, snapshot_id: str, owner: object) -> None:
    """Mark a snapshot as being read for as long as `owner` lives.

    A folder that cannot be written (a cache on read-only media) leaves the snapshot unmarked:
    nobody can collect garbage there either.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        weakref.finalize(owner, os.close, _shared(folder / snapshot_id))


def _shared(path: Path) -> int:
    """A descriptor that holds the file's shared lock."""
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # `pinned` may have unlinked the file between the two calls: then the lock marks nothing.
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        os.close(descriptor)


def pinned(folder: Path) -> list[str]:
    """Ids of the snapshots that a reader of this machine has open; forgets the others."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path.name for path in paths if not _forgotten(path)]


def _forgotten(path: Path) -> bool:
    """Whether no reader held the file, which is then removed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
