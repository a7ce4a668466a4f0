"""`avfd weights add`: a published checkpoint → one checked safetensors file in the home."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError
from avfd.home import Home
from extract.weights.checking import SAFETENSORS, tensors_of
from extract.weights.facts import Origin, Weights, WeightsFile, facts
from extract.weights.finding import card_path, described, file_sha256, read_card
from extract.weights.reading import read
from extract.weights.tensors import check_tensors

if TYPE_CHECKING:
    from torch import Tensor

TRAINED_HERE: Origin = "trained here"
SHOWN_FILES = 8
"""Names of a folder's files that its refusal tells."""


def add(path: Path, name: str, home: Home) -> WeightsFile:
    """Take a checkpoint in: read it harmlessly, check every tensor, convert it to safetensors.

    A file of a run keeps its card: the clips that trained it, its data and its settings. A file
    of that name in the home is replaced, unless it was trained here.

    Args:
        path: the file as its maker published it, one that was converted already, or one that
            `avfd fit` wrote.
        name: in `TABLE`.

    Returns:
        The file in the home; its `replaced_sha256` is that of the file that was there before.

    Raises:
        InputError: the file holds code, is damaged, or has tensors that are missing, extra, of
            another shape or of impossible numbers; the error's details name all. Or a card lies
            beside it that is another file's, or the home has another file that was trained here.
        MissingError: what the network is built with is not installed.
    """
    weights = facts(name)
    _check_named(path, weights)
    target = home.weights_dir / weights.file_name
    before = file_sha256(target) if target.is_file() else None
    added = _added(path, target, weights)
    return replace(added, replaced_sha256=None if before == added.sha256 else before)


def _check_named(path: Path, weights: Weights) -> None:
    """Refuse what is no file."""
    if path.is_dir():
        files = sorted(each.name for each in path.iterdir() if each.is_file())
        raise InputError(
            "this is a folder",
            where=path,
            found=f"files {', '.join(files[:SHOWN_FILES])}" if files else "no file in it",
            accepted=f"the one file that holds {weights.name}",
            next_step="name the file in it",
        )
    if not path.is_file():
        raise InputError("there is no such file", where=path, next_step="name the file to add")


def _added(path: Path, target: Path, weights: Weights) -> WeightsFile:
    """The file in the home, by the road that its kind takes."""
    digest = file_sha256(path)
    if weights.checkpoint is None:
        found = described(path, weights)
        write_whole(target, path.read_bytes())
        return replace(found, path=target)
    trained = _trained_card(path, digest, weights.name)
    if trained is not None:
        _check_kept(target, weights, digest)
        _add_trained(path, target, trained, weights.name)
        return described(target, weights)
    tensors = tensors_of(path, weights)
    card = {"added_from": {"file_name": path.name, "sha256": digest}}
    _check_kept(target, weights)
    write_model(target, tensors, weights, weights.origin_of(digest), card)
    return described(target, weights)


def _check_kept(target: Path, weights: Weights, digest: str = "") -> None:
    """Refuse to write over a file that was trained here, which nobody could fetch again.

    Args:
        digest: of the trained file that is to come; the same one may.
    """
    if not target.is_file() or read_card(target).get("origin") != TRAINED_HERE:
        return
    there = file_sha256(target)
    if there != digest:
        raise InputError(
            "the home has a file of that name that was trained here",
            where=target,
            found=f"sha256 {there}",
            accepted="the same file",
            next_step=f"move it and {card_path(target).name} away first, or take another --home",
        )


def _trained_card(path: Path, digest: str, name: str) -> dict[str, Any] | None:
    """The card beside a file that a run of `avfd fit` wrote; None: nothing says that one did.

    Raises:
        InputError: the card is of another file, or of another network.
    """
    if path.suffix != SAFETENSORS:
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
