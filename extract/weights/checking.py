"""Whether tensors are a network's: all there, of the right shapes, of numbers that it can use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from avfd.errors import InputError, MissingError
from avfd.home import Home
from extract.installed import check_installed, needs
from extract.weights.facts import Checkpoint, Weights, WeightsFile, facts
from extract.weights.finding import find, read_card

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 8
_FLOATING = ("float16", "bfloat16", "float32", "float64", "F16", "BF16", "F32", "F64")
"""Of a network's numbers, as PyTorch and as safetensors call them."""
_COUNTS = ("int64", "int32", "I64", "I32")
"""Of single numbers too: how many batches a batch norm has seen."""


@runtime_checkable
class Computed(Protocol):
    """A `Checkpoint` some of whose tensors a formula gives."""

    @property
    def formulas(self) -> Mapping[str, Callable[[Tensor], None]]:
        """Name → what raises `InputError` where a tensor of the right shape is not the formula's.

        A half-precision file's numbers may come in single precision.
        """


@dataclass(frozen=True)
class Shaped:
    """A tensor of which only shape and type are known."""

    shape: tuple[int, ...]
    dtype: str


def wanted(weights: Weights) -> tuple[Checkpoint, Mapping[str, tuple[int, ...]]]:
    """What reads the file, and the tensors that it must hold.

    Raises:
        MissingError: a module that the network is built with is not installed.
    """
    check_installed(("torch", "safetensors"), "networks", weights.name)
    with needs("networks", weights.name):
        checkpoint = weights.reader()
        return checkpoint, checkpoint.expected()


def check_file(path: Path, name: str) -> None:
    """Refuse a model file that is damaged or whose tensors are not those of `name`.

    The header is read, and what a formula gives. Of a network that was trained here the sizes are
    its run's; they are checked on loading.
    """
    from safetensors import SafetensorError, safe_open

    weights = facts(name)
    try:
        with safe_open(path, framework="np") as file:
            parts = {n: file.get_slice(n) for n in file.keys()}  # noqa: SIM118
            found = {n: Shaped(tuple(p.get_shape()), p.get_dtype()) for n, p in parts.items()}
    except SafetensorError as error:
        raise InputError(
            "the model file cannot be read",
            where=path,
            found=str(error),
            accepted="a safetensors file as `avfd weights add` or `avfd fit` writes it",
            next_step=f"run `avfd weights add FILE --as {name}` with the published file",
        ) from error
    trained = weights.trained_here or "settings" in read_card(path)
    if weights.checkpoint is None or trained:
        return
    checkpoint, expected = wanted(weights)
    check_tensors(found, expected, path, name)
    if formulas := formulas_of(checkpoint):
        with safe_open(path, framework="pt") as file:
            check_formulas({n: file.get_tensor(n) for n in formulas}, checkpoint)


def found_and_checked(name: str, home: Home) -> WeightsFile:
    """The model file as `find` finds it, checked as far as what is installed here allows.

    Raises:
        MissingError: it lies nowhere.
        InputError: what lies there is damaged or another network's.
    """
    weights = facts(name)
    found = find(name, home)
    if weights.checkpoint is None:
        return found
    try:
        check_installed(("torch", "safetensors"), "networks", name)
    except MissingError:
        return found
    check_file(found.path, name)
    return found


def formulas_of(checkpoint: Checkpoint) -> Mapping[str, Callable[[Tensor], None]]:
    """Those of a `Computed` one, else none."""
    return checkpoint.formulas if isinstance(checkpoint, Computed) else {}


def check_formulas(tensors: Mapping[str, Tensor], checkpoint: Checkpoint) -> None:
    """Refuse a tensor that is not what its formula gives.

    Args:
        tensors: of the right names and shapes.
    """
    for name, check in formulas_of(checkpoint).items():
        check(tensors[name])


def check_tensors(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], where: Path, name: str
) -> None:
    """Refuse what is missing, extra, misshapen or of no use, saying exactly what."""
    missing = [f"{n} {list(expected[n])}" for n in expected if n not in found]
    extra = [n for n in found if n not in expected]
    odd = [f"{n} {why}" for n in expected if n in found and (why := _odd(found[n]))]
    misshapen = [
        f"{n} {_shape(found[n])} instead of {list(expected[n])}"
        for n in expected
        if n in found and _shape(found[n]) != list(expected[n])
    ]
    if not (missing or extra or misshapen or odd):
        return
    faults = {
        "missing": missing,
        "extra": extra,
        "of another shape": misshapen,
        "not usable": odd,
    }
    said = "; ".join(f"{len(n)} {what}: {_some(n)}" for what, n in faults.items() if n)
    raise InputError(
        f"this is no checkpoint of {name}",
        where=where,
        found=_foreign(found, expected) or said,
        accepted=f"the {len(expected)} tensors of {name}",
        next_step="see `avfd weights ls` for other names, or fetch the file again",
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


def _odd(value: Any) -> str:
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
    if not isinstance(value, Shaped) and not bool(value.isfinite().all()):
        return "holds NaN or infinity"
    return ""


def _shape(value: object) -> list[int] | str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else list(shape)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
