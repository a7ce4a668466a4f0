"""The parent's side of one worker: its process, its pipe, what it is busy with.

Workers are fresh interpreters, not forks: they inherit neither locks nor threads, each has a pipe
of its own, and the kernel kills them when their parent goes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from extract.boxes import receive, send
from extract.worker import Go

log = logging.getLogger(__name__)

Item = TypeVar("Item")

START_LIMIT_SECONDS = 300.0  # for imports and model files, on a slow network disk
_LAST_BREATH_SECONDS = 5.0  # between a dying process's closed pipe and its exit status

# The parent alone decides when to stop: a batch system tells every process of a job to end.
# sys.path is the parent's, so that the worker imports the very modules that the parent did.
_BOOT = """
import json, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
boot = json.loads(sys.argv[1])
sys.path[:] = boot.pop("path")
from extract.orphans import die_with
die_with(boot.pop("parent"))
from extract.worker import serve
serve(**boot)
"""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass
class Try(Generic[Item]):
    """An item on its way.

    Attributes:
        again: whether this is the second try.
        fault: how the first one ended; "" where that may have been another part's fault.
    """

    item: Item
    again: bool = False
    fault: str = ""


class WorkerHandle(Generic[Item]):
    """One child process and what it is busy with.

    Attributes:
        tasks: what it has been given: the first is worked on, the others wait in its pipe.
        fresh: whether it has not been given anything yet.
        limit_seconds: how long the first may take.
    """

    def __init__(
        self,
        build_work: Callable[[], Any],
        time_limit: Callable[[Item], float],
        memory_limit_bytes: int,
        threads: int,
    ) -> None:
        self.connection, theirs = Pipe()
        self.process = _start(theirs, memory_limit_bytes, threads)
        theirs.close()
        self.ready = False
        self.fresh = True
        self.tasks: deque[Try[Item]] = deque()
        self._time_limit = time_limit
        self._held_since: float | None = None
        self._start_clock(START_LIMIT_SECONDS)
        self._send(build_work)

    @property
    def idle(self) -> bool:
        return self.ready and not self.tasks

    @property
    def overdue(self) -> bool:
        running = not self.idle and self._held_since is None
        return running and time.monotonic() > self._deadline

    def takes(self, ahead: int) -> bool:
        """Whether it can be given an item, with so many waiting in its pipe; a suspect is alone."""
        return self.ready and len(self.tasks) <= ahead and not any(t.again for t in self.tasks)

    def begin(self, task: Try[Item]) -> None:
        """Give it an item."""
        self.fresh = False
        self.tasks.append(task)
        if len(self.tasks) == 1:
            self._start_clock(self._time_limit(task.item))
        self._send(task.item)

    def end(self) -> Try[Item]:
        """It is done with the first of its items, and goes on with the next."""
        task = self.tasks.popleft()
        if self.tasks:
            self._start_clock(self._time_limit(self.tasks[0].item))
        return task

    def hear(self) -> Any:
        """Its next message; EOFError or ConnectionError where it is gone."""
        return receive(self.connection)

    def hold(self) -> None:
        """It has sent a piece and waits for `go`: its clock stands."""
        self._held_since = time.monotonic()

    def go(self) -> None:
        """Let it send the next piece."""
        if self._held_since is not None:
            self._deadline += time.monotonic() - self._held_since
            self._held_since = None
        if not self.connection.closed:  # it may be gone by now
            self._send(Go())

    def _start_clock(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._deadline = time.monotonic() + limit_seconds

    def died(self) -> str:
        """How the process ended, for one whose pipe is closed already."""
        with suppress(subprocess.TimeoutExpired):
            return _ending(self.process.wait(timeout=_LAST_BREATH_SECONDS))
        self.kill()
        return "worker closed its pipe"

    def kill(self) -> None:
        """End the process and whatever it has started."""
        with suppress(ProcessLookupError):  # it has been waited for, and nothing of it is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()

    def _send(self, value: object) -> None:
        with suppress(ConnectionError):  # a dead worker is noticed where its answer is awaited
            send(self.connection, value)


def _start(theirs: Connection, memory_limit_bytes: int, threads: int) -> subprocess.Popen[bytes]:
    debug = log.isEnabledFor(logging.DEBUG)
    boot = {
        "path": sys.path,
        "fd": theirs.fileno(),
        "parent": os.getpid(),
        "memory_limit_bytes": memory_limit_bytes,
        "log_level": logging.DEBUG if debug else logging.CRITICAL,
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT, json.dumps(boot)],
        env={**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))},
        pass_fds=(theirs.fileno(),),
        # In a group of its own, it hears nothing from the terminal even while it starts.
        process_group=0,
        stdin=subprocess.DEVNULL,
        # Native libraries chat on both; the parent's stdout belongs to the command's one document.
        stdout=sys.stderr.fileno() if debug else subprocess.DEVNULL,
        stderr=None if debug else subprocess.DEVNULL,
    )


def _ending(status: int) -> str:
    """How a process ended, from its return code.

    >>> _ending(-11), _ending(3)
    ('worker killed by SIGSEGV', 'worker exited with status 3')
    """
    if status >= 0:
        return f"worker exited with status {status}"
    with suppress(ValueError):
        return f"worker killed by {signal.Signals(-status).name}"
    return f"worker killed by signal {-status}"
