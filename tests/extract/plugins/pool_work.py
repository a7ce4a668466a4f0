"""Work for pool tests: each item says what is to happen to the worker that gets it."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path

from avfd.errors import MissingError
from extract.worker import Unusable


def build() -> Callable[[str], object]:
    seen: list[str] = []

    def work(item: str) -> object:
        seen.append(item)
        kind, _, rest = item.partition(" ")
        return _DEEDS[kind](rest, seen)

    return work


class Untransportable(Exception):
    """Cannot be unpickled: that would need both words."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def build_badly(kind: str) -> Callable[[str], object]:
    errors = {
        "unforeseen": LookupError("no such module"),
        "foreseen": MissingError("no such model file", next_step="fetch it"),
        "memory": RuntimeError("unable to mmap 9 bytes from file <a>: Cannot allocate memory (12)"),
        "untransportable": Untransportable("1", "2"),
    }
    raise errors[kind]


def build_after_deaths(log: str, deaths: int) -> Callable[[str], object]:
    """Killed so many times; each start leaves a byte in the file."""
    if _started(log) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return build()


def build_every_second_time(log: str) -> Callable[[str], object]:
    """Killed at the first start, the third, and so on."""
    if _started(log) % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return build()


def _started(log: str) -> int:
    """How often the file was told of a start, this one included."""
    with Path(log).open("ab") as file:
        file.write(b".")
        return file.tell()


def build_and_die() -> Callable[[str], object]:
    os._exit(7)


def _segfault(rest: str, seen: list[str]) -> None:
    ctypes.string_at(0)


def _once(path: str, seen: list[str]) -> object:
    """Dies where the file is missing, after making it: the second try lives."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return list(seen)


def _hold(fifo: str, seen: list[str]) -> None:
    Path(fifo).write_text(str(os.getpid()))
    threading.Event().wait()


def _breed(fifo: str, seen: list[str]) -> None:
    """Start a process that outlives the item; it tells its number to who opens the pipe next."""
    script = "import os, sys, threading; open(sys.argv[1], 'w').write(str(os.getpid()))"
    subprocess.Popen([sys.executable, "-c", f"{script}; threading.Event().wait()", fifo])


def _signal(number: str, seen: list[str]) -> object:
    os.kill(os.getpid(), int(number))
    return "alive"


def _raise(rest: str, seen: list[str]) -> None:
    raise ValueError(rest)


def _limits(rest: str, seen: list[str]) -> object:
    return os.environ["OMP_NUM_THREADS"], resource.getrlimit(resource.RLIMIT_DATA)[0]


def _pieces(count: str, seen: list[str]) -> Generator[object, None, object]:
    yield from range(int(count))
    return "whole"


def _pieces_once(path: str, seen: list[str]) -> Generator[object, None, object]:
    """Two pieces; dies behind the first one where the file is missing, after making it."""
    yield "first"
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield "second"
    return "whole"


def _all(rest: str, seen: list[str]) -> list[object]:
    """Several items as one: those between bars."""
    items = [item.partition(" ") for item in rest.split("|")]
    return [_DEEDS[kind](rest, seen) for kind, _, rest in items]


def _spoilt(rest: str, seen: list[str]) -> None:
    raise Unusable(rest)


_DEEDS: dict[str, Callable[[str, list[str]], object]] = {
    "echo": lambda rest, seen: rest,
    "pid": lambda rest, seen: os.getpid(),
    "seen": lambda rest, seen: list(seen),
    "segfault": _segfault,
    "once": _once,
    "exit": lambda rest, seen: os._exit(int(rest)),
    "hang": lambda rest, seen: threading.Event().wait(),
    "hold": _hold,
    "eat": lambda rest, seen: bytearray(100_000_000_000),
    "raise": _raise,
    "breed": _breed,
    "signal": _signal,
    "unpicklable": lambda rest, seen: lambda: None,
    "big": lambda rest, seen: bytes(int(rest)),
    "limits": _limits,
    "pieces": _pieces,
    "pieces-once": _pieces_once,
    "spoilt": _spoilt,
    "all": _all,
}
