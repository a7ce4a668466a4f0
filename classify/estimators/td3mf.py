"""2D3MF (Roman et al.): middle fusion of audio and video embeddings (FACTS 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from avfd.errors import InputError
from classify.estimators.base import register
from classify.estimators.network import Example, Input, NetworkEstimator
from classify.estimators.scaling import standardised
from classify.estimators.settings import Monitor, Scheduled, Span, Training
from classify.estimators.streams import Stream, has_time, tokens_as_slots
from classify.estimators.tracks import Tracks
from classify.features import Slots

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch
    from classify.nets.fronts import Front

XVECTOR_CLASSES = 7205  # log-posteriors of speakers, the released code's x-vectors
MFCC_COEFFICIENTS, SHORTEST_MFCC = 10, 13  # rows of a map, columns that its convolutions need
SHORTEST_AUDIO = 7  # slots that the second stage's audio convolutions need
SHORTEST_STRIDED = 25  # the same before the strided pair has taken every fourth


@dataclass(frozen=True)
class TD3MFSettings(Training):
    """What `td3mf` can be told; defaults are the released configuration (FACTS 8.3, 8.7).

    Attributes:
        fusion: which of the six middle fusions (paper, section 4.4).
        late: late fusion, that is no second stage; the attention stays, as in the code.
        hidden: width H of the video stream; 64 in the shipped configuration, 128 in the class.
        heads: of every attention; 2 in the shipped configuration, 1 in the class.
        front: first stage of the audio; "auto" takes "mfcc" for (10, 87) maps, "xvector" for
            7,205 posteriors and "none" for the rest; "strided" shortens EAT's tokens to a quarter,
            by convolutions that the code has and never calls.
        audio_width: project the audio to this width first; 0: as it is.
        audio_stage, video_stage: middle channels of the second stage.
        positions: add the sinusoid to the audio.
        residual_attention: a residual around the attention, too (FACTS 15, 6).
        attention_scale: divide by the root of a "head"'s width (code) or the "video"'s (paper).
        share_mfcc_convs: the second stage's audio convolutions are the front's (code).
        seconds: clips are cut to so many seconds.
        padding: "mask": gaps and what a shorter clip lacks take no part; "zeros": clips are filled
            with zeros that do, as in the code.
        modality_dropout: probability that training replaces the audio or the video of a clip,
            either as likely, by standard normal noise.
        focal_gamma: of a focal loss; 0: cross-entropy.
    """

    epochs: int = 200
    patience: int = 0
    monitor: Monitor = "auc"
    drop_last: bool = True
    learning_rate: float = 5e-4
    beta1: float = 0.5
    beta2: float = 0.9
    schedule: Scheduled = "plateau"
    decay: float = 0.5
    lowest_rate: float = 1e-8
    stop_rate: float = 1e-6
    fusion: Literal["default", "audio-reuse", "video-reuse", "self", "multi", "self-cross"] = (
        "default"
    )
    late: bool = False
    hidden: int = 64
    heads: int = 2
    front: Literal["auto", "none", "mfcc", "xvector", "strided"] = "auto"
    audio_width: int = 0
    audio_stage: int = 256
    video_stage: int = 128
    positions: bool = False
    residual_attention: bool = False
    attention_scale: Literal["head", "video"] = "head"
    share_mfcc_convs: bool = False
    seconds: int = 10
    padding: Literal["mask", "zeros"] = "mask"
    modality_dropout: float = 0.0
    focal_gamma: float = 0.0


PAPER = TD3MFSettings()
CODE = TD3MFSettings(padding="zeros", share_mfcc_convs=True)
SMALL = TD3MFSettings(
    hidden=8,
    heads=1,
    audio_stage=8,
    video_stage=8,
    epochs=40,
    patience=8,
    batch=16,
    learning_rate=1e-2,
    beta1=0.9,
    beta2=0.999,
    schedule="none",
    monitor="loss",
    seconds=3,
    standardise=True,
)


@register("td3mf")
class TD3MF(NetworkEstimator):
    """Both modalities: the fusion. One alone: a linear layer on all its vectors (the baselines)."""

    takes = ("audio", "video")
    presets: ClassVar = {"paper": PAPER, "code": CODE, "small": SMALL}
    settings: TD3MFSettings
    search: ClassVar = {
        "learning_rate": Span(5e-5, 2e-3, log=True),
        "batch": (16, 32, 64, 128),
        "hidden": (32, 64, 128),
        "heads": (1, 2),
        "fusion": ("default", "audio-reuse", "video-reuse", "self", "multi", "self-cross"),
        "late": (False, True),
        "modality_dropout": (0.0, 0.2, 0.5),
    }

    def network(self) -> nn.Module:
        from classify.nets.td3mf import TD3MF as Network
        from classify.nets.td3mf import OneModality, TD3MFShape

        inputs = self._checked()
        outputs = 1 if self.options.classes == 2 else self.options.classes
        if len(inputs) == 1:
            ((modality, facts),) = inputs.items()
            return OneModality(self._most(modality), _token(facts.shape, self._front), outputs)
        told = self.settings
        return Network(
            TD3MFShape(
                audio=_token(inputs["audio"].shape, self._front),
                video=_token(inputs["video"].shape, "none")[0],
                outputs=outputs,
                fusion=told.fusion,
                late=told.late,
                hidden=told.hidden,
                heads=told.heads,
                front=self._front,
                audio_width=told.audio_width,
                audio_stage=told.audio_stage,
                video_stage=told.video_stage,
                positions=told.positions,
                residual_attention=told.residual_attention,
                attention_scale=told.attention_scale,
                share_mfcc_convs=told.share_mfcc_convs,
            )
        )

    def example(self, tracks: Tracks) -> Example:
        """Values [slots, *shape] and mask [slots] of each modality, gaps left out."""
        out: Example = {}
        for modality, slots in tracks.items():
            scaled = standardised(slots.values, slots.valid, self.constants_, modality)
            track = Slots(scaled, slots.valid)
            if modality == "video" or self._front != "mfcc":
                track = tokens_as_slots(track)
            most = self._most(modality)
            stream = Stream.of(track).gathered().cut(most)
            fills = len(tracks) == 1 or self.settings.padding == "zeros"
            stream = stream.filled(most if fills else self._least(modality))
            out[modality], out[f"{modality}_mask"] = stream.values, stream.there
        return out

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Modality dropout: noise instead of the audio or the video of some clips."""
        from classify.nets.dropout import noise_for_one

        if not self.settings.modality_dropout or len(self.inputs) < 2:
            return batch, target
        return noise_for_one(batch, self.settings.modality_dropout, generator), target

    def loss(self, out: Any, target: Tensor, weight: Tensor) -> Tensor:
        from classify.nets.losses import focal_loss, two_logits

        return focal_loss(two_logits(out), target, weight, self.settings.focal_gamma)

    def probabilities(self, out: Any) -> Tensor:
        from classify.nets.losses import two_logits

        return super().probabilities(two_logits(out))

    @property
    def _front(self) -> Front:
        asked = self.settings.front
        if asked != "auto":
            return asked
        shape = self.shapes_.get("audio", ())
        if len(shape) == 2 and shape[0] == MFCC_COEFFICIENTS:
            return "mfcc"
        return "xvector" if shape == (XVECTOR_CLASSES,) else "none"

    def _most(self, modality: str) -> int:
        """Slots that a clip has at the most."""
        facts = self.inputs[modality]
        front = self._front if modality == "audio" else "none"
        tokens = facts.shape[0] if len(facts.shape) == 2 and front != "mfcc" else 1
        return tokens * (self.settings.seconds * facts.rate_hz if facts.rate_hz else 1)

    def _least(self, modality: str) -> int:
        """Slots that the convolutions after the fusion need."""
        if modality == "video" or self.settings.late:
            return 1
        return SHORTEST_STRIDED if self._front == "strided" else SHORTEST_AUDIO

    def _checked(self) -> dict[str, Input]:
        """The inputs, after refusing shapes and widths on which the network cannot work."""
        for modality, facts in self.inputs.items():
            if not has_time(facts):
                raise InputError(
                    "td3mf works on vectors, tokens or MFCC maps through time",
                    where=modality,
                    found=f"{facts.shape}, {facts.rate_hz} a second",
                    accepted="a column of shape (width,), (tokens, width) or (10, columns)",
                )
        if len(self.inputs) == 2:
            self._check_widths()
        return self.inputs

    def _check_widths(self) -> None:
        told, shape = self.settings, self.inputs["audio"].shape
        if self._front == "mfcc":
            fits = len(shape) == 2 and shape[0] == MFCC_COEFFICIENTS and shape[1] >= SHORTEST_MFCC
            if not fits:
                raise InputError(
                    "the MFCC front takes maps of 10 coefficients",
                    where="td3mf:front=mfcc",
                    found=shape,
                    accepted=f"(10, columns), {SHORTEST_MFCC} columns or more",
                )
        for name, width in {"hidden": told.hidden, "audio width": self._audio_width()}.items():
            if told.heads < 1 or width % told.heads:
                raise InputError(
                    f"the heads do not divide the {name}",
                    where="td3mf:heads",
                    found=f"{told.heads} heads, {name} {width}",
                    next_step="take heads=1, or project the audio with audio_width=64",
                )

    def _audio_width(self) -> int:
        from classify.nets.fronts import XVECTOR_WIDTH

        own = self.settings.audio_width or self.inputs["audio"].shape[-1]
        widths = {"mfcc": self.settings.hidden, "xvector": XVECTOR_WIDTH}
        return widths.get(self._front, own)


def _token(shape: tuple[int, ...], front: str) -> tuple[int, ...]:
    """Shape of one slot as the network sees it."""
    return shape if front == "mfcc" else shape[-1:]
