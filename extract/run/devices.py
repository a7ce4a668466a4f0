"""Which device networks run on."""

from __future__ import annotations

import re

from avfd.errors import InputError

DEVICES = "auto | cpu | cuda | cuda:N"


def check_device(asked: str) -> None:
    """Refuse what names no device, before anything else is looked at."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", asked):
        raise InputError("no such device", where="--device", found=asked, accepted=DEVICES)


def device_for(asked: str) -> str:
    """The device that `asked` means on this machine.

    Args:
        asked: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: an unknown word, or a GPU that PyTorch does not see.
    """
    check_device(asked)
    if asked == "cpu":
        return "cpu"
    gpus = _gpus()
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    if int(asked.partition(":")[2] or 0) >= gpus:
        raise InputError(
            "PyTorch sees no such GPU",
            where="--device",
            found=f"{asked}, of {gpus} GPUs",
            next_step="see `avfd doctor`, or take --device cpu",
        )
    return asked


def _gpus() -> int:
    """How many GPUs PyTorch sees; none where it is not installed."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
