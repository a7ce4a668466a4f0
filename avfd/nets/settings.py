"""Settings of the networks that both stages need, apart so that they cost no import of torch.

Each has one frozen dataclass; its defaults are the paper's, and ours where the paper is silent.
What the data decide stands in it too, as a card needs it, but cannot be asked for (`by_data`).

A dataclass may say of settings that are not its own, or have no say in a column's numbers:

    retired: setting that older cards and models have → what decides it instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from avfd.asks import INSTEAD

Gradient = Literal["central", "sobel", "forward"]
FlowName = Literal["lucas-kanade", "horn-schunck"]
MapScaling = Literal["fixed", "standard", "unit", "raw"]
Activation = Literal["tanh", "relu", "linear"]
Reduction = Literal["mean", "last", "mean-probability"]
Scaling = Literal["feature", "global", "window", "none"]

RESNET18_STAGES = 4


def by_data(default: Any, what: str) -> Any:
    """A field that the training data decide.

    Args:
        default: of the published network.
        what: of the data, for whoever asks for another value.
    """
    return field(default=default, metadata={INSTEAD: f"{what} decide it"})


_CLASSES = "the classes of the data"
_COLUMN = "the numbers of the column's vectors"


@dataclass(frozen=True)
class MapSettings:
    """How faces become maps.

    Attributes:
        long_px, short_px: size of a map; the thesis has 80 x 60, Ji et al. 60 x 40.
        long_axis: "height": maps are 80 high and 60 wide, as the shape (80, 60, 33) of the
            thesis reads and as faces are; "width": 60 high and 80 wide.
        antialias: bicubic over as many pixels as a smaller picture's pixel covers (the way of
            Pillow); False: over 4 x 4 pixels whatever the size (the way of OpenCV).
        gradient: "central" differences, "sobel" (smoothed across), or "forward" differences.
        flow: the algorithm of the optical flow.
        scaling: "fixed": each kind of map by one fixed mean and spread, which suits tanh and
            keeps a still face still; "standard": each kind to mean 0 and deviation 1 in each
            stack; "unit": gray in [0, 1], gradients of it, flow in pixels; "raw": gray in
            [0, 255].
    """

    long_px: int = 80
    short_px: int = 60
    long_axis: Literal["height", "width"] = "height"
    antialias: bool = True
    gradient: Gradient = "central"
    flow: FlowName = "lucas-kanade"
    scaling: MapScaling = "fixed"

    @property
    def rows(self) -> int:
        return self.long_px if self.long_axis == "height" else self.short_px

    @property
    def columns(self) -> int:
        return self.short_px if self.long_axis == "height" else self.long_px


@dataclass(frozen=True)
class Cnn3dShape(MapSettings):
    """What the thesis states, and our choice where it does not.

    Attributes:
        (those of the maps): see `MapSettings`.
        units: of the last convolution, EMO_v's width.
        activation: of EMO_v. "tanh" (5.4.2, better than the "softmax" tried before).
        hidden: after each convolution (and each trained pooling). Not stated; "tanh" as in Ji et
            al.; "relu" is the other reading.
        first_sets: kernels of the first convolution for each kind of map.
        second_per_set: kernels of the second for each set of the first. 3 gives the 78 maps that
            "six distinct sets … each containing 13" needs; 6 is the literal "six filters".
        pooling: "plain" averages; "trained" adds a scale and an offset a map (Ji et al.).
        pool_frames: frames under the first pooling, stride 1. 1: in space only, as the map count
            demands; 2: the literal "2x2 average 3D pooling".
        last: "filters": the last convolution has one bias a unit; "connections": one for each
            unit and map, as Ji et al.'s parameter count implies.
        out_bias: whether the output layer has a bias; Ji et al.'s has none.
        dropout: share of EMO_v dropped in training. None is mentioned.
    """

    retired: ClassVar[Mapping[str, str]] = {
        "hop_frames": "step_frames sets it of training, --backbone emo-cnn3d:hop_frames of columns",
        "pad": "--backbone emo-cnn3d:pad sets it of columns",
    }

    units: int = 32
    activation: Literal["tanh", "softmax"] = "tanh"
    hidden: Literal["tanh", "relu"] = "tanh"
    first_sets: int = 2
    second_per_set: int = 3
    pooling: Literal["plain", "trained"] = "plain"
    pool_frames: int = 1
    last: Literal["filters", "connections"] = "filters"
    out_bias: bool = True
    dropout: float = 0.0

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.units

    def turned(self, long_and_short: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of sizes given along the long and the short side."""
        long, short = long_and_short
        return (long, short) if self.long_axis == "height" else (short, long)


@dataclass(frozen=True)
class EmoCnn3dSettings(Cnn3dShape):
    """The network as it learns emotions.

    Attributes:
        classes: neutral, anger, happiness, sadness, other.
    """

    classes: int = by_data(5, _CLASSES)


@dataclass(frozen=True)
class FramesCnn3dSettings:
    """What the thesis states, and our choice where it does not.

    Attributes:
        rows, columns: size of a frame, 100 x 93.
        channels: 3 for RGB (frames are not processed at this stage), 1 for gray.
        classes: neutral, anger, happiness, sadness, other.
        filters, units: of the first and the second convolution; EMO_v has `units` numbers.
        kernel_frames, kernel_px: of both convolutions. Not stated; odd, so that every frame keeps
            its vector.
        pool_px: side of the max pooling, in space only: time must last. Not stated.
        dropout: share dropped after the pooling. Not stated.
        hidden: after the first convolution. Not stated; "tanh" as in Ji et al. Of "relu" with two
            filters on pixels of 0 to 1 both are often silent from the start.
        activation: "softmax" over the 32 units (5.4.1) or "tanh" (5.4.2).
        plane: "full": the second kernel covers the whole pooled plane, as the last convolution
            of the exact network does; "mean": `kernel_px` and then the mean over the plane.
        label: "frame": one decision a frame (5.4.1); "clip": one a window, the mean of its
            frames' logits (5.4.2).
    """

    retired: ClassVar[Mapping[str, str]] = {"frames": "--window-seconds sets it"}

    rows: int = 100
    columns: int = 93
    channels: int = 3
    classes: int = by_data(5, _CLASSES)
    filters: int = 2
    units: int = 32
    kernel_frames: int = 3
    kernel_px: int = 3
    pool_px: int = 2
    dropout: float = 0.2
    hidden: Literal["tanh", "relu"] = "tanh"
    activation: Literal["tanh", "softmax"] = "tanh"
    plane: Literal["full", "mean"] = "full"
    label: Literal["clip", "frame"] = "clip"

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.units


@dataclass(frozen=True)
class EmoLstmSettings:
    """What the thesis states, and our choice where it does not.

    Attributes:
        inputs: descriptors of a step; 65 of ComParE 2016 and their 65 deltas.
        classes: neutral, anger, happiness, sadness, other.
        units, second_units, dense_units: widths (4.6.1); EMO_s has `dense_units` numbers.
        dropout: share dropped after each LSTM. Not stated; ours.
        activation: of the dense layer of 32. Not stated; "tanh", as in the layer that gives EMO_v
            (4.6.2, 5.4.2), keeps EMO_s within ±1 and no column dead. "linear" and "relu" are the
            other readings.
        reduction: how steps become one decision a window. Not stated; "mean" of the logits of all
            valid steps, "last" takes the last valid step, "mean-probability" averages after
            softmax.
        scaling: what the scaling to [-1, 1] looks at (5.3.3). "feature": least and greatest of
            each descriptor over the training side; "global": one pair for all descriptors;
            "window": each descriptor's own within each window; "none".
        rate_hz: steps a second. 100 as in emotion training; 30 keeps the rows at the time stamps
            of the video frames (4.6.1), which makes 300 rows cover 10 s instead of 3 s.
    """

    retired: ClassVar[Mapping[str, str]] = {
        "window_seconds": "--window-seconds sets it",
        "hop_seconds": "--hop-seconds sets it",
    }

    inputs: int = by_data(130, _COLUMN)
    classes: int = by_data(5, _CLASSES)
    units: int = 64
    second_units: int = 32
    dense_units: int = 32
    dropout: float = 0.2
    activation: Activation = "tanh"
    reduction: Reduction = "mean"
    scaling: Scaling = "feature"
    rate_hz: int = 100

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.dense_units


@dataclass(frozen=True)
class MlpSettings:
    """What the thesis states, and our choice where it does not.

    Attributes:
        steps, columns: of an utterance: (100, 39) for 10 s, so `rate_hz` is 10.
        classes: anger, happiness, sadness, neutral.
        first_units, second_units, third_units: widths of the hidden layers.
        dropout: share dropped after each hidden layer; none is mentioned.
        rate_hz: steps a second.
        normalise: batch normalisation of the input. The thesis applies no normalisation (5.3.1);
            descriptors as unlike in size as F0 and MFCCs then drown each other, so it can be had.
    """

    steps: int = 100
    columns: int = by_data(39, _COLUMN)
    classes: int = by_data(4, _CLASSES)
    first_units: int = 1024
    second_units: int = 512
    third_units: int = 256
    dropout: float = 0.0
    rate_hz: int = 10
    normalise: bool = False

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.third_units


@dataclass(frozen=True)
class ResNet18Settings:
    """The published network by default.

    Attributes:
        classes: logits; 8 emotions of RAVDESS.
        width: channels of the first stage, doubled at each further one; features are 8 * width.
        coefficients, frames: MFCC coefficients and columns of a second at 44.1 kHz; what
            extraction gives, other sizes run too.
    """

    classes: int = by_data(8, _CLASSES)
    width: int = 64
    coefficients: int = by_data(10, _COLUMN)
    frames: int = by_data(87, _COLUMN)

    @property
    def dim(self) -> int:
        """Numbers in a feature vector."""
        return self.width << (RESNET18_STAGES - 1)


SETTINGS: Mapping[str, Any] = {
    "emo-lstm": EmoLstmSettings,
    "emo-cnn3d": EmoCnn3dSettings,
    "emo-cnn3d-frames": FramesCnn3dSettings,
    "resnet18": ResNet18Settings,
}
"""Name of the weights → settings of the networks that a run trains and an extract runs."""
