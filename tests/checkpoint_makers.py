"""Makers of checkpoint files as their publishers write them, with random numbers in them.

`conftest.py` hands the module out as the fixture `checkpoint_makers`.
"""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from extract.nets.eat import position_table
from extract.nets.marlin import sinusoids

Tensors = dict[str, Tensor]


def _eat_places(rows: int, dim: int) -> Tensor:
    return torch.from_numpy(position_table(dim)[:rows])


TABLES = {
    "fixed_positional_encoder.positions": _eat_places,
    "encoder.pos_embedding.emb": sinusoids,
}
"""What is no trained number: the tables of places of EAT and MARLIN, [rows, dim]."""


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Tensors:
    """Numbers with which a deep network neither dies out nor runs away, one tensor a shape.

    What a formula gives is that.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(1)
        if name in TABLES:
            return TABLES[name](*shape[1:])[None]
        noise = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            return 1 + 0.1 * noise.abs()
        if len(shape) < 2:
            return 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        return noise / math.sqrt(max(1, math.prod(shape[1:])))

    return {name: drawn(name, shape) for name, shape in shapes.items()}


def fairseq(path: Path, model: Mapping[str, Any]) -> Path:
    """The model's tensors among all that fairseq's trainer writes beside them."""
    settings = {"model": {"embed_dim": 8, "layers": [1, 2]}, "task": None, "lr": [5e-4], "on": True}
    moments = {0: {"step": 3, "exp_avg": torch.zeros(2)}}
    beside = {
        "args": argparse.Namespace(arch="d2v", lr=[1e-3]),
        "cfg": OmegaConf.create(settings),
        "criterion": None,
        "optimizer_history": [{"optimizer_name": "FP16Optimizer", "num_updates": 3}],
        "task_state": {},
        "extra_state": {"epoch": 30, "metrics": OrderedDict(loss=0.5)},
        "last_optimizer_state": {"state": moments, "param_groups": [{"lr": 1e-3}]},
    }
    torch.save({**beside, "model": OrderedDict(model)}, path)
    return path


def eat_fairseq_names(tensors: Mapping[str, Tensor]) -> Tensors:
    """Our names of EAT's tensors → fairseq's."""
    front = "modality_encoders.IMAGE."
    alike = ("blocks.", "fc_norm.", "head.")

    def named(name: str) -> str:
        if name.startswith(alike):
            return name
        return front + name.replace("pre_norm.", "context_encoder.norm.")

    return {named(name): tensor for name, tensor in tensors.items()}


def eat_pretrained(path: Path, tensors: Mapping[str, Tensor], rows: int = 6_144) -> Path:
    """A pretraining file: teacher and decoder are there, the table of places has `rows` rows."""
    model: dict[str, Any] = eat_fairseq_names(tensors)
    table = "modality_encoders.IMAGE.fixed_positional_encoder.positions"
    model[table] = model[table][:, :rows].clone()
    model["_ema"] = OrderedDict((name, tensor.float() + 1) for name, tensor in model.items())
    for i in range(6):
        model[f"modality_encoders.IMAGE.decoder.blocks.{i}.0.weight"] = torch.zeros(4, 1, 3, 3)
        model[f"modality_encoders.IMAGE.decoder.blocks.{i}.0.bias"] = torch.zeros(4)
    model["modality_encoders.IMAGE.decoder.proj.weight"] = torch.zeros(4, 4)
    return fairseq(path, model)


def eat_finetuned(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """A finetuned fairseq file: the encoder inside another `model.`, no teacher, a head."""
    model = {f"model.{name}": tensor for name, tensor in eat_fairseq_names(tensors).items()}
    return fairseq(path, model)


def eat_hub(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """The safetensors of the authors' Hugging Face pages."""
    save_file({f"model.{name}": tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def emotion2vec_base(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """`emotion2vec_base.pt`: no prefix; decoder, teacher and other leftovers of pretraining."""
    decoder = "modality_encoders.AUDIO.decoder."
    left = {
        "_ema": OrderedDict(tensors),
        f"{decoder}blocks.0.0.weight": torch.zeros(4, 1, 7),
        f"{decoder}blocks.0.0.bias": torch.zeros(4),
        f"{decoder}proj.weight": torch.zeros(4, 4),
    }
    return fairseq(path, {**tensors, **left})


def emotion2vec_plus(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """The plus models' `model.pt`: `d2v_model.` before all names but those of the head."""
    model = {
        name if name.startswith("proj.") else f"d2v_model.{name}": tensor
        for name, tensor in tensors.items()
    }
    return fairseq(path, model)
