"""The work of a device's process: jobs of windows from many clips → slots for each parcel.

A job holds parcels of one kind; its windows go through the network in batches that do not care
where one parcel ends and the next begins (`extract.flights`). What spoils a batch costs the parcel
that spoils it, found by halving; what spoils the device ends the process, and the pool starts
another one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.backbones import load_all
from extract.backbones._network import NetworkBackbone, Windows
from extract.backbones.base import Slots
from extract.boxes import Box
from extract.flights import Flights, Rows, is_out_of_memory
from extract.pipeline import Setup
from extract.sending import Kind
from extract.worker import Unusable, describe

log = logging.getLogger(__name__)

_LOST = ("CUDA error", "CUDA driver", "cuDNN error", "CUBLAS_STATUS", "NCCL")


@dataclass(frozen=True)
class Job:
    """Parcels of one kind, for one network.

    Attributes:
        kind: of their windows.
        boxes: their `Windows`, each parcel's own.
        tokens: what the parent knows each parcel by.
    """

    kind: Kind
    boxes: tuple[Box, ...]
    tokens: tuple[int, ...]

    def halves(self) -> list[Job]:
        """The job in two; itself where it has one parcel."""
        n = len(self.boxes)
        cuts = [slice(0, n)] if n < 2 else [slice(0, n // 2), slice(n // 2, n)]
        return [Job(self.kind, self.boxes[cut], self.tokens[cut]) for cut in cuts]

    def __repr__(self) -> str:
        return f"<{len(self.boxes)} parcels for {self.kind.backbone}>"


@dataclass(frozen=True)
class Work:
    """What a device has done.

    Attributes:
        windows: that it answered.
        batches: in which it answered them.
        halvings: how often a batch did not fit.
        busy_seconds: with jobs.
        waiting_seconds: for jobs; the wait for the first one is not counted.
    """

    windows: int = 0
    batches: int = 0
    halvings: int = 0
    busy_seconds: float = 0.0
    waiting_seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.windows + other.windows,
            self.batches + other.batches,
            self.halvings + other.halvings,
            self.busy_seconds + other.busy_seconds,
            self.waiting_seconds + other.waiting_seconds,
        )


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        slots: box with a list: for each parcel its `Slots`, or why there are none.
        work: what it took.
    """

    slots: Box
    work: Work


def build_device_work(setup: Setup, device: str) -> Callable[[Job], Done]:
    """The work of one device's process; the networks stay on the device from job to job."""
    load_all()
    prepare(device)
    networks = {}
    away = setup.away()
    for text, backbone in setup.built().items():
        if text in away and isinstance(backbone, NetworkBackbone):
            setup.load(backbone, device)
            networks[text] = Flights(backbone)
    free_since: float | None = None

    def work(job: Job) -> Done:
        nonlocal free_since
        start = time.monotonic()
        waited = 0.0 if free_since is None else start - free_since
        parcels = [box.open() for box in job.boxes]
        flights = networks[job.kind.backbone]
        before = flights.batches, flights.halvings
        slots = Box.of(answer(flights, parcels))
        free_since = time.monotonic()
        return Done(
            slots,
            Work(
                sum(len(parcel.inputs) for parcel in parcels),
                flights.batches - before[0],
                flights.halvings - before[1],
                free_since - start,
                waited,
            ),
        )

    return work


def prepare(device: str) -> None:
    """Make a GPU this process' own and float32 exact: TF32 would keep ten bits of each factor."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "ieee"


def answer(flights: Flights, parcels: Sequence[Windows]) -> list[Slots | str]:
    """For each parcel its slots, or why there are none; all have windows of one shape.

    Raises:
        Unusable: the device is lost to this process.
    """
    try:
        return list(_slots(flights, parcels))
    except Exception as error:
        name = flights.backbone.spec.name
        log.debug("%s: %d parcels failed", name, len(parcels), exc_info=True)
        if is_lost(error):
            raise Unusable(describe(error)) from error
        if len(parcels) == 1:
            return [describe(error)]
    half = len(parcels) // 2
    return [*answer(flights, parcels[:half]), *answer(flights, parcels[half:])]


def is_lost(error: BaseException) -> bool:
    """Whether a GPU's state is spoilt, so that whatever comes next fails, too.

    >>> is_lost(RuntimeError("CUDA error: device-side assert triggered"))
    True
    >>> is_lost(RuntimeError("CUDA out of memory")), is_lost(ValueError("CUDA error"))
    (False, False)
    """
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)
    return said and not is_out_of_memory(error)


def _slots(flights: Flights, parcels: Sequence[Windows]) -> Iterator[Slots]:
    """Slots of parcel after parcel, each as soon as its last window is answered."""
    answers = flights.answers(Rows([parcel.inputs for parcel in parcels]))
    held: list[NDArray[np.float32]] = []
    for parcel in parcels:
        wanted = len(parcel.inputs)
        while sum(map(len, held)) < wanted:
            held.append(next(answers))
        outputs = np.concatenate(held) if len(held) > 1 else held[0]
        held = [outputs[wanted:]]
        yield flights.backbone.slots(parcel, outputs[:wanted])
