"""Which devices networks run on."""

from __future__ import annotations

import re

from avfd.errors import InputError

DEVICES = "auto | cpu | cuda | cuda:N"

BATCHED_CPU = "cpu-batched"
"""A word that no help names: the road of a GPU with the CPU at its end, so that tests on a machine
without a GPU go all of it. With :N as the road of N GPUs."""


def check_device(asked: str) -> None:
    """Refuse what names no device, before anything else is looked at."""
    if not re.fullmatch(rf"auto|cpu|cuda(:\d+)?|{BATCHED_CPU}(:\d)?", asked):
        raise InputError("no such device", where="--device", found=asked, accepted=DEVICES)


def devices_for(asked: str) -> tuple[str, ...]:
    """The devices that `asked` means on this machine; none: networks run in the workers.

    Args:
        asked: "auto" (all GPUs, else none), "cpu", "cuda" (all GPUs) or "cuda:N".

    Raises:
        InputError: an unknown word, or a GPU that PyTorch does not see.
    """
    check_device(asked)
    if asked == "cpu":
        return ()
    word, _, number = asked.partition(":")
    if word == BATCHED_CPU:
        return ("cpu",) * int(number or 1)
    gpus = _gpus()
    if asked == "auto":
        return tuple(f"cuda:{i}" for i in range(gpus))
    if int(number or 0) >= gpus:
        raise InputError(
            "PyTorch sees no such GPU",
            where="--device",
            found=f"{asked}, of {gpus} GPUs",
            next_step="see `avfd doctor`, or take --device cpu",
        )
    return (asked,) if number else tuple(f"cuda:{i}" for i in range(gpus))


def _gpus() -> int:
    """How many GPUs PyTorch sees; none where it is not installed."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
