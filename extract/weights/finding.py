"""Where a model file lies, under which digest, and what is known of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avfd.cards import card_in
from avfd.errors import InputError, MissingError
from avfd.home import Home
from extract.weights.facts import Origin, Weights, WeightsFile, facts

_PIECE_BYTES = 1 << 22


def find(name: str, home: Home, path: Path | str | None = None) -> WeightsFile:
    """The model file and its sha256.

    Args:
        name: in `TABLE`.
        home: whose weights folder is searched last, and whose runs can be named.
        path: a file, a folder that holds it, or the name of a run that trained it; looked at
            alone, where given.

    Raises:
        MissingError: it lies in none of the places; they are named.
        InputError: a file of that name is there but is no accepted edition.
    """
    weights = facts(name)
    places = _given(weights, home, path) if path else _places(weights, home)
    for place in places:
        if place.is_file():
            return described(place, weights)
    if path and Path(path).is_file():
        raise InputError(
            "this model file is not converted yet",
            where=path,
            accepted=f"{weights.file_name}, a folder that holds it, or a run",
            next_step=f"run `avfd weights add {path} --as {name}`; it is then found by itself",
        )
    if path and (run := _run_facts(home, path)) is not None:
        raise _not_in_run(weights, run, path)
    raise MissingError(
        "the model file was not found",
        where=name,
        found=f"looked at {', '.join(map(str, places))}",
        next_step=weights.next_step,
    )


def _run_facts(home: Home, path: Path | str) -> Mapping[str, Any] | None:
    """What stands in run.json, where a run was named; None: it is no run."""
    for folder in (Path(path), home.runs_dir / Path(path).name):
        if (facts := folder / "run.json").is_file():
            found: Mapping[str, Any] = json.loads(facts.read_bytes())
            return found
    return None


def _not_in_run(weights: Weights, run: Mapping[str, Any], path: Path | str) -> MissingError:
    """Why a run has no such file."""
    folds = run.get("folds", 1)
    if folds > 1:
        return MissingError(
            "a run of folds has no weights: each fold's network saw other clips",
            where=path,
            found=f"{folds} folds",
            accepted="a run that trained one network",
            next_step="train it again without --folds and name that run with --weights",
        )
    return MissingError(
        "the run has no such weights",
        where=path,
        found="no " + weights.file_name,
        accepted=f"a run that trained {weights.name}",
        next_step=weights.next_step,
    )


def described(path: Path, weights: Weights) -> WeightsFile:
    """The file with its digest and origin.

    Raises:
        InputError: the file is used as it is, and its digest is not an accepted one, where any
            are known.
    """
    if weights.checkpoint is None:
        digest = file_sha256(path)
        if weights.sha256 and digest not in weights.sha256:
            raise InputError(
                "the model file is not one that is known",
                where=path,
                found=f"sha256 {digest}",
                accepted=" or ".join(weights.sha256),
                next_step=f"remove it and run `avfd weights pull {weights.name}`"
                if weights.fetched
                else f"take another file: {weights.source}",
            )
        return WeightsFile(path, digest, weights.origin_of(digest))
    card = read_card(path)
    known = card.get("file", {})
    stat = path.stat()
    same = (known.get("bytes"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
    digest = known["sha256"] if same else file_sha256(path)
    said: Origin | None = card.get("origin") if known.get("sha256") == digest else None
    origin = said or weights.origin_of(digest)
    return WeightsFile(path, digest, origin, card)


def card_path(path: Path) -> Path:
    """The card beside a converted or trained model file."""
    return path.with_suffix(".json")


def read_card(path: Path) -> dict[str, Any]:
    """What stands on the card beside a model file, else on that which it carries; {}: on none.

    A card beside it that is another file's gives way to the one that it carries.
    """
    beside, own = _card_beside(path), card_in(path)
    if not own or (beside and _is_of(beside, path)):
        return beside
    return {**own, "file": {"sha256": file_sha256(path)}}


def _is_of(card: Mapping[str, Any], path: Path) -> bool:
    """Whether a card is this file's."""
    known, stat = card.get("file", {}), path.stat()
    same = (known.get("bytes"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
    return same or known.get("sha256") == file_sha256(path)


def _card_beside(path: Path) -> dict[str, Any]:
    """What stands on the card beside a model file; {} where there is none."""
    card = card_path(path)
    if not card.is_file():
        return {}
    try:
        found = json.loads(card.read_bytes())
    except ValueError as error:
        found = str(error)
    if isinstance(found, dict):
        return found
    raise InputError(
        "not a model card",
        where=card,
        found=found,
        next_step="take the card that was written beside the file, or none",
    )


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _places(weights: Weights, home: Home) -> list[Path]:
    folder = os.environ.get("AVFD_WEIGHTS")
    folders = [Path(folder)] if folder else []
    return [_in_folder(place, weights) for place in (*folders, home.weights_dir)]


def _given(weights: Weights, home: Home, path: Path | str) -> list[Path]:
    """The file or folder that was named, and the run of that name."""
    run = home.runs_dir / Path(path).name / "weights" / weights.file_name
    return [_in_folder(Path(path), weights), _in_folder(Path(path) / "weights", weights), run]


def _in_folder(path: Path, weights: Weights) -> Path:
    """The file itself where a file is named, else the weights' file in that folder."""
    return path if path.suffix == Path(weights.file_name).suffix else path / weights.file_name
