"""Backbones that are networks: media → windows of fixed shape → vectors → slots.

The three steps stand apart so that the first can run in reading processes, the second on a device
in batches over many clips, the third wherever the results are gathered. On a CPU all three run in
the worker that has the clip.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from extract.backbones.base import AudioBlock, Backbone, FaceBlock, Slots
from extract.weights.checking import check_file

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision = Literal["float32", "float16", "bfloat16"]
Preset = Literal["published", "small"]


@dataclass(frozen=True)
class NetworkOptions:
    """What every network can be told; subclasses add their own.

    Attributes:
        precision: of the arithmetic; results are stored as float32. Half precision is meant for a
            GPU: what it changes is stated in docs/backbones/precision.md.
        preset: "small" is the same network with few, narrow layers, for tests and slow machines;
            nobody publishes weights for it.
    """

    precision: Precision = "float32"
    preset: Preset = "published"


@dataclass(frozen=True)
class Windows:
    """What a network is to see of one block.

    Attributes:
        inputs: [n, *window]; all windows of a network that have one shape can share a batch.
        first_slot: slot of the first vector.
        valid: bool [slots], which vectors count.
        facts: whatever else the backbone needs to turn outputs into slots; small.
    """

    inputs: NDArray[Any]
    first_slot: int
    valid: NDArray[np.bool_]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnBlock:
    """A whole clip of the column that the spec `reads`.

    Attributes:
        values: [n, *shape] of that column, one a slot.
        valid: bool [n].
    """

    values: NDArray[np.generic]
    valid: NDArray[np.bool_]


class NetworkBackbone(Backbone):
    """A network with weights; `load` it before use.

    Subclasses set `spec` and `options` and say how windows are cut, what the network is and how
    its outputs become slots. Window inputs are NumPy; no torch is needed to cut them.
    """

    options: NetworkOptions
    #: Windows that one forward pass takes on a CPU; a device's own size is found by trying.
    at_once: ClassVar[int] = 8

    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    _compiled: Callable[[Tensor], Tensor] | None = None

    def check(self, files: Mapping[str, Path]) -> None:
        """Refuse missing modules, and model files whose tensors are not the network's."""
        super().check(files)
        for name, path in files.items():
            check_file(path, name)

    def load(self, files: Mapping[str, Path], device: str = "cpu") -> None:
        """Build the network from the model files, strictly, and move it to the device."""
        from safetensors.torch import load_file

        states = {name: load_file(path) for name, path in files.items()}
        self.device = device
        self.network = self.build_network(states).eval().requires_grad_(False).to(device)

    def compile(self) -> None:
        """Have `torch.compile` make the answers of a loaded network, for batches of any length."""
        import torch

        compiled = torch.compile(self.forward)

        def answer(inputs: Tensor) -> Tensor:
            torch._dynamo.maybe_mark_dynamic(inputs, 0)
            return compiled(inputs)

        self._compiled = answer

    @abstractmethod
    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        """The network with its weights; raises where names or shapes differ.

        Args:
            states: weights name → tensors, one for each of `spec.weights`.
        """

    @abstractmethod
    def windows(self, block: Any) -> Windows:
        """The windows of an `AudioBlock`, a `FaceBlock` or a `ColumnBlock`.

        Raises:
            AbsentError: there is none.
        """

    @abstractmethod
    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        """The slots of a block.

        Args:
            windows: as `windows` gave them; their inputs may have been let go (length 0).
            outputs: float32 [n, ...], the network's answer to each window.
        """

    def forward(self, inputs: Tensor) -> Tensor:
        """The network's answer to windows [n, *window] that lie on its device."""
        answer: Tensor = self.network(inputs)
        return answer

    def run(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers to windows, `[n, *window]` → float32 [n, ...], in the precision asked for."""
        import torch

        tensor = torch.from_numpy(_writable(inputs)).to(self.device)
        return np.asarray(self.answer(tensor).cpu().numpy())

    def answer(self, inputs: Tensor) -> Tensor:
        """The same for windows that lie on the device already, and without waiting for it."""
        import torch

        half = self.options.precision != "float32"
        dtype = getattr(torch, self.options.precision) if half else torch.bfloat16
        kind = self.device.partition(":")[0]
        with torch.inference_mode(), torch.autocast(kind, dtype=dtype, enabled=half):
            return (self._compiled or self.forward)(inputs).float()

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        return self._through(self.windows(block))

    def faces(self, block: FaceBlock) -> Slots:
        self.check_faces(block)
        return self._through(self.windows(block))

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Slots:
        self.check_column(values, valid)
        return self._through(self.windows(ColumnBlock(values, valid)))

    def _through(self, windows: Windows) -> Slots:
        inputs = windows.inputs
        parts = [
            self.run(inputs[i : i + self.at_once]) for i in range(0, len(inputs), self.at_once)
        ]
        return self.slots(windows, np.concatenate(parts))


def _writable(inputs: NDArray[Any]) -> NDArray[Any]:
    """PyTorch warns of arrays that it might write to; ours are read-only views."""
    return inputs if inputs.flags.writeable else inputs.copy()
