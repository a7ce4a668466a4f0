"""AVT2-DWF on cached faces and MFCCs (Wang et al. 2024); see docs/classifiers/avt2dwf.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Floats, register
from classify.estimators.by_second import SecondsEstimator, SecondsSettings
from classify.estimators.network import Example, Input
from classify.estimators.starting import Start, read_start
from classify.estimators.tracks import Tracks
from classify.features import Features
from classify.nets.avt2dwf_options import AVT2DWFOptions

if TYPE_CHECKING:
    from torch import nn

    from classify.nets.avt2dwf import AVT2DWF as Network


@dataclass(frozen=True)
class AVT2DWFSettings(SecondsSettings, AVT2DWFOptions):
    """What `avt2dwf` can be told; the network's part is in `AVT2DWFOptions`.

    Attributes:
        audio_axes: of a column with one map a second, which axis comes first: "steps" (as in
            mfcc-avt2) or "coefficients" (as in mfcc); "auto": the longer one is time, and of
            equal ones the first.
        video_weights, audio_weights: what the encoders start from: files of the authors' encoders,
            or runs of this model.
    """

    epochs: int = 200
    patience: int = 0
    batch: int = 16
    learning_rate: float = 1e-5
    weight_decay: float = 1e-4
    audio_axes: Literal["auto", "steps", "coefficients"] = "auto"
    video_weights: str | None = None
    audio_weights: str | None = None


PAPER = AVT2DWFSettings()
CODE = AVT2DWFSettings(audio_tokens="one", frame_order="reshape", normalise=True)
SMALL = AVT2DWFSettings(
    epochs=30,
    patience=8,
    learning_rate=3e-3,
    size_px=32,
    patch_px=8,
    width=32,
    depth=2,
    heads=4,
    head_dim=8,
    feed_forward=64,
    fusion_heads=4,
    fusion_intermediate=16,
)


@register("avt2dwf")
class AVT2DWF(SecondsEstimator):
    """Faces, MFCCs or both; a modality that a clip lacks has weight 0."""

    takes = ("audio", "video")
    presets: ClassVar = {"paper": PAPER, "code": CODE, "small": SMALL}
    settings: AVT2DWFSettings

    def block(self) -> nn.Module:
        from classify.nets.avt2dwf import AVT2DWF as Network

        inputs, size = self.inputs, self.settings.size_px
        video = (inputs["video"].rate_hz, size) if "video" in inputs else None
        audio = self._steps(inputs["audio"]) if "audio" in inputs else None
        return Network(video, audio, self.settings, self.options.classes)

    def start(self, block: nn.Module) -> list[Start]:
        from classify.nets.avt2dwf_weights import load_encoder

        network, told = cast("Network", block), self.settings
        starts = []
        for modality, part, asked in (
            ("video", network.video, told.video_weights),
            ("audio", network.audio, told.audio_weights),
        ):
            if part is not None and asked:
                start = read_start(asked, (self.name,))
                load_encoder(part.encoder, start.tensors, start.path, modality)
                starts.append(start)
        return starts

    def example(self, tracks: Tracks) -> Example:
        """As the base; MFCCs [seconds, steps, coefficients]."""
        out = super().example(tracks)
        if "audio" in out and len(self.inputs["audio"].shape) == 2:
            maps = out["audio"][:, 0]
            out["audio"] = maps if self._steps_first(maps.shape[1:]) else maps.swapaxes(1, 2)
            out["audio_mask"] = np.repeat(out["audio_mask"], out["audio"].shape[1], axis=1)
        return out

    def _steps_first(self, shape: tuple[int, ...]) -> bool:
        told = self.settings.audio_axes
        return shape[0] >= shape[1] if told == "auto" else told == "steps"

    def fused(self, features: Features) -> Floats:
        """The representation that the head sees, mean over a clip's seconds, for figures.

        [samples, modalities * width]: the face's part, then the audio's; NaN without a score.
        """
        return self._mean_of(features, "fused")

    def weights(self, features: Features) -> Floats:
        """Weights of face and audio, mean over a clip's seconds: [samples, modalities]."""
        return self._mean_of(features, "weights")

    def _mean_of(self, features: Features, name: str) -> Floats:
        parts: dict[int, list[Floats]] = {}
        for sample, _, out in self.looks(features):
            parts.setdefault(sample, []).append(getattr(out, name))
        means = {sample: np.concatenate(some).mean(axis=0) for sample, some in parts.items()}
        width = len(next(iter(means.values()))) if means else 0
        found = np.full((len(next(iter(features.values()))), width), np.nan)
        for sample, mean in means.items():
            found[sample] = mean
        return found

    def check(self, inputs: Mapping[str, Input]) -> None:
        """Refuse columns and settings that the network cannot work on."""
        told = self.settings
        if "video" in inputs:
            self.check_pictures(inputs["video"])
        if "audio" in inputs:
            self._steps(inputs["audio"])
        if told.face_tokens == "patches" and told.size_px % told.patch_px:
            raise InputError(
                "the patches do not fill the pictures",
                where="avt2dwf:patch_px",
                found=f"{told.patch_px} px of {told.size_px} px",
                accepted="a divisor of size_px",
            )
        if told.fusion_heads < 1 or told.width % told.fusion_heads:
            raise InputError(
                "the heads do not divide the width",
                where="avt2dwf:fusion_heads",
                found=f"{told.fusion_heads} heads, width {told.width}",
            )

    def _steps(self, facts: Input) -> tuple[int, int]:
        """Time steps a second and coefficients of a step."""
        if facts.rate_hz == 1 and len(facts.shape) == 2:
            first, second = facts.shape
            return (first, second) if self._steps_first(facts.shape) else (second, first)
        if facts.rate_hz > 1 and len(facts.shape) == 1:
            return facts.rate_hz, facts.shape[0]
        raise InputError(
            "avt2dwf hears coefficients over time, such as MFCCs",
            where="audio",
            found=f"{facts.shape}, {facts.rate_hz} a second",
            accepted="(steps, coefficients) once a second, or (coefficients,) some times a second",
            next_step="avfd extract --backbone mfcc-avt2, then --audio mfcc-avt2",
        )
