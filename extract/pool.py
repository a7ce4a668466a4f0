"""Isolated workers: an item that crashes, hangs or eats memory costs nothing but itself.

The parent hands a worker one item at a time, so it knows what a dead worker had. Such an item is
tried once more in a worker that has seen no other item; only then is it given up.

This is also the seam for other machinery: whoever offers `rounds` (a GPU process that works on
batches, actors on many machines) can stand in for `Pool` in `extract.run`, as the parent alone
writes.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from typing import Generic, TypeVar

from avfd.errors import AvfdError
from extract.handle import Try, WorkerHandle
from extract.worker import Answer, Ready, Unready

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK_SECONDS = 0.1  # longest silence of `rounds`: how late a signal or a deadline is noticed


class WorkerError(AvfdError, RuntimeError):
    """Workers cannot be started, so no item could be tried."""


@dataclass(frozen=True)
class Crash:
    """Why an item has no result."""

    reason: str


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item, or a part of one (see `Pool`'s `split`), and what became of it."""

    item: Item
    result: Result | Crash


def _both(first: str, second: str) -> str:
    """Why an item was given up, from its two faults.

    >>> _both("a", "a"), _both("a", "b"), _both("", "b")
    ('a (twice)', 'a, then b', 'b')
    """
    if first == second:
        return f"{second} (twice)"
    return f"{first}, then {second}" if first else second


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class Pool(Generic[Item, Result]):
    """Workers for items that cannot be trusted; use it in a `with` block.

    Args:
        build_work: called once in each worker, gives the function from item to result. It, the
            items and the results travel pickled, so it lives in an importable module.
        workers: how many processes; BLAS and torch in each get cores / workers threads.
        time_limit: seconds that an item may take.
        memory_limit_bytes: of each worker; beyond it allocations raise MemoryError. 0: no limit.
        split: the parts that a crashed item is tried again as, each alone; default: itself.
    """

    def __init__(
        self,
        build_work: Callable[[], Callable[[Item], Result]],
        *,
        workers: int,
        time_limit: Callable[[Item], float],
        memory_limit_bytes: int = 0,
        split: Callable[[Item], list[Item]] = lambda item: [item],
    ) -> None:
        self._build_work = build_work
        self._limit = max(1, workers)
        self._time_limit = time_limit
        self._memory_limit_bytes = memory_limit_bytes
        self._split = split
        self._workers: list[WorkerHandle[Item]] = []
        self._waiting: deque[Try[Item]] = deque()
        self._suspects: deque[Try[Item]] = deque()

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
            WorkerError: a worker died before it could take an item.
            Exception: whatever `build_work` raised.
        """
        source = iter(items)
        while self._hand_out(source):
            yield self._collect()

    def _hand_out(self, source: Iterator[Item]) -> bool:
        """Keep every worker busy; False when nothing is left to do."""
        ahead = islice(source, self._limit - len(self._waiting))
        self._waiting.extend(Try(item) for item in ahead)
        for worker in [w for w in self._workers if w.idle]:
            self._feed(worker)
        busy = sum(worker.task is not None for worker in self._workers)
        wanted = busy + len(self._waiting) + len(self._suspects)
        while len(self._workers) < min(self._limit, wanted):
            self._workers.append(self._new_worker())
        return wanted > 0

    def _new_worker(self) -> WorkerHandle[Item]:
        threads = max(1, core_count() // self._limit)
        return WorkerHandle(self._build_work, self._memory_limit_bytes, threads)

    def _feed(self, worker: WorkerHandle[Item]) -> None:
        """A fresh worker takes a suspect first; a used one is replaced where only those wait."""
        if worker.fresh and self._suspects:
            task = self._suspects.popleft()
        elif self._waiting:
            task = self._waiting.popleft()
        elif len(self._suspects) > sum(w.fresh for w in self._workers):
            self._dismiss(worker)
            return
        else:
            return
        worker.begin(task, self._time_limit(task.item))

    def _collect(self) -> list[Outcome[Item, Result]]:
        heard = wait([worker.connection for worker in self._workers], TICK_SECONDS)
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
            message = worker.connection.recv()
        except (EOFError, ConnectionError):
            return self._lose(worker, worker.died())
        if isinstance(message, Unready):
            raise message.error
        if isinstance(message, Ready):
            worker.ready = True
            return []
        assert isinstance(message, Answer)
        assert worker.task is not None
        item, worker.task = worker.task.item, None
        if message.error is not None:
            return [Outcome(item, Crash(message.error))]
        return [Outcome(item, message.result)]

    def _lose(self, worker: WorkerHandle[Item], fault: str) -> list[Outcome[Item, Result]]:
        """A worker died or must die: its item becomes a suspect, or is given up."""
        self._dismiss(worker)
        if not worker.ready:
            raise WorkerError("a worker could not start", found=fault)
        if worker.task is None:
            return []
        task = worker.task
        if not task.again:
            log.info("%s; trying once more alone: %r", fault, task.item)
            parts = self._split(task.item)
            first = fault if len(parts) == 1 else ""
            self._suspects.extend(Try(part, again=True, fault=first) for part in parts)
            return []
        return [Outcome(task.item, Crash(_both(task.fault, fault)))]

    def _dismiss(self, worker: WorkerHandle[Item]) -> None:
        self._workers.remove(worker)
        worker.kill()
