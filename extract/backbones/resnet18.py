"""resnet18: 2D3MF's emotion network on the MFCC map of each second.

Roman et al., 2D3MF (github.com/aiden200/2D3MF, `src/audio_resnet`), trained on RAVDESS; the 512
numbers before its last layer are the features (FACTS.md, section 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.nets.settings import ResNet18Settings
from avfd.specs import BackboneSpec
from extract.backbones._network import ColumnBlock, NetworkOptions, Windows
from extract.backbones._ranges import MAX_DIM, check_ranges
from extract.backbones._trained import TrainedBackbone
from extract.backbones.base import Slots, register
from extract.nets.emo_settings import RESNET18

if TYPE_CHECKING:
    from torch import Tensor, nn

    from avfd.nets.resnet18 import AudioResNet18

NAME = "resnet18"


@dataclass(frozen=True)
class ResNet18Options(NetworkOptions):
    """What resnet18 can be told.

    Attributes:
        width: channels of the first stage, of weights trained here with another one; features
            are eight times as many. None: as the preset has it.
    """

    width: int | None = None

    def __post_init__(self) -> None:
        check_ranges(NAME, self, {"width": (1, MAX_DIM // 8)})

    @property
    def settings(self) -> ResNet18Settings:
        """Sizes of the network; how many classes it has, the weights say."""
        settings = RESNET18[self.preset]
        return settings if self.width is None else replace(settings, width=self.width)

    @property
    def weights(self) -> str:
        """Name of the model file."""
        return NAME if self.preset == "published" else f"{NAME}-small"


DEFAULT = ResNet18Options()


@register(NAME, DEFAULT)
class ResNet18(TrainedBackbone):
    """Reads the column `mfcc`; batch normalisation is in evaluation mode.

    (2D3MF's own extraction leaves it in training mode: each vector then depends on one sample's
    own statistics, which cannot be repeated.)
    """

    at_once = 32
    network: AudioResNet18

    def __init__(self, options: ResNet18Options = DEFAULT) -> None:
        self.options: ResNet18Options = options
        settings = options.settings
        self.spec = BackboneSpec(
            name=NAME,
            revision=1,
            modality="audio",
            summary=f"2D3MF's emotion network on MFCC: {settings.dim} features a second",
            rate_hz=1,
            shape=(settings.dim,),
            reads="mfcc",
            options={
                "batch_norm": "evaluation",
                "width": settings.width,
                "precision": options.precision,
                "preset": options.preset,
            },
            weights=(options.weights,),
            licence="of the published weights nothing is said; 2D3MF is CC BY-NC 4.0",
            source="AudioResNet18 of 2D3MF (Roman et al.), trained on RAVDESS, or trained here",
        )

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from extract.nets.emo_files import resnet18_features
        from extract.nets.loading import loaded

        name = self.options.weights
        settings = self.trained(name, self.options.settings)
        self.check_told(name, "width", settings.width, self.options.settings.width)
        self.check_read(name, (settings.coefficients, settings.frames))
        tensors = {n: t for n, t in states[name].items() if not n.startswith("fc.")}
        return loaded(partial(resnet18_features, settings), tensors, name)

    def windows(self, block: ColumnBlock) -> Windows:
        """The maps of the valid seconds, float32 [n, 10, 87]."""
        if not block.valid.any():
            raise AbsentError("no whole second of sound")
        maps = np.asarray(block.values[block.valid], dtype=np.float32)
        return Windows(maps, 0, block.valid)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features [n, 512] of maps [n, 10, 87]."""
        return self.network.features(inputs)

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        values = np.zeros((len(windows.valid), *self.spec.shape), dtype=np.float32)
        values[windows.valid] = outputs
        return Slots(0, values, windows.valid)
