"""Networks of a few numbers, one a kind of input; some lose it over certain clips.

`$AVFD_TEST_LOG` names a file in which a network on a device notes each batch: its name, how many
windows, how many different clips among them (by the first sample of each window).
"""

import ctypes
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avfd.specs import AudioInput, BackboneSpec, FaceInput
from extract.backbones._network import ColumnBlock, NetworkBackbone, NetworkOptions, Windows
from extract.backbones.base import AudioBlock, FaceBlock, Slots, register
from extract.weights.facts import Weights
from extract.weights.facts import register as register_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

HZ = 16_000
WEIGHTS = "small-network"
FATAL_SAMPLES = 16_000 + 777
MOST = 3
"""Windows at once for which `net-hungry` has memory."""


class Shapes:
    """The tensors of every network here: one matrix and one vector, from 16 numbers to 8."""

    def expected(self) -> Mapping[str, tuple[int, ...]]:
        return {"weight": (8, 16), "bias": (8,)}

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return dict(raw)


register_weights(
    Weights(
        WEIGHTS,
        "small_network.safetensors",
        (),
        1000,
        "none",
        "a test",
        ("net-seconds",),
        checkpoint="small_networks:NETWORK",
    )
)
NETWORK = Shapes()


@dataclass(frozen=True)
class Options(NetworkOptions):
    """As every network's."""


def note(*words: object) -> None:
    if path := os.environ.get("AVFD_TEST_LOG"):
        with Path(path).open("a") as log:
            print(*words, file=log)


class Net(NetworkBackbone):
    """Sixteen band energies of a window → eight numbers."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def build_network(self, states: Mapping[str, Mapping[str, "Tensor"]]) -> "nn.Module":
        from torch import nn

        network = nn.Linear(16, 8)
        network.load_state_dict(states[WEIGHTS], strict=True)
        return network

    def forward(self, inputs: "Tensor") -> "Tensor":
        flat = inputs.float().reshape(len(inputs), -1)
        note(self.spec.name, os.getpid(), len(flat), len(set(flat[:, 0].tolist())))
        self.suffer(flat)
        usable = flat[:, : flat.shape[1] // 16 * 16].reshape(len(flat), 16, -1)
        return self.network(usable.abs().mean(dim=2)).tanh()

    def suffer(self, flat: "Tensor") -> None:
        """What goes wrong over a batch, [n, samples]."""

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        return Slots(windows.first_slot, outputs, windows.valid)


SECONDS = BackboneSpec(
    "net-seconds",
    1,
    "audio",
    "a vector a second",
    rate_hz=1,
    shape=(8,),
    audio=AudioInput(HZ, block_seconds=4.0, lead_seconds=0.0, tail_seconds=0.0),
    weights=(WEIGHTS,),
)


@register("net-seconds", Options())
class Seconds(Net):
    """A window a second, the last one filled up with silence."""

    spec = SECONDS

    def windows(self, block: AudioBlock) -> Windows:
        first = round(block.core_seconds[0])
        n = -(-len(block.samples) // HZ)
        padded = np.zeros(n * HZ, np.float32)
        padded[: len(block.samples)] = block.samples
        return Windows(padded.reshape(n, HZ), first, np.ones(n, bool))


@register("net-clip", Options())
class Clip(Net):
    """One vector a clip, of the whole clip: windows of many shapes."""

    spec = replace(
        SECONDS, name="net-clip", rate_hz=0, audio=replace(SECONDS.audio, block_seconds=None)
    )

    def windows(self, block: AudioBlock) -> Windows:
        return Windows(block.samples[None], 0, np.ones(1, bool))


@register("net-column", Options())
class Column(Net):
    """One vector a clip, of its loudness: a network that opens no media."""

    spec = replace(SECONDS, name="net-column", rate_hz=0, audio=None, reads="loudness")

    def windows(self, block: ColumnBlock) -> Windows:
        ten = np.asarray(block.values[:10], np.float32).reshape(1, -1)
        return Windows(np.tile(ten, (1, 16)), 0, np.ones(1, bool))


@register("net-faces", Options())
class Faces(Net):
    """A vector a crop."""

    spec = replace(
        SECONDS,
        name="net-faces",
        modality="video",
        rate_hz=5,
        audio=None,
        faces=FaceInput(rate_hz=5, size_px=64),
        weights=("blazeface", WEIGHTS),
    )

    def windows(self, block: FaceBlock) -> Windows:
        return Windows(block.crops, block.first_slot, block.valid)


@register("net-too-large", Options())
class TooLarge(Seconds):
    """There is no memory to load it."""

    spec = replace(SECONDS, name="net-too-large")

    def build_network(self, states: Mapping[str, Mapping[str, "Tensor"]]) -> "nn.Module":
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _bad(name: str, deed: Callable[["Tensor"], object]) -> None:
    class Bad(Seconds):
        spec = replace(SECONDS, name=name)

        def suffer(self, flat: "Tensor") -> None:
            deed(flat)

    register(name, Options())(Bad)


def _over_silence(deed: Callable[[], object]) -> Callable[["Tensor"], None]:
    """The deed where a window is silent to its last sample: the clip that tests make so."""

    def deed_if(flat: "Tensor") -> None:
        if bool((flat == 0).all(dim=1).any()):
            deed()

    return deed_if


def _hungry(flat: "Tensor") -> None:
    import torch

    if len(flat) > MOST:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _raise(error: Exception) -> None:
    raise error


_bad("net-hungry", _hungry)
_bad("net-starved", lambda flat: _raise(RuntimeError("CUDA out of memory.")))
_bad("net-segfault", _over_silence(lambda: ctypes.string_at(0)))
_bad("net-raise", _over_silence(lambda: _raise(ZeroDivisionError("no energy"))))
_bad("net-lost", _over_silence(lambda: _raise(RuntimeError("CUDA error: an illegal access"))))
