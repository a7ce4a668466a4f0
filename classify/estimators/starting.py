"""Where a network's first weights come from: a weight file, or a finished run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError, MissingError
from avfd.home import Home

if TYPE_CHECKING:
    from torch import Tensor


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
    """The weight file that is meant."""
    path = Path(asked).expanduser()
    if path.is_file():
        return path
    folder = path if path.is_dir() else Home.at().runs_dir / asked
    if not folder.is_dir():
        raise MissingError(
            "no such weights or run",
            where=asked,
            accepted="a weight file, a run's folder, or the name of a run",
        )
    for name in names:
        files = sorted(folder.rglob(f"{name}.safetensors"))
        if len(files) == 1:
            return files[0]
        if files:
            raise InputError(
                "several weight files",
                where=folder,
                found=", ".join(str(f.relative_to(folder)) for f in files),
                next_step="name one of the files",
            )
    raise MissingError(
        "no weights of this network in the run",
        where=folder,
        accepted=", ".join(f"{name}.safetensors" for name in names),
    )


def card_beside(path: Path) -> dict[str, Any]:
    """A weight file's own card or its run's `run.json`, whichever names training clips; or {}."""
    cards = [path.with_suffix(".json"), *(folder / "run.json" for folder in path.parents[:4])]
    for card in cards:
        if card.is_file() and (facts := json.loads(card.read_text())).get("training_keys"):
            return dict(facts)
    return {}
