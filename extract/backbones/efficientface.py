"""efficientface: what EfficientFace, trained for emotions of faces, sees in each face.

Zhao, Liu, Zhou, "Robust Lightweight Facial Expression Recognition Network with Label Distribution
Training", AAAI 2021; github.com/zengqunzhao/EfficientFace (MIT). IAT and 2D3MF build on its
1,024 features, each in its own way (FACTS.md, 5.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError, InputError
from avfd.specs import MAX_MARGIN, MAX_RATE_HZ, BackboneSpec, FaceInput, Scalar
from extract.backbones._face_facts import DETECTOR, track_facts
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones._ranges import check_ranges
from extract.backbones._spans import means
from extract.backbones.base import FaceBlock, Slots, register
from extract.nets.efficientface_settings import PUBLISHED, SMALL, EfficientFaceSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "efficientface"
SIZES = {"published": PUBLISHED, "small": SMALL}
RGB = tuple[float, float, float]

Output = Literal["second", "frames"]
Normalisation = Literal["affectnet", "raf-db", "caer-s", "none", "raw"]
Channels = Literal["rgb", "bgr"]

# Mean and deviation of R, G and B in [0, 1], as the authors computed them (FACTS.md, 5.3).
STATISTICS: dict[str, tuple[RGB, RGB]] = {
    "affectnet": ((0.55391484, 0.43522123, 0.38218770), (0.24837189, 0.21625527, 0.20221159)),
    "raf-db": ((0.57535914, 0.44928582, 0.40079932), (0.20735591, 0.18981615, 0.18132027)),
    "caer-s": ((0.35964426, 0.22359873, 0.19040863), (0.15188067, 0.11678473, 0.11034450)),
}


@dataclass(frozen=True)
class Way:
    """How crops become features."""

    output: Output
    rate_hz: int
    normalise: Normalisation
    channels: Channels


WAYS: dict[str, Way] = {
    "avfd": Way("second", 10, "affectnet", "rgb"),
    "iat": Way("frames", 30, "none", "bgr"),
    "2d3mf": Way("frames", 30, "raw", "bgr"),
}


@dataclass(frozen=True)
class EfficientFaceOptions(NetworkOptions):
    """None means: as `like` has it.

    Attributes:
        like: "avfd": as the network was trained, the mean of ten crops a second; "iat": a vector
            a crop at 30 a second, BGR, 0 to 1 without normalisation; "2d3mf": BGR, 0 to 255.
        output: "second": the mean over a second's crops; "frames": a vector a crop.
        rate_hz: crops a second. IAT's 15 frames of 3.6 s are among those at 30 a second.
        normalise: data set whose mean and deviation are used, the one of the weights; "none": 0
            to 1 only; "raw": 0 to 255.
        channels: order in which the network sees them; it was trained on "rgb".
        classes: 7 or 8: the logits of that many emotions instead of the features.
        margin, align, interpolation: of the crops, see `FaceInput`.
    """

    like: Literal["avfd", "iat", "2d3mf"] = "avfd"
    output: Output | None = None
    rate_hz: int | None = None
    normalise: Normalisation | None = None
    channels: Channels | None = None
    classes: Literal[0, 7, 8] = 0
    margin: float = 0.3
    align: Literal["none", "eyes"] = "none"
    interpolation: Literal["bilinear", "bicubic", "area"] = "bilinear"

    @property
    def way(self) -> Way:
        """What was asked for, filled up from `like`."""
        way = WAYS[self.like]
        return Way(
            self.output or way.output,
            way.rate_hz if self.rate_hz is None else self.rate_hz,
            self.normalise or way.normalise,
            self.channels or way.channels,
        )

    @property
    def settings(self) -> EfficientFaceSettings:
        """Sizes of the network."""
        return replace(SIZES[self.preset], classes=self.classes)

    @property
    def weights(self) -> str:
        """Name of the model file; files for features and for logits differ in `fc`."""
        if self.preset == "small":
            return f"{NAME}-small"
        return f"{NAME}-{self.classes}" if self.classes else NAME


DEFAULT = EfficientFaceOptions()


def efficientface_spec(options: EfficientFaceOptions) -> BackboneSpec:
    """The spec of that way."""
    way, settings = options.way, options.settings
    check_ranges(NAME, options, {"rate_hz": (1, MAX_RATE_HZ), "margin": (0, MAX_MARGIN)})
    if options.preset == "small" and options.classes:
        raise InputError(
            "the small preset has no classes",
            where=NAME,
            found=f"preset=small, classes={options.classes}",
            accepted="classes=0 with preset=small",
        )
    facts: dict[str, Scalar] = {
        "output": way.output,
        "normalise": way.normalise,
        "channels": way.channels,
        "scale": 1.0 if way.normalise == "raw" else 1 / 255,
        "classes": options.classes,
        "precision": options.precision,
        "preset": options.preset,
        **track_facts(),
    }
    faces = FaceInput(
        way.rate_hz, settings.size_px, options.margin, options.align, options.interpolation
    )
    what = f"{options.classes} logits" if options.classes else "features"
    each = "a crop" if way.output == "frames" else f"a second, mean of {way.rate_hz} crops"
    return BackboneSpec(
        name=NAME,
        revision=1,
        modality="video",
        summary=f"EfficientFace: {what} {each}",
        rate_hz=way.rate_hz if way.output == "frames" else 1,
        shape=(settings.classes or settings.dim,),
        faces=faces,
        options=facts,
        weights=(DETECTOR, options.weights),
        licence="MIT (code); nothing is said of the weights",
        source="EfficientFace (Zhao, Liu, Zhou, AAAI 2021); IAT and 2D3MF use it",
    )


@register(NAME, DEFAULT)
class EfficientFace(NetworkBackbone):
    """Crops are normalised on the device; those without a face are not looked at.

    A second is valid if a face was followed in at least one of its crops; its vector is the mean
    over these.
    """

    def __init__(self, options: EfficientFaceOptions = DEFAULT) -> None:
        self.options: EfficientFaceOptions = options
        self.way = options.way
        self.spec = efficientface_spec(options)

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from extract.nets import efficientface
        from extract.nets.loading import loaded

        name = self.options.weights
        make = partial(efficientface.EfficientFace, self.options.settings)
        return loaded(make, states[name], name)

    def windows(self, block: FaceBlock) -> Windows:
        """The crops with a face, uint8 [n, size, size, 3]."""
        if not block.valid.any():
            raise AbsentError("no face in this stretch")
        return Windows(block.crops[block.valid], block.first_slot, block.valid)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features or logits [n, dim] of crops [n, size, size, 3]."""
        pictures = self.normalised(inputs.permute(0, 3, 1, 2).float())
        if self.way.channels == "bgr":
            pictures = pictures.flip(1)
        answer: Tensor = self.network(pictures.contiguous())
        return answer

    def normalised(self, pictures: Tensor) -> Tensor:
        """RGB [n, 3, size, size] of 0 to 255 in the range that was asked for."""
        if self.way.normalise == "raw":
            return pictures
        pictures = pictures / 255
        if self.way.normalise == "none":
            return pictures
        mean, deviation = (
            pictures.new_tensor(values).view(3, 1, 1) for values in STATISTICS[self.way.normalise]
        )
        return (pictures - mean) / deviation

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        first, valid, rate_hz = windows.first_slot, windows.valid, self.way.rate_hz
        if self.way.output == "frames":
            values = np.zeros((len(valid), *self.spec.shape), dtype=np.float32)
            values[valid] = outputs
            return Slots(first, values, valid)
        second, past = first // rate_hz, (first + len(valid) - 1) // rate_hz + 1
        centres = (first + np.flatnonzero(valid) + 0.5) / rate_hz - second
        return Slots(second, *means(outputs, centres, past - second, 1))
