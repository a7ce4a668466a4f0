"""Batches of one network on one device: sent off, fetched, halved where memory is lacking.

While the device is at one batch the next is laid out in pinned memory and queued behind it, so that
neither waits for the other. This file imports no torch until a batch is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones._network import NetworkBackbone

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

_NO_MEMORY = ("out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at once might fit: PyTorch, cuBLAS and the CPU's allocator say it differently.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    True
    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
    True
    >>> is_out_of_memory(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


class Rows:
    """The windows of several parcels, one after the other, without a copy.

    Args:
        parts: [n, *window] each, all of one shape of window.

    Attributes:
        total: windows in all.
        window: shape of one.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))
        self.total = self._ends[-1]
        self.window = parts[0].shape[1:]
        self.dtype = parts[0].dtype

    def slices(self, first: int, count: int) -> Iterator[NDArray[Any]]:
        """Views that hold the windows from `first` on."""
        for part, end in zip(self._parts, self._ends, strict=True):
            start = end - len(part)
            if first < end and first + count > start:
                yield part[max(0, first - start) : first + count - start]


@dataclass
class Flight:
    """A batch that the device is at.

    Attributes:
        answers: on the host, perhaps still to be filled.
        landed: CUDA event after which they are; None: they are there.
    """

    answers: Tensor
    landed: Any

    def fetch(self) -> NDArray[np.float32]:
        """The answers, float32 [n, ...]."""
        if self.landed is not None:
            self.landed.synchronize()
        return np.asarray(self.answers.numpy())


@dataclass
class Flights:
    """Sends windows through a loaded network.

    Attributes:
        fits: shape of a window → windows at once that are worth a try; lacking: any number.
        batches, halvings: how many batches went through; how often one had to be halved.
    """

    backbone: NetworkBackbone
    fits: dict[tuple[int, ...], int] = field(default_factory=dict)
    batches: int = 0
    halvings: int = 0

    def answers(self, rows: Rows) -> Iterator[NDArray[np.float32]]:
        """The network's answers to all windows in order, a batch at a time.

        Raises:
            MemoryError: not even a single window fits.
        """
        flight: Flight | None = None
        at = 0
        while at < rows.total:
            count = min(rows.total - at, self.fits.get(rows.window, rows.total))
            launched = self._try(rows, at, count)
            if flight is not None:
                yield flight.fetch()
            elif launched is None:  # the device had nothing else to do: it is too much
                self._halve(rows, count)
            flight = launched
            at += count if launched else 0
        if flight is not None:
            yield flight.fetch()

    def _try(self, rows: Rows, first: int, count: int) -> Flight | None:
        """Send a batch off; None where there is no memory for it."""
        try:
            flight = self._launch(rows, first, count)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            log.info("%s: no memory for %d windows", self.backbone.spec.name, count)
        else:
            self.batches += 1
            return flight
        _release_memory()  # outside `except`, whose traceback held what the batch had taken
        return None

    def _halve(self, rows: Rows, count: int) -> None:
        if count == 1:
            raise MemoryError(f"no room for a single window on {self.backbone.device}")
        self.halvings += 1
        self.fits[rows.window] = count // 2

    def _launch(self, rows: Rows, first: int, count: int) -> Flight:
        import torch

        cuda = self.backbone.device.startswith("cuda")
        dtype = torch.from_numpy(np.empty(0, rows.dtype)).dtype
        batch = torch.empty((count, *rows.window), dtype=dtype, pin_memory=cuda)
        np.concatenate(list(rows.slices(first, count)), out=batch.numpy())
        there = batch.to(self.backbone.device, non_blocking=True)
        answers = self.backbone.answer(there).to("cpu", non_blocking=True)
        if not cuda:
            return Flight(answers, None)
        landed: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        landed.record()
        return Flight(answers, landed)


def _release_memory() -> None:
    """Give back what PyTorch keeps for later use, so that pieces join."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
