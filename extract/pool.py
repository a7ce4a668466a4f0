"""Isolated workers: an item that crashes, hangs or eats memory costs nothing but itself.

The parent knows which item a dead worker was at. Such an item is tried once more in a worker that
has seen no other item, in parts where it has some; only then is it given up.

This is also the seam for other machinery: whoever offers `rounds` (`extract.run.stage`, whose GPU
processes work on batches; actors on many machines) can stand in for `Pool` in `extract.run`, as
the parent alone writes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from avfd.errors import AvfdError
from avfd.machine import core_count
from extract.handle import Try, WorkerHandle
from extract.worker import Answer, Broken, Piece, Ready, Unready

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK_SECONDS = 0.1  # longest silence of `rounds`: how late a signal or a deadline is noticed
STARTS = 3
"""Workers in a row that may die before they are ready; one that memory was short for is not yet
a reason to end hours of work."""


class WorkerError(AvfdError, RuntimeError):
    """Workers cannot be started, so no item can be tried."""


@dataclass(frozen=True)
class Crash:
    """Why an item has no result."""

    reason: str


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item, or a part of one (see `Pool`'s `split`), and what became of it."""

    item: Item
    result: Result | Crash


@dataclass(frozen=True)
class Early(Generic[Item]):
    """A part of an item's result that came ahead of the rest.

    Attributes:
        value: what the work yielded.
        go: to be called once, when there is room for more: the worker waits with the next part.
    """

    item: Item
    value: Any
    go: Callable[[], None]


def _no_pieces(early: Early[Any]) -> None:
    raise TypeError(f"nobody takes the pieces of {early.item!r}")


def _unbuilt(error: AvfdError | str) -> AvfdError:
    """The error of a worker that could not be built; what was foreseen says it all by itself."""
    if isinstance(error, AvfdError):
        return error
    scarce = "memory" in error.lower()
    return WorkerError(
        "a worker could not be built",
        found=error,
        next_step="take fewer --workers, or fewer networks at once"
        if scarce
        else "run it again with --verbose to see where",
    )


def _nothing(item: object) -> None:
    """Nobody wants to know."""


def _both(first: str, second: str) -> str:
    """Why an item was given up, from its two faults.

    >>> _both("a", "a"), _both("a", "b"), _both("", "b")
    ('a (twice)', 'a, then b', 'b')
    """
    if first == second:
        return f"{second} (twice)"
    return f"{first}, then {second}" if first else second


class Pool(Generic[Item, Result]):
    """Workers for items that cannot be trusted; use it in a `with` block.

    Args:
        build_work: called once in each worker, gives the function from item to result, or a
            generator that yields pieces of it first. It, the items and the results travel
            pickled, so it lives in an importable module.
        workers: how many processes; BLAS and torch in each get cores / workers threads.
        time_limit: seconds that an item may take.
        memory_limit_bytes: of each worker; beyond it allocations raise MemoryError. 0: no limit.
        split: the parts that a crashed item is tried again as, each alone; default: itself. One
            that crashes again is split further where it has parts, and else given up.
        ahead: items that wait in a worker's pipe beside the one that it works on. Only small
            items may, as nobody reads them meanwhile.
        take: called with each piece.
        lost: called with an item whose worker died, before it is tried again: what was taken of
            it will come again.
    """

    def __init__(
        self,
        build_work: Callable[[], Callable[[Item], Result | Generator[Any, None, Result]]],
        *,
        workers: int,
        time_limit: Callable[[Item], float],
        memory_limit_bytes: int = 0,
        split: Callable[[Item], list[Item]] = lambda item: [item],
        ahead: int = 0,
        take: Callable[[Early[Item]], None] = _no_pieces,
        lost: Callable[[Item], None] = _nothing,
    ) -> None:
        self._build_work = build_work
        self._limit = max(1, workers)
        self._time_limit = time_limit
        self._memory_limit_bytes = memory_limit_bytes
        self._split = split
        self._ahead = ahead
        self._take = take
        self._lost = lost
        self._workers: list[WorkerHandle[Item]] = []
        self._waiting: deque[Try[Item]] = deque()
        self._suspects: deque[Try[Item]] = deque()
        self._lost_starts = 0  # since a worker was last ready

    def __enter__(self) -> Pool[Item, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers now; what they were working on is lost."""
        while self._workers:
            self._workers.pop().kill()
        self._waiting.clear()
        self._suspects.clear()

    def run(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Every item's outcome, in the order of finishing."""
        for outcomes in self.rounds(items):
            yield from outcomes

    def rounds(self, items: Iterable[Item]) -> Iterator[list[Outcome[Item, Result]]]:
        """What has finished since the last look, at least every `TICK_SECONDS`, often nothing.

        `items` is drawn from as workers come free, never more than `workers` ahead.

        Raises:
            WorkerError: `STARTS` workers in a row died before they could take an item, or
                `build_work` raised something unforeseen.
            AvfdError: as `build_work` raised it.
        """
        source = iter(items)
        while True:
            for item in islice(source, self.room):
                self.add(item)
            self.feed()
            if not self.busy:
                return
            yield self.collect(wait(self.connections, TICK_SECONDS))

    @property
    def room(self) -> int:
        """Items that may be added now: those that wait are never more than the workers."""
        return max(0, self._limit - len(self._waiting))

    @property
    def hungry(self) -> bool:
        """Whether an item that is added now goes to a worker at once, or starts one."""
        if self._waiting:
            return False
        room = len(self._workers) < self._limit
        return room or any(worker.takes(self._ahead) for worker in self._workers)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._waiting or self._suspects) or any(w.tasks for w in self._workers)

    @property
    def connections(self) -> list[Connection]:
        """Where workers are heard; for `multiprocessing.connection.wait`."""
        return [worker.connection for worker in self._workers]

    def add(self, item: Item) -> None:
        """Take an item; it waits for `feed`."""
        self._waiting.append(Try(item))

    def feed(self) -> None:
        """Keep every worker busy, and start those that are lacking."""
        for worker in list(self._workers):
            self._feed(worker)
        busy = sum(bool(worker.tasks) for worker in self._workers)
        wanted = busy + len(self._waiting) + len(self._suspects)
        while len(self._workers) < min(self._limit, wanted):
            self._workers.append(self._new_worker())

    def _new_worker(self) -> WorkerHandle[Item]:
        threads = max(1, core_count() // self._limit)
        return WorkerHandle(self._build_work, self._time_limit, self._memory_limit_bytes, threads)

    def _feed(self, worker: WorkerHandle[Item]) -> None:
        """A fresh worker takes a suspect first; a used one is replaced where only those wait."""
        if not worker.takes(self._ahead):
            return
        if worker.fresh and self._suspects:
            worker.begin(self._suspects.popleft())
        elif self._waiting:
            worker.begin(self._waiting.popleft())
        elif worker.idle and len(self._suspects) > sum(w.fresh for w in self._workers):
            self._dismiss(worker)

    def collect(self, heard: Container[object]) -> list[Outcome[Item, Result]]:
        """What the workers at these connections say, and what became of those past their time."""
        outcomes = []
        for worker in list(self._workers):
            if worker.connection in heard:
                outcomes += self._hear(worker)
            # A result may have come while this process was stopped: look before judging.
            elif worker.overdue and not worker.connection.poll():
                fault = f"no result within {worker.limit_seconds:g} s"
                outcomes += self._lose(worker, fault)
        return outcomes

    def _hear(self, worker: WorkerHandle[Item]) -> list[Outcome[Item, Result]]:
        try:
            message = worker.hear()
        except (EOFError, ConnectionError):
            return self._lose(worker, worker.died())
        if isinstance(message, Unready):
            raise _unbuilt(message.error)
        if isinstance(message, Broken):
            return self._lose(worker, message.reason)
        if isinstance(message, Ready):
            worker.ready = True
            self._lost_starts = 0
            return []
        if isinstance(message, Piece):
            worker.hold()
            self._take(Early(worker.tasks[0].item, message.value, worker.go))
            return []
        assert isinstance(message, Answer)
        item = worker.end().item
        if message.error is not None:
            return [Outcome(item, Crash(message.error))]
        return [Outcome(item, message.result)]

    def _lose(self, worker: WorkerHandle[Item], fault: str) -> list[Outcome[Item, Result]]:
        """A worker died or must die: its item becomes a suspect, or is given up."""
        self._dismiss(worker)
        if not worker.ready:
            self._count_lost_start(fault)
        if not worker.tasks:
            return []
        task = worker.tasks.popleft()
        self._waiting.extendleft(reversed(worker.tasks))
        self._lost(task.item)
        parts = self._split(task.item)
        if task.again and len(parts) == 1:
            return [Outcome(task.item, Crash(_both(task.fault, fault)))]
        log.info("%s; trying once more alone: %r", fault, task.item)
        first = fault if len(parts) == 1 else ""
        self._suspects.extend(Try(part, again=True, fault=first) for part in parts)
        return []

    def _count_lost_start(self, fault: str) -> None:
        """`feed` starts another worker, unless that was tried often enough."""
        self._lost_starts += 1
        log.info("a worker could not start (%d of %d): %s", self._lost_starts, STARTS, fault)
        if self._lost_starts >= STARTS:
            raise WorkerError(
                "a worker could not start",
                found=f"{fault}, {STARTS} starts in a row",
                next_step="free memory or take fewer --workers where they were killed; run it "
                "again with --verbose to see what they say",
            )

    def _dismiss(self, worker: WorkerHandle[Item]) -> None:
        self._workers.remove(worker)
        worker.kill()
