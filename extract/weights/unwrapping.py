"""What training programs put around a state dict: one way off for every reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys of the top level: Lightning and many scripts, fairseq, PyTorch's own tutorial."""
FRONTS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before names; no network here has such a part."""
LIGHTNING = "model."
"""Where a module keeps its network, by habit; taken off where every name has it."""


def unwrapped(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A file's state dict without wrappers and without what stands before every name.

    Args:
        raw: what the file holds at its top level; a bare state dict comes back as it is.
    """
    inner = raw
    while (found := _inside(inner)) is not None:
        inner = found
    named = {_without_fronts(str(name)): value for name, value in inner.items()}
    if named and all(name.startswith(LIGHTNING) for name in named):
        return {name.removeprefix(LIGHTNING): value for name, value in named.items()}
    return named


def _inside(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((raw[name] for name in WRAPPERS if isinstance(raw.get(name), Mapping)), None)


def _without_fronts(name: str) -> str:
    while front := next((front for front in FRONTS if name.startswith(front)), ""):
        name = name.removeprefix(front)
    return name
