"""Where networks run, on how many threads, from which seed. Importing this imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from avfd.errors import InputError

if TYPE_CHECKING:
    from classify.estimators.network import Batch


def moved(batch: Mapping[str, Tensor], device: Any) -> Batch:
    """The batch on a device."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def device_of(asked: str, strict: bool = True) -> torch.device:
    """The device that was asked for; "auto" is a GPU where there is one.

    Args:
        strict: a GPU that is asked for and not there is an error, else the CPU serves.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there and strict:
        raise InputError("no CUDA device here", where="--device", found=asked, accepted="auto, cpu")
    return torch.device("cuda" if asked != "cpu" and there else "cpu")


def precision_of(asked: str, device: torch.device) -> torch.dtype:
    """Number type of the forward pass in training; on a CPU always float32."""
    if device.type != "cuda":
        return torch.float32
    if asked == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    kind: torch.dtype = getattr(torch, asked)
    return kind


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """PyTorch on so many threads; with one, the same sums in the same order on every load."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, count: int = 1) -> Iterator[None]:
    """Threads as in `threads` and the generators at `seed`; the caller's are left as they were."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with threads(count), torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
