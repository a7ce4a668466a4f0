"""The device stage: reading processes cut windows, one process a device answers them in batches.

```
clips → Pool of readers ── windows ──▶ Buckets ── jobs ──▶ a Pool a device ── slots ──▶ Deliveries
        decode, faces, cut             by kind             batches, halved              → reports
```

It stands where a `Pool` of workers would and gives the same outcomes, though a clip's columns may
come one by one. Each device has a process of its own, which is not the parent: a failed kernel
spoils a CUDA context for good and a driver may crash, neither must take the results along that wait
for a commit, and only a process can be started afresh. What it was at is tried again in halves, so
that the guilty parcel costs its own column of its own clip.

Windows travel in boxes (`extract.boxes`): the parent passes descriptors on. It holds no more than
`Limits.window_bytes` of them; beyond that readers wait, so memory depends neither on the number of
clips nor on their length. Decoding on the device (torchcodec) would join here: a reader that sends
packets instead of windows, and a `Kind` whose work begins with the decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing.connection import wait
from typing import Any

from extract.backbones.base import Slots
from extract.batching import Done, Job, Work, build_device_work
from extract.pipeline import ClipReport, Setup, build_clip_work
from extract.pool import TICK_SECONDS, Crash, Early, Outcome, Pool
from extract.run.buckets import Buckets
from extract.run.deliveries import Deliveries, Delivery
from extract.run.plan import Limits
from extract.sending import Parcel
from extract.task import Task

ClipOutcome = Outcome[Task, ClipReport]

PARCELS = 480
"""Parcels that are held at most: each is an open file here, and 1,024 is a usual limit."""


class DeviceStage:
    """Stands in for a `Pool` of clip workers; use it in a `with` block.

    Args:
        setup: with the devices.
        workers: reading processes.
        memory_limit_bytes: of each of them.
        limits: on time and on windows under way.
        split: the parts that a clip is tried again as.

    Attributes:
        work: what each device has done so far.
        held_bytes: windows that are under way.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        workers: int,
        memory_limit_bytes: int,
        limits: Limits,
        split: Callable[[Task], list[Task]],
    ) -> None:
        self._limits = limits
        self._readers: Pool[Task, ClipReport] = Pool(
            partial(build_clip_work, setup),
            workers=workers,
            time_limit=partial(limits.time_limit, networks=setup.networks_here()),
            memory_limit_bytes=memory_limit_bytes,
            split=split,
            take=self._take,
            lost=lambda task: self._forget(task, task.columns),
        )
        self._devices: list[Pool[Job, Done]] = [
            Pool(
                partial(build_device_work, setup, device),
                workers=1,
                time_limit=limits.job_time_limit,
                split=Job.halves,
                ahead=1,
            )
            for device in setup.devices
        ]
        self.work = [Work() for _ in setup.devices]
        self._buckets = Buckets()
        self._deliveries = Deliveries(setup.built(), setup.spool)
        self._sizes: dict[int, int] = {}  # token → bytes, of parcels that are held
        self.held_bytes = 0
        self._held: list[Callable[[], None]] = []

    def __enter__(self) -> DeviceStage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes now; what is under way is lost."""
        for pool in self._pools:
            pool.close()

    @property
    def _pools(self) -> list[Pool[Any, Any]]:
        return [self._readers, *self._devices]

    def rounds(self, tasks: Iterable[Task]) -> Iterator[list[ClipOutcome]]:
        """What has finished since the last look, as `Pool.rounds` gives it.

        Raises:
            WorkerError: a worker or a device's process died before it could take anything.
        """
        source = iter(tasks)
        while True:
            self._feed(source)
            if not any(pool.busy for pool in self._pools):
                return
            connections = [c for pool in self._pools for c in pool.connections]
            heard = wait(connections, TICK_SECONDS)
            yield [*self._hear_readers(heard), *self._hear_devices(heard)]

    def _feed(self, source: Iterator[Task]) -> None:
        """Keep all busy; where windows are many, readers that have some wait."""
        while self._held and not self._crowded:
            self._held.pop(0)()
        for task in islice(source, self._readers.room):
            self._readers.add(task)
        self._readers.feed()
        at_once = self._crowded or not self._readers.busy
        for pool in self._devices:
            pool.feed()
            while pool.hungry and (job := self._buckets.job(at_once=at_once)):
                pool.add(job)
                pool.feed()

    @property
    def _crowded(self) -> bool:
        return self.held_bytes >= self._limits.window_bytes or len(self._sizes) >= PARCELS

    def _take(self, early: Early[Task]) -> None:
        """Windows of a clip have come from a reader."""
        parcels: list[Parcel] = early.value
        for parcel in parcels:
            token = self._deliveries.send(early.item, parcel.column)
            self._sizes[token] = parcel.box.size
            self.held_bytes += parcel.box.size
            self._buckets.put(token, parcel)
        self._held.append(early.go)

    def _hear_readers(self, heard: Container[object]) -> Iterator[ClipOutcome]:
        for outcome in self._readers.collect(heard):
            task, report = outcome.item, outcome.result
            if isinstance(report, Crash):
                self._forget(task, task.columns)
                yield outcome
                continue
            self._forget(task, report.results)
            settled = {column: task.columns[column] for column in report.results}
            yield Outcome(replace(task, columns=settled), replace(report, pending={}))
            for delivery in list(self._deliveries.read(task, report.pending)):
                yield self._close(delivery)

    def _hear_devices(self, heard: Container[object]) -> Iterator[ClipOutcome]:
        for device, pool in enumerate(self._devices):
            for outcome in pool.collect(heard):
                job, done = outcome.item, outcome.result
                if isinstance(done, Crash):
                    slots: list[Slots | str] = [done.reason] * len(job.tokens)
                else:
                    slots = done.slots.open()
                    self.work[device] += done.work
                self._release(job.tokens)
                for token, made in zip(job.tokens, slots, strict=True):
                    if delivery := self._deliveries.back(token, made):
                        yield self._close(delivery)

    def _close(self, delivery: Delivery) -> ClipOutcome:
        self._void(self._deliveries.close(delivery))
        return delivery.outcome()

    def _forget(self, task: Task, columns: Iterable[str]) -> None:
        self._void(self._deliveries.forget(task, columns))

    def _void(self, tokens: Collection[int]) -> None:
        """Nobody waits for these; those that a device has already come back all the same."""
        if tokens:
            self._release(self._buckets.drop(tokens))

    def _release(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            self.held_bytes -= self._sizes.pop(token, 0)
