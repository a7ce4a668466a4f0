"""`avfd weights add`: a published checkpoint → one checked safetensors file in the home."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError
from avfd.home import Home
from extract.weights.checking import check_formulas, check_tensors, wanted
from extract.weights.facts import Origin, Weights, WeightsFile, facts
from extract.weights.finding import card_path, described, file_sha256, read_card
from extract.weights.reading import read

if TYPE_CHECKING:
    from torch import Tensor

TRAINED_HERE: Origin = "trained here"


def add(path: Path, name: str, home: Home) -> WeightsFile:
    """Take a checkpoint in: read it harmlessly, check every tensor, convert it to safetensors.

    A file of a run keeps its card: the clips that trained it, its data and its settings.

    Args:
        path: the file as its maker published it, one that was converted already, or one that
            `avfd fit` wrote.
        name: in `TABLE`.

    Raises:
        InputError: the file holds code, is damaged, or has tensors that are missing, extra or of
            another shape; all are named. Or a card lies beside it that is another file's.
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
    if (trained := _trained_card(path, digest, name)) is not None:
        _add_trained(path, target, trained, name)
        return described(target, weights)
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
    check_formulas(tensors, checkpoint)
    return {name: tensors[name] for name in expected}


def _trained_card(path: Path, digest: str, name: str) -> dict[str, Any] | None:
    """The card beside a file that a run of `avfd fit` wrote; None: nothing says that one did.

    Raises:
        InputError: the card is of another file, or of another network.
    """
    if path.suffix != ".safetensors":
        return None
    card = read_card(path)
    if card.get("origin") != TRAINED_HERE:
        return None
    if card.get("file", {}).get("sha256") != digest:
        raise InputError(
            "the card beside the file is of another file",
            where=card_path(path),
            found=f"sha256 {digest}",
            accepted=f"sha256 {card.get('file', {}).get('sha256')}",
            next_step="name the run with --weights, or take both as `avfd fit` wrote them",
        )
    if card.get("name") not in (name, name.removesuffix("-small")):
        raise InputError(
            "the file was trained as another network",
            where=path,
            found=card.get("name"),
            accepted=name,
            next_step=f"run `avfd weights add {path} --as {card.get('name')}`",
        )
    return card


def _add_trained(path: Path, target: Path, card: Mapping[str, Any], name: str) -> None:
    """Copy a trained file, byte by byte, and what its card says of clips, data and settings.

    Its sizes are the run's: they are checked on loading.
    """
    tensors = read(path)
    check_tensors(tensors, {n: tuple(t.shape) for n, t in tensors.items()}, path, name)
    added = {"added_from": {"file_name": path.name, "sha256": card["file"]["sha256"]}}
    _write_both(target, path.read_bytes(), {**card, "name": name, **added})


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
    facts_of = {"name": weights.name, "licence": weights.licence, "source": weights.source}
    _write_both(target, data, {**facts_of, "origin": origin, **card})


def _write_both(target: Path, data: bytes, card: Mapping[str, Any]) -> None:
    """Write a model file and its card, the card first: no trained file is there without it."""
    partial = _partial(target, data)
    stat = partial.stat()
    file = {
        "sha256": file_sha256(partial),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
    }
    text = json.dumps({**card, "file": file}, indent=2, ensure_ascii=False)
    write_whole(card_path(target), text.encode())
    partial.replace(target)


def write_whole(target: Path, data: bytes) -> None:
    """The whole file or none of it."""
    _partial(target, data).replace(target)


def _partial(target: Path, data: bytes) -> Path:
    """The file under a name of its own beside the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    return partial
