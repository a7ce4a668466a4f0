"""From checked tensors to a network that holds them, without drawing random weights first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from extract.weights.tensors import check_tensors

Network = TypeVar("Network", bound=nn.Module)
Shapes = dict[str, tuple[int, ...]]


def shapes_of(make: Callable[[], nn.Module]) -> Shapes:
    """Name → shape of every tensor of a network; none of it is allocated."""
    with torch.device("meta"):
        network = make()
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def loaded(make: Callable[[], Network], tensors: Mapping[str, Tensor], name: str) -> Network:
    """The network with these tensors, in float32.

    Args:
        make: builds it; what it draws at random is never drawn.
        tensors: every tensor of the network and no other.
        name: of the weights, for the error.

    Raises:
        InputError: tensors are missing, extra, of another shape or impossible numbers.
    """
    with torch.device("meta"):
        network = make()
    shapes = {n: tuple(tensor.shape) for n, tensor in network.state_dict().items()}
    check_tensors(tensors, shapes, Path(f"{name}.safetensors"), name)
    own = {n: as_float32(tensor) for n, tensor in tensors.items()}
    network.load_state_dict(own, strict=True, assign=True)
    return network


def as_float32(tensor: Tensor) -> Tensor:
    """Half-precision numbers as float32; whole numbers stay what they are."""
    return tensor.float() if tensor.is_floating_point() else tensor
