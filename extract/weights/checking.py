"""Whether a model file is what its name says, before a clip is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from avfd.errors import InputError, MissingError
from avfd.home import Home
from extract.installed import check_installed, needs
from extract.weights.facts import Checkpoint, Weights, WeightsFile, facts
from extract.weights.finding import find, read_card
from extract.weights.reading import read
from extract.weights.tensors import Shaped, check_tensors

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS = ".safetensors"


@runtime_checkable
class Computed(Protocol):
    """A `Checkpoint` some of whose tensors a formula gives."""

    @property
    def formulas(self) -> Mapping[str, Callable[[Tensor], None]]:
        """Name → what raises `InputError` where a tensor of the right shape is not the formula's.

        A half-precision file's numbers may come in single precision.
        """


def wanted(weights: Weights) -> tuple[Checkpoint, Mapping[str, tuple[int, ...]]]:
    """What reads the file, and the tensors that it must hold.

    Raises:
        MissingError: a module that the network is built with is not installed.
    """
    check_installed(("torch", "safetensors"), "networks", weights.name)
    with needs("networks", weights.name):
        checkpoint = weights.reader()
        return checkpoint, checkpoint.expected()


def tensors_of(path: Path, weights: Weights) -> dict[str, Tensor]:
    """The network's tensors out of a published file, all there and of the right shapes.

    Raises:
        InputError: as `read`, `check_tensors` and `check_formulas` raise it.
    """
    checkpoint, expected = wanted(weights)
    raw = read(path)
    tensors = dict(raw) if raw.keys() == expected.keys() else checkpoint.clean(raw)
    check_tensors(tensors, expected, path, weights.name)
    check_formulas(tensors, checkpoint)
    return {name: tensors[name] for name in expected}


def check_file(path: Path, name: str) -> None:
    """Refuse a model file that is damaged or whose tensors are not those of `name`.

    The header is read, and what a formula gives. Of a network that was trained here the sizes are
    its run's; they are checked on loading. A file that its backbone reads by itself is left alone,
    unless it is safetensors.

    Raises:
        InputError: what is wrong; of a file that `avfd weights add` would take in, to do that.
    """
    weights = facts(name)
    if weights.checkpoint is None and path.suffix != SAFETENSORS:
        return
    found = _header(path, name)
    trained = weights.trained_here or "settings" in read_card(path)
    if weights.checkpoint is None or trained:
        return
    checkpoint, expected = wanted(weights)
    try:
        check_tensors(found, expected, path, name)
    except InputError as error:
        if _would_be_added(path, weights):
            raise _not_converted(error, name) from error
        raise
    if formulas := formulas_of(checkpoint):
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            check_formulas({n: file.get_tensor(n) for n in formulas}, checkpoint)


def _header(path: Path, name: str) -> dict[str, Shaped]:
    """Shape and type of a safetensors file's tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            parts = {n: file.get_slice(n) for n in file.keys()}  # noqa: SIM118
            return {n: Shaped(tuple(p.get_shape()), p.get_dtype()) for n, p in parts.items()}
    except SafetensorError as error:
        raise InputError(
            "the model file cannot be read",
            where=path,
            found=str(error),
            accepted="a safetensors file as `avfd weights add` or `avfd fit` writes it",
            next_step=f"run `avfd weights add FILE --as {name}` with the published file",
        ) from error


def _would_be_added(path: Path, weights: Weights) -> bool:
    """Whether the file is a published one that only has to be converted."""
    try:
        tensors_of(path, weights)
    except InputError:
        return False
    return True


def _not_converted(error: InputError, name: str) -> InputError:
    return InputError(
        "this model file is not converted yet",
        where=error.where,
        found=error.found,
        accepted=error.accepted,
        next_step=f"move it out of the folder that is searched for model files, if it lies there, "
        f"and run `avfd weights add FILE --as {name}` with it; what that writes is found by itself",
        details=error.details,
    )


def found_and_checked(name: str, home: Home) -> WeightsFile:
    """The model file as `find` finds it, checked as far as what is installed here allows.

    Raises:
        MissingError: it lies nowhere.
        InputError: what lies there is damaged or another network's.
    """
    found = find(name, home)
    check_if_installed(found.path, name)
    return found


def check_if_installed(path: Path, name: str) -> None:
    """`check_file`, where what reads the file is installed."""
    try:
        check_installed(("torch", "safetensors"), "networks", name)
    except MissingError:
        return
    if facts(name).checkpoint is not None:
        check_file(path, name)


def formulas_of(checkpoint: Checkpoint) -> Mapping[str, Callable[[Tensor], None]]:
    """Those of a `Computed` one, else none."""
    return checkpoint.formulas if isinstance(checkpoint, Computed) else {}


def check_formulas(tensors: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Refuse a tensor that is not what its formula gives.

    Args:
        tensors: of the right names and shapes.
    """
    for name, check in formulas_of(checkpoint).items():
        check(tensors[name])
