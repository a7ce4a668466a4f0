"""`avfd weights add`: a published checkpoint → one checked safetensors file in the home."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError
from avfd.home import Home
from extract.installed import check_installed, needs
from extract.weights.facts import Checkpoint, Origin, Weights, WeightsFile, facts
from extract.weights.finding import card_path, described, file_sha256, read_card
from extract.weights.reading import read

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 8


def add(path: Path, name: str, home: Home) -> WeightsFile:
    """Take a checkpoint in: read it harmlessly, check every tensor, convert it to safetensors.

    Args:
        path: the file as its maker published it, or one that was converted already.
        name: in `TABLE`.

    Raises:
        InputError: the file holds code, is damaged, or has tensors that are missing, extra or of
            another shape; all are named.
        MissingError: what the network is built with is not installed.
    """
    weights = facts(name)
    if not path.is_file():
        raise InputError("there is no such file", where=path, next_step="name the file to add")
    target = home.weights_dir / weights.file_name
    digest = file_sha256(path)
    if weights.checkpoint is None:
        found = described(path, weights)
        write_whole(target, path.read_bytes())
        return WeightsFile(target, found.sha256)
    tensors = tensors_of(path, weights)
    origin = weights.origin_of(digest)
    card = {"added_from": {"file_name": path.name, "sha256": digest}}
    write_model(target, tensors, weights, origin, card)
    return described(target, weights)


def tensors_of(path: Path, weights: Weights) -> dict[str, Tensor]:
    """The network's tensors out of a published file, all there and of the right shapes."""
    checkpoint, expected = wanted(weights)
    raw = read(path)
    tensors = dict(raw) if raw.keys() == expected.keys() else checkpoint.clean(raw)
    check_tensors(tensors, expected, path, weights.name)
    return {name: tensors[name] for name in expected}


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

    Of a network that was trained here the sizes are its run's; they are checked on loading.
    """
    from safetensors import SafetensorError, safe_open

    weights = facts(name)
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            found = {n: Shaped(tuple(file.get_slice(n).get_shape())) for n in names}
    except SafetensorError as error:
        raise InputError(
            "the model file cannot be read",
            where=path,
            found=str(error),
            accepted="a safetensors file as `avfd weights add` or `avfd fit` writes it",
            next_step=f"run `avfd weights add FILE --as {name}` with the published file",
        ) from error
    trained = weights.trained_here or "settings" in read_card(path)
    if weights.checkpoint is not None and not trained:
        check_tensors(found, weights.reader().expected(), path, name)


@dataclass(frozen=True)
class Shaped:
    """A tensor of which only the shape is known."""

    shape: tuple[int, ...]


def check_tensors(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], where: Path, name: str
) -> None:
    """Refuse what is missing, extra or misshapen, saying exactly what."""
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
    raise InputError(
        f"this is no checkpoint of {name}",
        where=where,
        found="; ".join(f"{len(n)} {what}: {_some(n)}" for what, n in faults.items() if n),
        accepted=f"the {len(expected)} tensors of {name}",
        next_step="see `avfd weights ls` for other names, or fetch the file again",
    )


def write_model(
    target: Path,
    tensors: Mapping[str, Tensor],
    weights: Weights,
    origin: Origin,
    card: Mapping[str, Any],
) -> None:
    """Write a model file with its card; the same tensors give the same bytes."""
    from safetensors.torch import save

    data = save({name: tensors[name].contiguous().clone() for name in sorted(tensors)})
    write_whole(target, data)
    stat = target.stat()
    file = {
        "sha256": file_sha256(target),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
    }
    facts_of = {"name": weights.name, "licence": weights.licence, "source": weights.source}
    text = json.dumps({**facts_of, "origin": origin, "file": file, **card}, indent=2)
    write_whole(card_path(target), text.encode())


def write_whole(target: Path, data: bytes) -> None:
    """The whole file or none of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(target)


def _odd(value: Any) -> str:
    """Why a tensor's numbers cannot be a network's; "" where they can."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return ""
    if getattr(value, "is_sparse", False):
        return "is sparse"
    if dtype.is_complex:
        return "is complex"
    if dtype.is_floating_point and not bool(value.isfinite().all()):
        return "holds NaN or infinity"
    return ""


def _shape(value: object) -> list[int] | str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else list(shape)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
