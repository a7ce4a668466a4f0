"""Published EAT checkpoints: what they must hold, and how they become `EatNetwork`'s tensors.

Two kinds are about: fairseq files (Google Drive), which carry trainer, teacher and decoder beside
the network, and the safetensors of the authors' Hugging Face pages. FACTS.md, sections 1.3 to 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avfd.errors import InputError
from extract.nets.eat import EatNetwork, position_table
from extract.nets.eat_settings import BANDS, BASE, LARGE, MAX_STEPS, SMALL, EatSettings
from extract.nets.loading import as_float32, shapes_of
from extract.weights.unwrapping import unwrapped

POSITIONS = "fixed_positional_encoder.positions"
HEAD = ("fc_norm.", "head.")
AUDIOSET_CLASSES = 527
_MODALITY = "modality_encoders.IMAGE."
_RENAMED = {"context_encoder.norm.": "pre_norm."}  # fairseq's name → Hugging Face's
_DROPPED = ("_ema", "decoder.")  # the teacher and the decoder of pretraining
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class EatFile:
    """A checkpoint of one size.

    Attributes:
        settings: of the network.
        classes: of the head that finetuning added; 0: pretrained only, there is none. The head is
            asked for so that the two kinds of file are not mixed up; features need it not.
    """

    settings: EatSettings
    classes: int = 0

    def expected(self) -> dict[str, tuple[int, ...]]:
        """Name → shape; 150 tensors for the base, with the whole table of places."""
        shapes = shapes_of(partial(EatNetwork, self.settings))
        if self.classes:
            dim = self.settings.dim
            shapes |= {"fc_norm.weight": (dim,), "fc_norm.bias": (dim,)}
            shapes |= {"head.weight": (self.classes, dim), "head.bias": (self.classes,)}
        return shapes

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Tensor]:
        """Wrappers, prefixes, teacher and decoder off, float32, the table of places completed."""
        named = {_renamed(name): value for name, value in unwrapped(raw).items()}
        kept = {name: value for name, value in named.items() if not name.startswith(_DROPPED)}
        tensors = {n: as_float32(v) if isinstance(v, Tensor) else v for n, v in kept.items()}
        if isinstance(tensors.get(POSITIONS), Tensor):
            tensors[POSITIONS] = completed(tensors[POSITIONS], self.settings.dim)
        return tensors

    @property
    def formulas(self) -> Mapping[str, Callable[[Tensor], None]]:
        """The table of places, see `check_table`."""
        return {POSITIONS: partial(check_table, dim=self.settings.dim)}


def encoder_only(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without a finetuned file's head."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(HEAD)}


def completed(table: Tensor, dim: int) -> Tensor:
    """The table of places with the rows that it lacks up to 6,144; stored rows stay as they are.

    Early files stop at 512 rows (10.24 s).

    Args:
        table: [1, rows, dim]; another shape comes back unchanged, to be reported with the rest.
        dim: of the network.
    """
    rows = table.shape[1] if table.ndim == 3 else 0
    if not rows or rows % BANDS or rows > MAX_STEPS * BANDS or table.shape != (1, rows, dim):
        return table
    return torch.cat([table[0], torch.from_numpy(position_table(dim)[rows:])])[None]


def check_table(table: Tensor, dim: int) -> None:
    """Refuse a table of places that is not what EAT's formula gives.

    Args:
        table: [1, rows, dim]; fairseq keeps it in half precision after training in it, and rows
            that are rounded so are known by their numbers.
        dim: of the network.
    """
    rows = table.shape[1]
    steps = np.arange(rows) // BANDS
    # float32 angles, and so the sines of late steps, depend on the rounding of the machine.
    found = table[0].float()
    halved = (found == found.half()).all(dim=1).numpy()
    accepted = _TOLERANCE * (1 + steps / 64) + np.where(halved, 2.0**-11, 0.0)
    off = np.abs(found.numpy() - position_table(dim)[:rows]).max(axis=1)
    if not (off <= accepted).all():
        row = int(np.argmax(np.where(off <= accepted, 0.0, off)))
        raise InputError(
            "the table of places is not EAT's",
            where=POSITIONS,
            found=f"row {row} is off by {off[row]:.3g}",
            accepted="sines and cosines of time step and mel patch",
            next_step="fetch the file again, or check that it is an EAT checkpoint",
        )


def _renamed(name: str) -> str:
    name = name.removeprefix("model.").removeprefix(_MODALITY)
    for old, new in _RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


PRETRAINED_BASE = EatFile(BASE)
PRETRAINED_LARGE = EatFile(LARGE)
FINETUNED_BASE = EatFile(BASE, AUDIOSET_CLASSES)
FINETUNED_LARGE = EatFile(LARGE, AUDIOSET_CLASSES)
PRETRAINED_SMALL = EatFile(SMALL)
FINETUNED_SMALL = EatFile(SMALL, AUDIOSET_CLASSES)
