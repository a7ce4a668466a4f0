"""x-vectors: who speaks, second by second, and how an emotion moves that voice.

Snyder et al., "X-Vectors", ICASSP 2018; the network that SpeechBrain trained on VoxCeleb
(speechbrain/spkrec-xvect-voxceleb, Apache-2.0, code and weights). 2D3MF takes the speaker
classifier's 7,205 log posteriors for x-vectors; that column is `xvector-posterior` (FACTS.md, 3.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones._seconds import SLACK_SECONDS, whole_seconds
from extract.backbones.base import AudioBlock, Slots, register
from extract.nets.xvector_settings import (
    FLOOR_POWER,
    HOP,
    MEL_BANDS,
    PUBLISHED,
    RANGE_DB,
    SAMPLE_RATE_HZ,
    SMALL,
    WINDOW,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLE_RATE_2D3MF_HZ = 44_100


@dataclass(frozen=True)
class XVectorOptions(NetworkOptions):
    """What x-vectors can be told.

    Attributes:
        as_2d3mf: take samples at 44.1 kHz for samples at 16 kHz, as 2D3MF's code did; a voice is
            2.76 times slower and deeper then.
    """

    as_2d3mf: bool = False

    @property
    def sample_rate_hz(self) -> int:
        """Of the sound that is given to the network, which takes any for 16 kHz."""
        return SAMPLE_RATE_2D3MF_HZ if self.as_2d3mf else SAMPLE_RATE_HZ


DEFAULT = XVectorOptions()


@register("xvector", DEFAULT)
class XVector(NetworkBackbone):
    """A vector for each whole second, which sees nothing beyond that second.

    A second is valid if no more than 25 ms of it lack sound; the last partial second is not.
    """

    at_once = 16
    name: ClassVar[str] = "xvector"
    summary: ClassVar[str] = "x-vector of each whole second"
    options: XVectorOptions

    def __init__(self, options: XVectorOptions = DEFAULT) -> None:
        self.options = options
        self.settings = SMALL if options.preset == "small" else PUBLISHED
        self.weights = self._weights("-tiny" if options.preset == "small" else "")
        self.spec = BackboneSpec(
            name=self.name,
            revision=1,
            modality="audio",
            summary=self.summary,
            rate_hz=1,
            shape=(self._dim(),),
            audio=AudioInput(
                options.sample_rate_hz, block_seconds=60.0, lead_seconds=0.0, tail_seconds=0.0
            ),
            options={
                "precision": options.precision,
                "preset": options.preset,
                "taken_for_hz": SAMPLE_RATE_HZ,
                "window": "hamming-periodic",
                "window_size": WINDOW,
                "hop": HOP,
                "mel_scale": "htk, triangles symmetric in Hz",
                "mel_bands": MEL_BANDS,
                "floor_power": FLOOR_POWER,
                "range_db": RANGE_DB,
                "offset": "mean of the second in each band",
                "pooling_noise": False,
                "slack_seconds": SLACK_SECONDS,
            },
            weights=self.weights,
            licence="Apache-2.0 (SpeechBrain, code and weights)",
            source="speechbrain/spkrec-xvect-voxceleb; x-vectors: Snyder et al. 2018",
        )

    def _weights(self, suffix: str) -> tuple[str, ...]:
        return (f"xvector{suffix}",)

    def _dim(self) -> int:
        return self.settings.dim

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from torch import nn

        from extract.nets import xvector
        from extract.nets.loading import loaded

        makes = (xvector.XVector, xvector.SpeakerClassifier)
        layers = [
            loaded(partial(make, self.settings), states[name], name)
            for make, name in zip(makes, self.weights, strict=False)
        ]
        return nn.Sequential(xvector.MelLevels(), *layers)

    def windows(self, block: AudioBlock) -> Windows:
        """The whole seconds, float32 [n, rate]."""
        seconds, valid = whole_seconds(block)
        if not valid.any():
            raise AbsentError(f"too short for {self.name}", accepted="a whole second of sound")
        return Windows(seconds[valid], round(block.start_seconds), valid)

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        values = np.zeros((len(windows.valid), *self.spec.shape), dtype=np.float32)
        values[windows.valid] = outputs
        return Slots(windows.first_slot, values, windows.valid)


@register("xvector-posterior", DEFAULT)
class XVectorPosterior(XVector):
    """log p(speaker) of each whole second over the 7,205 speakers of VoxCeleb."""

    name = "xvector-posterior"
    summary = "2D3MF: log posteriors of VoxCeleb's speakers for each whole second"

    def _weights(self, suffix: str) -> tuple[str, ...]:
        return f"xvector{suffix}", f"xvector{suffix}-classifier"

    def _dim(self) -> int:
        return self.settings.speakers
