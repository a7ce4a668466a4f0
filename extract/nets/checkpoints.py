"""Checkpoints of networks whose key names are the published ones, behind a wrapper and a prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from extract.nets.loading import Shapes, shapes_of


@dataclass(frozen=True)
class StateDict:
    """A module's state dict, as `torch.save` wrote it.

    Attributes:
        build: makes the network; its tensors are what a file must hold.
        wrapper: the key of the top level under which the state dict lies, where there is one.
        prefix: taken off the front of every name that has it.
        dropped: fronts of names that do not belong to the network and are left out.
    """

    build: Callable[[], nn.Module]
    wrapper: str | None = None
    prefix: str = ""
    dropped: tuple[str, ...] = ()

    def expected(self) -> Shapes:
        """Name → shape of every tensor that the network has."""
        return shapes_of(self.build)

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Tensor]:
        """The network's tensors; what is neither its own nor known to be dropped stays."""
        inner = raw.get(self.wrapper) if self.wrapper else None
        inner = inner if isinstance(inner, Mapping) else raw
        named = {name.removeprefix(self.prefix): value for name, value in inner.items()}
        return {n: value for n, value in named.items() if not n.startswith(self.dropped)}
