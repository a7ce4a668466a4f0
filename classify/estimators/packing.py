"""All examples of a side in one tensor a name, so that a batch is one gather.

Making an example costs more than the network does on a GPU; here each is made once a fit, and on a
GPU the tensors lie on the device where they fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from classify.estimators.network import Batch, Example

HOST_BYTES = 2 << 30
"""The most that a side may take in memory."""
DEVICE_SHARE = 0.3
"""Of a GPU's free memory, for one side."""
RAGGED = 2.0
"""Examples of unequal lengths are packed if padding makes them no larger than this many times."""


class Packed:
    """Finished examples; `batch` gives what collating them would.

    Args:
        tensors: name → [examples, longest, …], zeros after an example's end.
        lengths: name → length of each example along its first axis, [examples].
    """

    def __init__(self, tensors: dict[str, Tensor], lengths: dict[str, Tensor]) -> None:
        self._tensors, self._lengths = tensors, lengths

    @classmethod
    def of(
        cls,
        make: Callable[[int], Example],
        count: int,
        device: torch.device,
        host_bytes: int | None = None,
    ) -> Packed | None:
        """Examples 0 … count - 1; None where they take too much memory."""
        limit = HOST_BYTES if host_bytes is None else host_bytes
        examples: list[Example] = []
        size = 0
        for i in range(count):
            examples.append(make(i))
            size += sum(array.nbytes for array in examples[-1].values())
            if size > limit or (i == 0 and size * count > RAGGED * limit):
                return None
        if not examples or _padded_bytes(examples) > RAGGED * size:
            return None
        lengths = {k: torch.tensor([len(e[k]) for e in examples]) for k in examples[0]}
        tensors = {name: _stacked(examples, name) for name in list(examples[0])}
        return cls(tensors, lengths)._on(device)

    def batch(self, places: list[int]) -> Batch:
        """These examples, padded to the longest of them."""
        index = torch.tensor(places)
        out: Batch = {}
        for name, tensor in self._tensors.items():
            longest = int(self._lengths[name][index].max())
            out[name] = tensor[index.to(tensor.device)][:, :longest]
        return out

    def _on(self, device: torch.device) -> Packed:
        """The same on a GPU, where it fits there."""
        if device.type != "cuda":
            return self
        size = sum(t.numel() * t.element_size() for t in self._tensors.values())
        free, _ = torch.cuda.mem_get_info(device)
        if size > DEVICE_SHARE * free:
            return self
        return Packed({k: t.to(device) for k, t in self._tensors.items()}, self._lengths)


def _padded_bytes(examples: list[Example]) -> int:
    """What the examples take once all are as long as the longest."""
    longest = {k: max(examples, key=lambda e: len(e[k]))[k].nbytes for k in examples[0]}
    return len(examples) * sum(longest.values())


def _stacked(examples: list[Example], name: str) -> Tensor:
    """One name's arrays, padded; they are let go on the way."""
    longest = max(len(e[name]) for e in examples)
    first = examples[0][name]
    out = np.zeros((len(examples), longest, *first.shape[1:]), dtype=first.dtype)
    for row, example in zip(out, examples, strict=True):
        array = example.pop(name)
        row[: len(array)] = array
    return torch.from_numpy(out)
