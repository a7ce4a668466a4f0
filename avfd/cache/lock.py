"""OS locks: one writer at a time on this machine, and snapshots that readers have open.

All are `flock`: they vanish with the process that holds them, however it dies. A writer notes in
the lock file who it is, for whoever has to wait.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from avfd.errors import Stopped

logger = logging.getLogger(__name__)

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a wait, whatever else their handler does."""

NAME_BYTES = 200


@contextmanager
def write_lock(paths: Sequence[Path], wait: bool = True) -> Iterator[None]:
    """Hold every lock file exclusively, waiting for each; always taken in the order given.

    Raises:
        BlockingIOError: another process holds one, and it was not to wait.
        Stopped: a signal came while it waited.
    """
    held: list[int] = []
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
            _take(held[-1], path, wait)
            _sign(held[-1], f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def _take(descriptor: int, path: Path, wait: bool) -> None:
    """Lock the file; where another process holds it, say so once and wait."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        with _ended_by_signals():
            holder = os.pread(descriptor, NAME_BYTES, 0).decode(errors="replace").strip()
            who = holder or "another process"
            logger.warning("waiting for the cache's lock %s, which %s holds", path, who)
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sign(descriptor: int, name: str) -> None:
    """Note who holds the lock, in place of who did before; a full disk keeps nobody out."""
    with suppress(OSError):
        os.pwrite(descriptor, f"{name}\n".encode().ljust(NAME_BYTES), 0)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Signals whose handler would only take note raise `Stopped` behind it.

    `flock` goes on waiting after a handler that returns. Outside the main thread, where Python
    delivers no signals, nothing is changed.
    """
    ours: dict[signal.Signals, tuple[Callable[..., None], Callable[..., None]]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            before = signal.getsignal(number)
            if callable(before) and before is not signal.default_int_handler:
                ours[number] = (_ending(before), before)
                signal.signal(number, ours[number][0])
    try:
        yield
    finally:
        for number, (handler, before) in ours.items():
            # The handler behind ours may have put another one in its place.
            if signal.getsignal(number) is handler:
                signal.signal(number, before)


def _ending(before: Callable[..., object]) -> Callable[..., None]:
    def handler(number: int, frame: FrameType | None) -> None:
        before(number, frame)
        raise Stopped(number, "it waited for the cache's lock; what was committed before is kept")

    return handler


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
