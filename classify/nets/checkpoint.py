"""Published weight files → the tensors of a network here, by rules on their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from avfd.errors import InputError, MissingError

Rules = Iterable[tuple[str, str]]
"""Pattern of the start of a published name → what it is called here."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a PyTorch checkpoint; no code of it is run.

    A leading `module.` of the names is left out.

    Raises:
        MissingError: no such file.
        InputError: not a file of tensors.
    """
    if not path.is_file():
        raise MissingError("no such weight file", where=path)
    try:
        content = _read(path)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            "not a weight file that can be read safely",
            where=path,
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            accepted="safetensors, or a PyTorch file of tensors only",
        ) from error
    inner: Mapping[str, Any] = content.get("state_dict", content)
    tensors = {k: v for k, v in inner.items() if isinstance(v, Tensor)}
    if not tensors:
        raise InputError("no tensors in the weight file", where=path)
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        plain = file.read(9)[8:9] == b"{"
    if plain:
        from safetensors.torch import load_file

        return dict(load_file(path))
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def renamed(tensors: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The tensors under their names here; those that no rule fits are left out."""
    out: dict[str, Tensor] = {}
    for name, value in tensors.items():
        for pattern, here in rules:
            new, count = re.subn(f"^{pattern}", here, name)
            if count:
                out[new] = value
                break
    return out


def below(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start so, under the rest of their names."""
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def put_into(module: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load tensors into a module; every parameter of it must be there, in its shape.

    Buffers (running statistics of batch norms) that the file lacks stay as they are; what the
    file has beyond is an error too.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    needed = {name for name, _ in module.named_parameters()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    problems = [f"lacks {name} {wanted[name]}" for name in sorted(needed - set(found))]
    problems += [f"has also {name} {found[name]}" for name in sorted(set(found) - set(wanted))]
    problems += [
        f"{name} {shape} instead of {wanted[name]}"
        for name, shape in sorted(found.items())
        if name in wanted and shape != wanted[name]
    ]
    if problems:
        raise InputError(
            "the weight file does not fit the network",
            where=where,
            found="; ".join(problems[:5]) + (f"; {len(problems)} in all" if problems[5:] else ""),
            accepted="weights of this network with these settings",
            next_step="choose the settings that the weights were trained with",
        )
    module.load_state_dict(dict(tensors), strict=False)
