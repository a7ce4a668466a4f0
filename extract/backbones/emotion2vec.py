"""emotion2vec: what the voice expresses, a vector or nine scores a second, or 50 a second.

Ma et al. 2024, arXiv 2312.15185; used by 2D3MF. The facts are in FACTS.md, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from avfd.specs import AudioInput, BackboneSpec, Scalar
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones._seconds import SLACK_SECONDS, whole_seconds
from extract.backbones._spans import check_long_enough, core_samples, core_valid, means
from extract.backbones.base import AudioBlock, Slots, register
from extract.nets.emotion2vec_settings import (
    BASE,
    FIELD,
    HOP,
    PLUS_BASE,
    PLUS_LARGE,
    PLUS_SMALL,
    SMALL,
    Emotion2vecSettings,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLE_RATE_HZ = 16_000
FRAMES_HZ = SAMPLE_RATE_HZ // HOP  # 50
BLOCK_SECONDS = 30.0
TAIL_SECONDS = 1.0  # so much longer may a last block be, so that none is a mere remainder
WHOLE_SECONDS = 120.0
"""The longest clip that is seen at once where blocks were refused: attention then compares 6,000
frames with each other, 1.7 GB for 12 heads, of which several are held at a time."""
PAPER_RATE_HZ = 44_100  # of the samples that 2D3MF passes as if they were 16 kHz
EPS = 1e-5


@dataclass(frozen=True)
class Emotion2vecOptions(NetworkOptions):
    """What emotion2vec can be told.

    Attributes:
        output: "embedding", or "scores": the nine classes of the plus models, summing to one.
        frames: every frame, 50 a second, instead of a mean for each second.
        as_2d3mf: what 2D3MF really stored: whole seconds, each by itself, of samples at 44.1 kHz
            that are taken for 16 kHz (137 frames, the pitch 2.76 times too low), their mean.
        block_seconds: how much of a long clip is normalised and seen at once; 0, the whole clip,
            as the published code: up to `WHOLE_SECONDS`, longer ones fail.
    """

    output: Literal["embedding", "scores"] = "embedding"
    frames: bool = False
    as_2d3mf: bool = False
    block_seconds: Literal[30, 0] = 30

    def __post_init__(self) -> None:
        if self.as_2d3mf and not self.block_seconds:
            raise InputError(
                "2D3MF's way sees each second by itself",
                where="emotion2vec",
                found="block_seconds=0,as_2d3mf=true",
                accepted="one of the two",
            )
        if self.frames and self.as_2d3mf:
            raise InputError(
                "2D3MF's way has one vector a second",
                where="emotion2vec",
                found="frames=true,as_2d3mf=true",
                accepted="one of the two",
            )

    @property
    def audio(self) -> AudioInput:
        """The whole clip up to 30 s, longer ones in blocks of 30 s if at all; 2D3MF's: seconds."""
        if self.as_2d3mf:
            return AudioInput(PAPER_RATE_HZ, "mean", "soxr-hq", BLOCK_SECONDS, 0.0, 0.0)
        if not self.block_seconds:
            return AudioInput(SAMPLE_RATE_HZ, "mean", "soxr-hq", None, 0.0, 0.0)
        return AudioInput(SAMPLE_RATE_HZ, "mean", "soxr-hq", BLOCK_SECONDS, 0.0, TAIL_SECONDS)

    @property
    def normalised_over(self) -> str:
        """What is brought to zero mean and unit variance."""
        if self.as_2d3mf:
            return "second"
        return "block" if self.block_seconds else "clip"

    @property
    def stated(self) -> dict[str, Scalar]:
        """What the spec says of them; the block stands in its audio."""
        return {k: v for k, v in asdict(self).items() if k != "block_seconds"}


DEFAULT = Emotion2vecOptions()


class Emotion2vec(NetworkBackbone):
    """Blocks of up to 30 s, each normalised over all its samples and seen at once.

    Frame i covers the samples 320 i to 320 i + 399 and counts where their middle lies.
    """

    requires = ("torch", "funasr", "omegaconf", "safetensors")
    name: ClassVar[str]
    settings: ClassVar[Emotion2vecSettings]
    options: Emotion2vecOptions

    def __init__(self, options: Emotion2vecOptions = DEFAULT) -> None:
        self.options = options
        self.size, self.weights = self._network()
        if options.output == "scores" and not self.size.classes:
            raise InputError(
                "this model has no emotion head",
                where=self.name,
                found="output=scores",
                accepted="emotion2vec-plus-seed, -base or -large",
            )
        self.spec = BackboneSpec(
            name=self.name,
            revision=1,
            modality="audio",
            summary=self._summary(),
            rate_hz=FRAMES_HZ if options.frames else 1,
            shape=(self.size.classes if options.output == "scores" else self.size.dim,),
            audio=options.audio,
            options={
                **options.stated,
                "normalised_over": options.normalised_over,
                "normalisation_eps": EPS,
                "frame_samples": FIELD,
                "frame_hop": HOP,
                "slot_of_frame": "centre",
                "slack_seconds": SLACK_SECONDS if options.as_2d3mf else None,
            },
            weights=(self.weights,),
            licence="code MIT (funasr), weights unclear (FunASR model licence): keep to yourself",
            source="emotion2vec (Ma et al. 2024), github.com/ddlBoJack/emotion2vec",
        )

    def _network(self) -> tuple[Emotion2vecSettings, str]:
        """Size and weights."""
        if self.options.preset == "published":
            return self.settings, self.name
        if self.settings.classes:
            return PLUS_SMALL, "emotion2vec-plus-small"
        return SMALL, "emotion2vec-small"

    def _summary(self) -> str:
        what = "scores of nine emotions" if self.options.output == "scores" else "frames"
        how = ", 50 a second" if self.options.frames else ", their mean for each second"
        return f"{self.name}: {what}{how}"

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from extract.nets.emotion2vec import Emotion2vecNetwork
        from extract.nets.loading import loaded

        return loaded(partial(Emotion2vecNetwork, self.size), states[self.weights], self.weights)

    def windows(self, block: AudioBlock) -> Windows:
        first, valid = core_valid(block, self.spec.rate_hz)
        if self.options.as_2d3mf:
            seconds, valid = whole_seconds(block)
            check_long_enough(self.name, block, valid, 1 - SLACK_SECONDS)
            return Windows(normalised(seconds[valid]), first, valid)
        check_long_enough(self.name, block, valid, FIELD / SAMPLE_RATE_HZ)
        self._check_fits(block)
        return Windows(normalised(core_samples(block)[None]), first, valid)

    def _check_fits(self, block: AudioBlock) -> None:
        """Refuse what is too long to be seen at once."""
        seconds = block.core_seconds[1] - block.core_seconds[0]
        if seconds > WHOLE_SECONDS:
            raise InputError(
                "too long to be seen whole: the memory for it grows with the square of the length",
                where=f"{self.name}:block_seconds=0",
                found=f"{seconds:.1f} s",
                accepted=f"{WHOLE_SECONDS:g} s",
                next_step=f"ask for {self.name} without block_seconds=0",
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Frames [n, frames, dim]; for scores the logits of each frame, [n, frames, 9]."""
        network: Any = self.network
        answer: Tensor = (
            network.logits(inputs) if self.options.output == "scores" else network(inputs)
        )
        return answer

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        values, filled = self._in_slots(outputs, windows.valid)
        if self.options.output == "scores":
            values = softmax(values)
        return Slots(windows.first_slot, values, windows.valid & filled)

    def _in_slots(
        self, outputs: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A vector for each slot, and which slots have frames."""
        if self.options.as_2d3mf:
            values = np.zeros((len(valid), outputs.shape[2]), dtype=np.float32)
            values[valid] = outputs.mean(axis=1, dtype=np.float64)
            return values, valid
        (frames,) = outputs
        centres = (np.arange(len(frames)) * HOP + FIELD / 2) / SAMPLE_RATE_HZ
        return means(frames, centres, len(valid), self.spec.rate_hz)


def normalised(waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero mean and unit variance over all samples of each waveform, [n, samples]."""
    centred = waveforms - waveforms.mean(axis=1, keepdims=True, dtype=np.float64)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (centred / np.sqrt(variance + EPS)).astype(np.float32)
    return scaled


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores that sum to one along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return scores


@register("emotion2vec", DEFAULT)
class Emotion2vecBase(Emotion2vec):
    name, settings = "emotion2vec", BASE


@register("emotion2vec-plus-seed", DEFAULT)
class Emotion2vecPlusSeed(Emotion2vec):
    name, settings = "emotion2vec-plus-seed", PLUS_BASE


@register("emotion2vec-plus-base", DEFAULT)
class Emotion2vecPlusBase(Emotion2vec):
    name, settings = "emotion2vec-plus-base", PLUS_BASE


@register("emotion2vec-plus-large", DEFAULT)
class Emotion2vecPlusLarge(Emotion2vec):
    name, settings = "emotion2vec-plus-large", PLUS_LARGE
