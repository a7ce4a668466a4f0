"""Whether tensors are a network's: all there, of the right shapes, of numbers that it can use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

from avfd.errors import InputError

SHOWN = 20
"""Names of each kind of fault that a sentence tells; `InputError.details` has all of them."""
_FLOATING = ("float16", "bfloat16", "float32", "float64", "F16", "BF16", "F32", "F64")
"""Of a network's numbers, as PyTorch and as safetensors call them."""
_COUNTS = ("int64", "int32", "I64", "I32")
"""Of single numbers too: how many batches a batch norm has seen."""
_VARIANCE = "running_var"
"""Last part of the name of a batch norm's variances."""


@dataclass(frozen=True)
class Shaped:
    """A tensor of which only shape and type are known."""

    shape: tuple[int, ...]
    dtype: str


def check_tensors(
    found: Mapping[str, Any],
    expected: Mapping[str, tuple[int, ...]],
    where: Path,
    name: str,
    next_step: str | None = None,
) -> None:
    """Refuse what is missing, extra, misshapen or of no use.

    The sentence tells the first `SHOWN` names of each kind, the error's details all of them.

    Args:
        found, expected: tensor name → tensor, and → shape.
        where, name: the file, and the weights that it was taken for.
        next_step: what to do; None: look for another name, or fetch the file again.
    """
    faults = {
        "missing": [f"{n} {list(expected[n])}" for n in expected if n not in found],
        "extra": [n for n in found if n not in expected],
        "of another shape": [
            f"{n} {odd}"
            for n in expected
            if n in found and (odd := _misshapen(found[n], expected[n]))
        ],
        "not usable": [f"{n} {why}" for n in expected if n in found and (why := _odd(n, found[n]))],
    }
    faults = {what: names for what, names in faults.items() if names}
    if not faults:
        return
    said = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in faults.items())
    raise InputError(
        f"this is no checkpoint of {name}",
        where=where,
        found=_foreign(found, expected) or said,
        accepted=f"the {len(expected)} tensors of {name}",
        next_step=next_step or "see `avfd weights ls` for other names, or fetch the file again",
        details=faults,
    )


def _foreign(found: Mapping[str, Any], expected: Mapping[str, object]) -> str:
    """What is wrong where names fit only without a front that all of them share, else ""."""
    fronts = _fronts(found)
    if not fronts or any(n in expected for n in found):
        return ""
    fits = {f: sum(n.removeprefix(f) in expected for n in found) for f in fronts}
    best = max(fronts, key=lambda front: fits[front])
    if not fits[best]:  # another network
        return ""
    names = f"all {len(found)} names begin with {best!r}"
    return f"{names}; without it {fits[best]} of them are among the {len(expected)} of ours"


def _fronts(names: Iterable[str]) -> list[str]:
    """What all names begin with, of whole parts: "a.", "a.b.", …"""
    parts = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = takewhile(lambda part: len(set(part)) == 1, parts)
    return list(accumulate(f"{part[0]}." for part in shared))


def _misshapen(value: Any, shape: tuple[int, ...]) -> str:
    """What a value is instead of a tensor of that shape; "" where it is one."""
    if not hasattr(value, "dtype"):
        kind = getattr(value, "stands_for", None) or type(value).__name__
        return f"is of type {kind} instead of a tensor {list(shape)}"
    return (
        ""
        if tuple(value.shape) == tuple(shape)
        else f"{list(value.shape)} instead of {list(shape)}"
    )


def _odd(name: str, value: Any) -> str:
    """Why a tensor's numbers cannot be a network's; "" where they can."""
    if not hasattr(value, "dtype"):
        return ""
    dtype = str(value.dtype).removeprefix("torch.")
    if getattr(value, "is_sparse", False):
        return "is sparse"
    if "complex" in dtype:
        return "is complex"
    if dtype not in _FLOATING:
        count = dtype in _COUNTS and not tuple(value.shape)
        return "" if count else f"is {dtype} instead of floating point of 16 bits or more"
    return "" if isinstance(value, Shaped) else _impossible(name, value)


def _impossible(name: str, tensor: Any) -> str:
    """Why numbers cannot be those that the tensor's name promises; "" where they can."""
    if not bool(tensor.isfinite().all()):
        return "holds NaN or infinity"
    if name.rpartition(".")[2] == _VARIANCE and bool((tensor < 0).any()):
        return "holds variances below 0"
    return ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more (all: --json)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
