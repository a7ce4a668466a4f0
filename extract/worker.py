"""The child's side of `extract.pool`: works on one item at a time and dies with its parent."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from avfd.errors import AvfdError, StoreError
from extract.arenas import share_memory_between_threads
from extract.boxes import receive, send

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """The worker can take items."""


@dataclass(frozen=True)
class Unready:
    """The worker could not be built, or its disk is full: another one would do no better.

    Attributes:
        error: what is meant for people, or the type and message of anything else, which might not
            survive the journey.
    """

    error: AvfdError | str


@dataclass(frozen=True)
class Answer:
    """What became of the item: a result, or why there is none."""

    result: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Piece:
    """A part of a result, sent ahead of the rest; to be answered with `Go`."""

    value: Any


@dataclass(frozen=True)
class Go:
    """The parent has room for the next piece."""


@dataclass(frozen=True)
class Broken:
    """The worker cannot go on (a lost GPU); it says why and ends, as if it had died."""

    reason: str


class Unusable(Exception):
    """Raised by work where the process itself is spoilt: other items would fail in it, too."""


def serve(fd: int, memory_limit_bytes: int, log_level: int) -> None:
    """Answer items that arrive on `fd` until the parent closes it.

    Args:
        fd: the worker's end of a duplex pipe; first the builder of the work arrives, then items.
        memory_limit_bytes: allocations beyond it raise MemoryError; 0: no limit.
        log_level: level of the worker's logging, on stderr.
    """
    share_memory_between_threads()
    logging.basicConfig(level=log_level)
    if memory_limit_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_bytes, memory_limit_bytes))
    # The parent may go at any moment; a worker that nobody listens to has nothing left to say.
    try:
        answer_all(Connection(fd))
    except (EOFError, ConnectionError):
        return


def answer_all(connection: Connection) -> None:
    """Build the work, then answer item after item."""
    try:
        work = receive(connection)()
    except EOFError:
        raise
    except Exception as error:
        log.debug("a worker could not be built", exc_info=True)
        send(connection, Unready(error if isinstance(error, AvfdError) else describe(error)))
        return
    send(connection, Ready())
    while True:
        answer(connection, work, receive(connection))


def answer(connection: Connection, work: Callable[[Any], Any], item: object) -> None:
    """Send the item's result, or the exception's type and message; a full disk ends the run.

    Work that is a generator yields pieces, which are sent at once, and returns the result.
    """
    try:
        result = work(item)
        if isinstance(result, Generator):
            result = _stream(connection, result)
        send(connection, Answer(result=result))
    except (ConnectionError, EOFError):
        raise
    except Unusable as error:
        send(connection, Broken(str(error)))
        os._exit(1)
    except StoreError as error:
        send(connection, Unready(error))
    except Exception as error:
        log.debug("no result for %r", item, exc_info=True)
        send(connection, Answer(error=describe(error)))


def _stream(connection: Connection, pieces: Generator[Any, None, Any]) -> Any:
    """Send piece after piece, never two ahead of the parent's `Go`; the result at the end.

    Work goes on while the parent makes up its mind about a piece, and waits with the next one.
    """
    waiting = False
    try:
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                return end.value
            if waiting:
                receive(connection)
            send(connection, Piece(piece))
            waiting = True
    finally:
        if waiting:
            receive(connection)


def describe(error: BaseException) -> str:
    """An exception as one line; what people are meant to read goes without its type.

    >>> describe(ValueError("bad"))
    'ValueError: bad'
    >>> describe(AvfdError("no sound", where="a.mp4"))
    'a.mp4: no sound'
    >>> describe(MemoryError())
    'MemoryError: out of memory'
    """
    if isinstance(error, AvfdError):
        return " ".join(str(error).split())
    text = str(error) or ("out of memory" if isinstance(error, MemoryError) else "no message")
    return f"{type(error).__name__}: {' '.join(text.split())}"
