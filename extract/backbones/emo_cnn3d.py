"""emo-cnn3d: EMO_v, the emotion of a face through time, from the thesis' 3D CNNs.

Gino, "Audio-video deepfake detection through emotion recognition" (thesis), 4.4, 4.6.2 and 5.4;
the exact network after Ji et al. 2013. The networks are trained here; what the thesis leaves open
is an option here or a setting of the training (FACTS.md, 13.3 and 13.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError, InputError
from avfd.specs import (
    MAX_MARGIN,
    MAX_RATE_HZ,
    MAX_SIZE_PX,
    BackboneSpec,
    FaceInput,
    Scalar,
)
from extract.backbones._face_facts import DETECTOR, track_facts
from extract.backbones._network import NetworkOptions, Windows
from extract.backbones._ranges import MAX_DIM, check_ranges
from extract.backbones._trained import TrainedBackbone
from extract.backbones.base import Backbone, FaceBlock, Slots, register
from extract.nets.emo_settings import CNN3D, FRAMES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from avfd.nets.emo_cnn3d import EmoCnn3d
    from avfd.nets.frames_cnn3d import FramesCnn3d

NAME = "emo-cnn3d"
STACK = 7  # faces that a vector of the exact network sees
HALF = STACK // 2
VECTORS = 30  # that one window gives
RANGES = {
    "rate_hz": (1, MAX_RATE_HZ),
    "hop_frames": (1, VECTORS),
    "kernel_frames": (1, VECTORS - 1),
    "dim": (1, MAX_DIM),
    "size_px": (1, MAX_SIZE_PX),
    "margin": (0, MAX_MARGIN),
}


@dataclass(frozen=True)
class EmoCnn3dOptions(NetworkOptions):
    """How faces go through the network.

    Attributes:
        network: "exact": 33 hardwired maps of seven faces (4.6.2); "frames": the simpler network
            of two layers on the faces themselves (5.4.1, 5.4.2).
        rate_hz: faces, and vectors, a second.
        activation: of EMO_v, "tanh" or "softmax"; None: as the network was trained (5.4.2 takes
            both from one network).
        pad: of the exact network, what stands for faces before the first and after the last of
            a stretch without a gap. "edge": these two again, so that each face has its vector, as
            (300, 32) in 10 s asks; "none": only whole stacks have one, 294 in 10 s.
        hop_frames: of the exact network, from one stack to the next. 1: a vector a face; 7: the
            reading "every 7 frames", a vector at the middle of each seven, the rest invalid.
        kernel_frames: of the two-layer network, that it was trained with.
        dim: numbers of a vector, of weights trained with other `units`.
        size_px: of the square crop that is squeezed to the maps or frames. None: their longer
            side, so that one side is resized once.
        margin, align, interpolation: of the crops; BlazeFace's box as it is, bicubic (4.6.2).
    """

    network: Literal["exact", "frames"] = "exact"
    rate_hz: int = 30
    activation: Literal["tanh", "softmax"] | None = None
    pad: Literal["edge", "none"] = "edge"
    hop_frames: int = 1
    kernel_frames: int = 3
    dim: int = 32
    size_px: int | None = None
    margin: float = 0.0
    align: Literal["none", "eyes"] = "none"
    interpolation: Literal["bilinear", "bicubic", "area"] = "bicubic"

    def __post_init__(self) -> None:
        check_ranges(NAME, self, RANGES)
        idle = ("kernel_frames",) if self.network == "exact" else ("pad", "hop_frames")
        given = [name for name in idle if getattr(self, name) != type(self).__dict__[name]]
        if given or self.kernel_frames % 2 == 0:
            raise InputError(
                "these options do not fit each other",
                where=NAME,
                found=f"network={self.network}, hop_frames={self.hop_frames}, pad={self.pad}, "
                f"kernel_frames={self.kernel_frames}",
                accepted="pad and hop_frames with network=exact, an odd kernel_frames with "
                "network=frames",
            )

    @property
    def weights(self) -> str:
        """Name of the model file."""
        name = NAME if self.network == "exact" else f"{NAME}-frames"
        return name if self.preset == "published" else f"{name}-small"

    @property
    def longer_px(self) -> int:
        """The longer side of what the network sees."""
        if self.network == "exact":
            return CNN3D[self.preset].long_px
        settings = FRAMES[self.preset]
        return max(settings.rows, settings.columns)


DEFAULT = EmoCnn3dOptions()


@register(NAME, DEFAULT)
def emo_cnn3d(options: EmoCnn3dOptions = DEFAULT) -> Backbone:
    """The backbone of the network that was asked for."""
    return Stacks(options) if options.network == "exact" else Frames(options)


class EmoCnn3dBackbone(TrainedBackbone):
    """What both networks share: crops in, `VECTORS` vectors a window out."""

    at_once = 4
    said: ClassVar[str]

    def __init__(self, options: EmoCnn3dOptions = DEFAULT) -> None:
        self.options: EmoCnn3dOptions = options
        self.spec = BackboneSpec(
            name=NAME,
            revision=1,
            modality="video",
            summary=f"3D CNN on {self.said}: EMO_v, {options.dim} numbers a face",
            rate_hz=options.rate_hz,
            shape=(options.dim,),
            faces=FaceInput(
                options.rate_hz,
                options.longer_px if options.size_px is None else options.size_px,
                options.margin,
                options.align,
                options.interpolation,
            ),
            options={**self.facts(), **track_facts()},
            weights=(DETECTOR, options.weights),
            licence="weights: by the data they are trained on",
            source="thesis (Gino), 4.6.2 and 5.4, after Ji et al. 2013; trained here",
        )

    def facts(self) -> dict[str, Scalar]:
        """What decides the numbers, beside the crops."""
        options = self.options
        return {
            "network": options.network,
            "activation": options.activation or "as trained",
            "precision": options.precision,
            "preset": options.preset,
        }

    def told(self, settings: Any) -> Any:
        """A network's settings, from the card and the options, checked against each other."""
        name, options = self.options.weights, self.options
        settings = self.trained(name, replace(settings, units=options.dim))
        self.check_told(name, "dim", settings.dim, options.dim)
        if options.activation:
            settings = replace(settings, activation=options.activation)
        return settings

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        valid, places = windows.valid, windows.facts["places"]
        values = np.zeros((len(valid), *self.spec.shape), dtype=np.float32)
        values[places[places >= 0]] = outputs[places >= 0]
        return Slots(windows.first_slot, values, valid)


class Stacks(EmoCnn3dBackbone):
    """The exact network: a vector for each face, of the seven around it.

    No stack reaches over a lost face: stretches without one stand each for themselves.
    """

    at_once = 1  # thirty vectors already; more take memory and, on a CPU, no less time
    crops_around = (HALF, HALF)
    said = "33 hardwired maps of 7 faces"
    network: EmoCnn3d

    def facts(self) -> dict[str, Scalar]:
        own = {"frames": STACK, "pad": self.options.pad, "hop_frames": self.options.hop_frames}
        return super().facts() | own

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from avfd.nets.emo_cnn3d import EmoCnn3d
        from extract.nets.loading import loaded

        settings = self.told(CNN3D[self.options.preset])
        name = self.options.weights
        return loaded(partial(EmoCnn3d, settings), states[name], name)

    def windows(self, block: FaceBlock) -> Windows:
        """Consecutive faces, uint8 [n, frames, size, size, 3]; those of one window overlap."""
        hop = self.options.hop_frames
        vectors = max(1, VECTORS // hop)
        offsets = np.arange((vectors - 1) * hop + STACK) - HALF
        core = len(block.valid) - block.tail
        frames, places = [], []
        for low, high in stretches(block.valid):
            wanted = self._wanted(low, high, block)
            wanted = wanted[(wanted >= block.lead) & (wanted < core)]
            for first in wanted[::vectors]:
                seen = first + hop * np.arange(vectors)
                frames.append(np.clip(first + offsets, low, high - 1))
                places.append(np.where(np.isin(seen, wanted), seen - block.lead, -1))
        if not frames:
            raise AbsentError("no stack of faces in this stretch")
        found = np.stack(places)
        valid = np.zeros(core - block.lead, dtype=bool)
        valid[found[found >= 0]] = True
        first_slot = block.first_slot + block.lead
        return Windows(block.crops[np.stack(frames)], first_slot, valid, {"places": found})

    def _wanted(self, low: int, high: int, block: FaceBlock) -> NDArray[np.intp]:
        """The faces of a stretch [low, high) that have a vector."""
        before = 0 if self.options.pad == "edge" else HALF
        faces = np.arange(low + before, high - before)
        begins = (block.first_slot + faces - before) % self.options.hop_frames == 0
        return np.asarray(faces[begins], dtype=np.intp)

    def forward(self, inputs: Tensor) -> Tensor:
        """EMO_v [n, vectors, 32] of faces [n, frames, size, size, 3]."""
        import torch

        from avfd.nets.hardwired import frame_maps

        starts = torch.arange(
            0, inputs.shape[1] - STACK + 1, self.options.hop_frames, device=inputs.device
        )
        settings = self.network.settings
        with torch.autocast(inputs.device.type, enabled=False):
            stacks = frame_maps(inputs, settings).stack(starts)
        return self.network.features(stacks.flatten(0, 1)).view(*stacks.shape[:2], -1)


class Frames(EmoCnn3dBackbone):
    """The two-layer network: a vector a face, of it and the two before and after.

    Its window in the thesis, 300 frames, is as long as its clips; as neither layer looks further,
    a clip of any length gives what one window over the whole of it would.
    """

    said = "faces, two layers"
    network: FramesCnn3d

    def __init__(self, options: EmoCnn3dOptions) -> None:
        self.around = 2 * (options.kernel_frames // 2)
        super().__init__(options)
        self.crops_around = (self.around, self.around)

    def facts(self) -> dict[str, Scalar]:
        own = {"frames": 2 * self.around + 1, "kernel_frames": self.options.kernel_frames}
        return super().facts() | own

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from avfd.nets.frames_cnn3d import FramesCnn3d
        from extract.nets.loading import loaded

        name, kernel = self.options.weights, self.options.kernel_frames
        settings = self.told(replace(FRAMES[self.options.preset], kernel_frames=kernel))
        self.check_told(name, "kernel_frames", settings.kernel_frames, kernel)
        return loaded(partial(FramesCnn3d, settings), states[name], name)

    def windows(self, block: FaceBlock) -> Windows:
        """Faces, uint8 [n, frames, size + 1, size, 3]; a row more says whether they count."""
        valid = block.valid[block.lead : len(block.valid) - block.tail]
        if not valid.any():
            raise AbsentError("no face in this stretch")
        slots = np.arange(-(-len(valid) // VECTORS) * VECTORS).reshape(-1, VECTORS)
        places = np.where(np.append(valid, [False] * VECTORS)[slots], slots, -1)
        places = places[(places >= 0).any(axis=1)]
        marked = np.pad(block.crops, ((0, 0), (0, 1), (0, 0), (0, 0)))
        marked[:, -1] = block.valid[:, None, None]
        before, after = self.around - block.lead, VECTORS + self.around
        padded = np.pad(marked, ((before, after), (0, 0), (0, 0), (0, 0)))
        firsts = places.max(axis=1) // VECTORS * VECTORS
        seen = firsts[:, None] + np.arange(VECTORS + 2 * self.around)
        first_slot = block.first_slot + block.lead
        return Windows(padded[seen], first_slot, valid, {"places": places})

    def forward(self, inputs: Tensor) -> Tensor:
        """EMO_v [n, VECTORS, 32] of marked faces [n, frames, size + 1, size, 3]."""
        from avfd.nets.frames_cnn3d import prepared

        counted = inputs[:, :, -1, 0, 0] > 0
        faces = prepared(inputs[:, :, :-1], self.network.settings)
        return self.network.features(faces, counted)[:, self.around : -self.around or None]


def stretches(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one past the last of every run of valid slots.

    >>> stretches(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(low), int(high)) for low, high in edges.reshape(-1, 2)]
