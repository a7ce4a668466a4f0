"""Where a network's first weights come from: a weight file, or a finished run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.cards import card_in
from avfd.errors import InputError, MissingError
from avfd.home import Home

if TYPE_CHECKING:
    from torch import Tensor

#: Estimator → setting that names weights to begin with → what its file may be called in a folder.
STARTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "avt2dwf": {"video_weights": ("avt2dwf",), "audio_weights": ("avt2dwf",)},
    "cnn3d": {"start": ("emo-cnn3d", "cnn3d")},
    "finegrained": {"weights": ("finegrained",)},
    "syncstream": {
        "kinetics": ("r2plus1d_18-91a641e6", "r2plus1d_18"),
        "streams": ("syncstream",),
    },
}

TAUGHT_FILE = "trained_on.json"
"""Beside a fold's weights: the clips that trained them, as `training_keys`, `training_media`."""

_FOLD = re.compile(r"fold-(\d+)")


@dataclass(frozen=True)
class Start:
    """Weights to begin with.

    Attributes:
        path: the file.
        tensors: by name.
        training_keys: of the clips that they were trained on, as far as a run says so.
        training_media: their media, as far as a run knows them.
    """

    path: Path
    tensors: dict[str, Tensor]
    training_keys: tuple[str, ...]
    training_media: tuple[str, ...] = ()

    @property
    def card(self) -> dict[str, Any]:
        """What the model's card says of it."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return {
            "file": str(self.path),
            "sha256": digest,
            "training_keys": list(self.training_keys),
            "training_media": list(self.training_media),
        }


def read_start(asked: str, names: Sequence[str]) -> Start:
    """Weights from a file, a folder, or a run by its name or folder.

    Args:
        asked: what the settings say.
        names: what the file may be called in a folder, without suffix; the first found counts.

    Raises:
        MissingError: nothing of that name, or no such file in the folder.
        InputError: several files, as a run in folds has.
    """
    from classify.nets.checkpoint import read_tensors

    path = found(asked, names)
    card = card_beside(path)
    clips = (tuple(card.get(name, ())) for name in ("training_keys", "training_media"))
    return Start(path, read_tensors(path), *clips)


def found(asked: str, names: Sequence[str]) -> Path:
    """The one weight file that is meant; a run's name is looked for in the default home."""
    folder, files = _files(asked, names, Home.at().runs_dir)
    if len(files) > 1:
        raise _several(folder, files)
    return files[0]


def found_by_fold(asked: str, names: Sequence[str], runs_dir: Path, folds: int) -> list[Path]:
    """The weight file that each fold of a fit begins with.

    Fold k takes what fold k of the run has; where there is one file, every fold takes it.

    Args:
        asked, names: as of `read_start`.
        runs_dir: where runs are looked for by name.
        folds: of the fit.

    Raises:
        MissingError: as of `read_start`.
        InputError: several files that are not one a fold, or of another number of folds.
    """
    folder, files = _files(asked, names, runs_dir)
    if len(files) == 1:
        return files * folds
    by_fold = {fold_of(file): file for file in files}
    if None in by_fold or len(by_fold) < len(files):
        raise _several(folder, files)
    if set(by_fold) != set(range(folds)):
        raise InputError(
            "the weights to begin with were trained in other folds",
            where=folder,
            found=f"{len(files)} folds there, {folds if folds > 1 else 'none'} here",
            accepted="the same folds, of which each begins with the weights of its own",
            next_step="fit with the folds of that run, or name the file of one of them",
        )
    return [by_fold[fold] for fold in range(folds)]


def fold_of(path: Path) -> int | None:
    """Number of the fold whose folder of a run the file lies in.

    >>> fold_of(Path("runs/a-001/model/fold-2/video/cnn3d.safetensors"))
    2
    """
    numbers = [m[1] for part in path.parent.parts if (m := _FOLD.fullmatch(part))]
    return int(numbers[-1]) if numbers else None


def _files(asked: str, names: Sequence[str], runs_dir: Path) -> tuple[Path, list[Path]]:
    """The folder that is meant and its files of the first name that it has, at least one."""
    path = _place(asked, runs_dir)
    if path.is_file():
        return path.parent, [path]
    for name in names:
        if files := sorted(path.rglob(f"{name}.safetensors")):
            return path, files
    raise MissingError(
        "no weights of this network in the run",
        where=path,
        accepted=", ".join(f"{name}.safetensors" for name in names),
    )


def _place(asked: str, runs_dir: Path) -> Path:
    """The file or folder that is meant; a finished run of that name goes before a path."""
    run, path = runs_dir / asked, Path(asked).expanduser()
    if (run / "run.json").is_file():
        return run
    if not path.exists() and not run.is_dir():
        raise MissingError(
            "no such weights or run",
            where=asked,
            accepted=f"a weight file, a run's folder, or the name of a run in {runs_dir}",
        )
    return path if path.exists() else run


def _several(folder: Path, files: Sequence[Path]) -> InputError:
    return InputError(
        "several weight files",
        where=folder,
        found=", ".join(str(file.relative_to(folder)) for file in files),
        next_step="name one of the files",
    )


def card_beside(path: Path) -> dict[str, Any]:
    """What names the clips that trained a weight file, the nearest first; or {}.

    Its own card, beside it or in it, then its fold's `trained_on.json`, then its run's `run.json`.
    """
    if not path.with_suffix(".json").is_file() and (own := card_in(path)).get("training_keys"):
        return own
    above = [f / name for f in path.parents[:4] for name in (TAUGHT_FILE, "run.json")]
    for card in (path.with_suffix(".json"), *above):
        if card.is_file() and (facts := json.loads(card.read_text())).get("training_keys"):
            return dict(facts)
    return {}
