"""IAT (Chumachenko et al., ICPR 2022), the network that 2D3MF builds on (FACTS 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from avfd.errors import InputError
from classify.estimators.base import register
from classify.estimators.network import Example, NetworkEstimator
from classify.estimators.scaling import standardised
from classify.estimators.settings import Monitor, Scheduled, Span, Training
from classify.estimators.streams import Stream, columns_as_slots, has_time, tokens_as_slots
from classify.estimators.tracks import Tracks
from classify.features import Slots

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch

MFCC_COEFFICIENTS = 10
SHORTEST_AUDIO = 13  # slots that the four audio convolutions need
WIDTHS_AUDIO, WIDTHS_VIDEO = (64, 128, 256, 128), (64, 64, 128, 128)


@dataclass(frozen=True)
class IATSettings(Training):
    """What `iat` can be told; the defaults are the published training (FACTS 9).

    Attributes:
        fusion: "ia" (the paper's best), "it" or "lt".
        heads: of the attention; 4 is the published alternative.
        width: channels as a share of the published ones (64 to 256).
        seconds: longer clips are cut to their middle; 3.6 is RAVDESS' rule.
        frames: video vectors taken evenly over those seconds; 0: all.
        padding: "mask": gaps and what a shorter clip lacks take no part; "zeros": they are zeros
            that do, as in the code.
        dropout: of modalities in training: "softhard" (published default), "noise", "none".
    """

    epochs: int = 100
    patience: int = 0
    monitor: Monitor = "accuracy"
    batch: int = 8
    optimiser: Literal["adam", "adamw", "sgd"] = "sgd"
    learning_rate: float = 0.04
    weight_decay: float = 1e-3
    momentum: float = 0.9
    dampening: float = 0.9
    schedule: Scheduled = "milestones"
    milestones: tuple[int, ...] = (40, 55, 65, 70, 200, 250)
    fusion: Literal["ia", "it", "lt"] = "ia"
    heads: int = 1
    width: float = 1.0
    seconds: float = 3.6
    frames: int = 15
    padding: Literal["mask", "zeros"] = "mask"
    dropout: Literal["softhard", "noise", "none"] = "softhard"


PAPER = IATSettings()
CODE = IATSettings(padding="zeros")
SMALL = IATSettings(
    width=0.125,
    epochs=20,
    patience=8,
    batch=16,
    optimiser="adam",
    learning_rate=1e-2,
    weight_decay=0.0,
    schedule="none",
    monitor="loss",
    standardise=True,
)


@register("iat")
class IAT(NetworkEstimator):
    """Convolutions, attention between the modalities, convolutions; or one branch alone."""

    takes = ("audio", "video")
    presets: ClassVar = {"paper": PAPER, "code": CODE, "small": SMALL}
    settings: IATSettings
    search: ClassVar = {
        "learning_rate": Span(4e-3, 8e-2, log=True),
        "weight_decay": Span(1e-5, 1e-2, log=True),
        "batch": (8, 16, 32),
        "fusion": ("ia", "it", "lt"),
        "dropout": ("softhard", "noise", "none"),
        "width": (0.5, 1.0),
    }

    def network(self) -> nn.Module:
        from classify.nets.iat import IAT as Network
        from classify.nets.iat import IATShape

        self._check()
        audio, video = (self._width(m) if m in self.inputs else None for m in self.takes)
        shape = IATShape(
            audio=audio,
            video=video,
            outputs=self.options.classes,
            fusion=self.settings.fusion,
            heads=self.settings.heads,
            audio_widths=self._scaled(WIDTHS_AUDIO),
            video_widths=self._scaled(WIDTHS_VIDEO),
        )
        return Network(shape)

    def example(self, tracks: Tracks) -> Example:
        """Audio [slots, width] and video [frames, width] of the clip's middle, and masks."""
        out: Example = {}
        for modality, slots in tracks.items():
            scaled = standardised(slots.values, slots.valid, self.constants_, modality)
            track = Slots(scaled, slots.valid)
            track = columns_as_slots(track) if self._is_map(modality) else tokens_as_slots(track)
            stream = self._cut(modality, Stream.of(track), track.valid.shape[1])
            out[modality], out[f"{modality}_mask"] = stream.values, stream.there
        return out

    def _cut(self, modality: str, stream: Stream, rate_hz: int) -> Stream:
        clip_level = self.inputs[modality].rate_hz == 0
        most = len(stream) if clip_level else max(1, round(self.settings.seconds * rate_hz))
        stream = stream.middle(most)
        zeros = self.settings.padding == "zeros"
        stream = stream.filled(most) if zeros else stream.gathered()
        if modality == "video" and self.settings.frames:
            stream = stream.evenly(self.settings.frames)
        return stream.filled(1 if modality == "video" else SHORTEST_AUDIO)

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Modality dropout: a larger batch in which modalities are faded, missing or noise."""
        from classify.nets.dropout import noise_for_each, softhard

        if self.settings.dropout == "none" or len(self.inputs) < 2:
            return batch, target
        rule = softhard if self.settings.dropout == "softhard" else noise_for_each
        return rule(batch, target, generator)

    def _is_map(self, modality: str) -> bool:
        """Whether the vectors are MFCC maps [10, columns], a slot a column."""
        shape = self.inputs[modality].shape
        return len(shape) == 2 and modality == "audio" and shape[0] == MFCC_COEFFICIENTS

    def _width(self, modality: str) -> int:
        shape = self.inputs[modality].shape
        return shape[0] if self._is_map(modality) else shape[-1]

    def _scaled(self, widths: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(1, round(width * self.settings.width)) for width in widths)

    def _check(self) -> None:
        """Refuse shapes and widths on which the network cannot work."""
        for modality, facts in self.inputs.items():
            if not has_time(facts):
                raise InputError(
                    "iat works on vectors, tokens or MFCC maps through time",
                    where=modality,
                    found=f"{facts.shape}, {facts.rate_hz} a second",
                    accepted="a column of shape (width,), (tokens, width) or (10, columns)",
                )
        attending = (*self._scaled(WIDTHS_AUDIO)[1::2], *self._scaled(WIDTHS_VIDEO)[1::2])
        heads = self.settings.heads
        if heads < 1 or any(width % heads for width in attending):
            raise InputError(
                "the heads do not divide the widths that attend",
                where="iat:heads",
                found=f"{heads} heads, widths {attending}",
                next_step="take heads=1, or another width",
            )
