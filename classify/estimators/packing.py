"""All examples of a side kept together, so that a batch is one gather a name.

Making an example costs more than the network does on a GPU; here each is made once a fit, and on a
GPU the tensors lie on the device where they fit. Elsewhere, arrays that are mere stretches of a
held column stay there: they are not copied a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from classify.estimators.network import Batch, Example

HOST_BYTES = 2 << 30
"""The most that a side may take in memory."""
DEVICE_SHARE = 0.3
"""Of a GPU's free memory, for one side."""
RAGGED = 2.0
"""Examples of unequal lengths are packed if padding makes them no larger than this many times."""

Arrays = Sequence[NDArray[Any]]


class Packed:
    """Finished examples; `batch` gives what collating them would.

    Args:
        parts: name → that array of every example.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = parts

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
        parts: dict[str, Part] = {}
        for name in list(examples[0]):
            arrays = [example.pop(name) for example in examples]  # they are let go on the way
            left = None if device.type == "cuda" else Stretches.of(arrays)
            parts[name] = left or Stacked.of(arrays)
        return cls(parts)._on(device)

    def batch(self, places: list[int]) -> Batch:
        """These examples, padded to the longest of them."""
        return {name: part.batch(places) for name, part in self._parts.items()}

    def _on(self, device: torch.device) -> Packed:
        """The same on a GPU, where it fits there."""
        stacked = {k: part for k, part in self._parts.items() if isinstance(part, Stacked)}
        if device.type != "cuda" or sum(part.nbytes for part in stacked.values()) > _room(device):
            return self
        return Packed({**self._parts, **{k: part.to(device) for k, part in stacked.items()}})


class Part(Protocol):
    """One array of every example."""

    def batch(self, places: list[int]) -> Tensor:
        """[places, longest of them, …], zeros after an example's end."""


class Stacked:
    """Copies of the arrays in one tensor.

    Args:
        values: [examples, longest, …], zeros after an example's end.
        lengths: of each example along its first axis, [examples].
    """

    def __init__(self, values: Tensor, lengths: NDArray[np.intp]) -> None:
        self._values, self._lengths = values, lengths
        self.nbytes = values.numel() * values.element_size()

    @classmethod
    def of(cls, arrays: Arrays) -> Stacked:
        """Copies of these."""
        lengths = np.array([len(array) for array in arrays])
        first = arrays[0]
        values = np.zeros((len(arrays), lengths.max(), *first.shape[1:]), dtype=first.dtype)
        for row, array in zip(values, arrays, strict=True):
            row[: len(array)] = array
        return cls(torch.from_numpy(values), lengths)

    def batch(self, places: list[int]) -> Tensor:
        index = torch.tensor(places, device=self._values.device)
        return self._values[index][:, : int(self._lengths[places].max())]

    def to(self, device: torch.device) -> Stacked:
        """The same on a device."""
        return Stacked(self._values.to(device), self._lengths)


class Stretches:
    """Arrays that are stretches of one array, which is left where it is.

    Args:
        rows: the array, [rows, …].
        starts, lengths: first row and number of rows of each example, [examples].
    """

    def __init__(
        self, rows: NDArray[Any], starts: NDArray[np.intp], lengths: NDArray[np.intp]
    ) -> None:
        self._rows, self._starts, self._lengths = rows, starts, lengths

    @classmethod
    def of(cls, arrays: Arrays) -> Stretches | None:
        """None where the arrays are not whole rows, one after the other, of the same array."""
        first = arrays[0]
        whole = first.base
        if not isinstance(whole, np.ndarray) or not whole.flags.c_contiguous or not first.size:
            return None
        for array in arrays:
            known = array.base is whole and array.dtype == whole.dtype
            if not known or not array.flags.c_contiguous:
                return None
        row_bytes = first[0].nbytes
        offsets = np.array([_address(array) for array in arrays]) - _address(whole)
        if whole.nbytes % row_bytes or (offsets % row_bytes).any():
            return None
        rows = np.asarray(whole).reshape(-1, *first.shape[1:])
        return cls(rows, offsets // row_bytes, np.array([len(array) for array in arrays]))

    def batch(self, places: list[int]) -> Tensor:
        lengths = self._lengths[places, np.newaxis]
        steps = np.arange(lengths.max())
        there = steps < lengths
        at = np.where(there, self._starts[places, np.newaxis] + steps, 0)
        values = self._rows.take(at, axis=0)
        values[~there] = 0
        return torch.from_numpy(values)


def _address(array: NDArray[Any]) -> int:
    """Where the array's first number lies in memory, in bytes."""
    address: int = array.__array_interface__["data"][0]
    return address


def _room(device: torch.device) -> float:
    """Bytes that a side may take on a GPU."""
    free, _ = torch.cuda.mem_get_info(device)
    return DEVICE_SHARE * free


def _padded_bytes(examples: list[Example]) -> int:
    """What the examples take once all are as long as the longest."""
    longest = {k: max(examples, key=lambda e: len(e[k]))[k].nbytes for k in examples[0]}
    return len(examples) * sum(longest.values())
