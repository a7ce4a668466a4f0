"""Checkpoints of networks whose key names are the published ones, behind wrappers and a prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from extract.nets.loading import Shapes, shapes_of
from extract.weights.unwrapping import unwrapped


@dataclass(frozen=True)
class StateDict:
    """A module's state dict, as `torch.save` wrote it.

    Attributes:
        build: makes the network; its tensors are what a file must hold.
        prefix: taken off the front of every name that has it, beside what `unwrapped` takes off.
        dropped: fronts of names that do not belong to the network and are left out.
        formulas: name → what refuses a tensor that is not the formula's.
    """

    build: Callable[[], nn.Module]
    prefix: str = ""
    dropped: tuple[str, ...] = ()
    formulas: Mapping[str, Callable[[Tensor], None]] = field(default_factory=dict)

    def expected(self) -> Shapes:
        """Name → shape of every tensor that the network has."""
        return shapes_of(self.build)

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Tensor]:
        """The network's tensors; what is neither its own nor known to be dropped stays."""
        named = {name.removeprefix(self.prefix): value for name, value in unwrapped(raw).items()}
        return {n: value for n, value in named.items() if not n.startswith(self.dropped)}
