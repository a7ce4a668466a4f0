"""EAT: tokens of the Efficient Audio Transformer, a mean for each second, all, or the class token.

Chen et al. 2024, arXiv 2401.03497; used by 2D3MF. The facts are in FACTS.md, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError, InputError
from avfd.specs import AudioInput, BackboneSpec, Scalar
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones._spans import check_long_enough, core_samples, core_valid, means
from extract.backbones.base import AudioBlock, Slots, register
from extract.nets.eat_settings import (
    BANDS,
    BASE,
    LARGE,
    MAX_STEPS,
    MEL_BANDS,
    PATCH,
    SMALL,
    EatSettings,
)
from extract.weights.finding import read_card

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

SAMPLE_RATE_HZ = 16_000
FRAME_SECONDS = 0.010
STEP_SECONDS = PATCH * FRAME_SECONDS  # 0.16
TOKENS_HZ = 50  # 8 for each step of 0.16 s
SHORTEST_SECONDS = 0.025  # one frame
NORMALISATIONS = {"audioset": (-4.268, 4.569), "esc50": (-6.627, 5.359), "spcv2": (-6.846, 5.565)}
"""Mean and standard deviation of the log-mel, over which data the network was trained on."""
FBANK: dict[str, Scalar] = {
    "htk_compat": True,
    "sample_frequency": float(SAMPLE_RATE_HZ),
    "use_energy": False,
    "window_type": "hanning",
    "num_mel_bins": MEL_BANDS,
    "dither": 0.0,
    "frame_length": 25.0,
    "frame_shift": 10.0,
}
"""What torchaudio.compliance.kaldi.fbank is told; all else as it is by default."""


@dataclass(frozen=True)
class EatOptions(NetworkOptions):
    """What EAT can be told.

    Attributes:
        tokens: "pooled", one vector a second: the eight mel tokens of each step are averaged,
            then the steps whose centre, (t + 0.5) * 0.16 s, lies in the second. "raw", every
            token, 50 a second: token t * 8 + f of a block stands in its slot t * 8 + f, which
            is where step t lies in time. "clip", one array a clip: all tokens of its first
            block, padding too, as 2D3MF stored them. "utterance", the class token of the block in
            which the second lies, so the same in each of its seconds.
        normalisation: constants of the data that the network was trained on last. Of the weights
            in the table that is AudioSet; "esc50" and "spcv2" are for one's own, finetuned on
            ESC-50 or Speech Commands v2 and added without their head.
        target_length: frames of 10 ms that the network sees at once; the sound is cut into blocks
            of as many whole seconds as fit.
        pad: what fills a picture that is too short: "mel", zeros in the log-mel, as the published
            code; "silence", zeros in the sound up to the block's seconds, then as before, as 2D3MF.
    """

    tokens: Literal["pooled", "raw", "clip", "utterance"] = "pooled"
    normalisation: Literal["audioset", "esc50", "spcv2"] = "audioset"
    target_length: int = 1024
    pad: Literal["mel", "silence"] = "mel"

    def __post_init__(self) -> None:
        if self.target_length % PATCH or not 112 <= self.target_length <= MAX_STEPS * PATCH:
            raise InputError(
                "not a length that EAT can see",
                where="eat:target_length",
                found=self.target_length,
                accepted=f"a multiple of {PATCH} from 112 to {MAX_STEPS * PATCH:,}",
            )

    @property
    def block_seconds(self) -> int:
        """Whole seconds of a block: 10 for 1,024 frames, 5 for 512, 1 for 128."""
        return self.target_length // 100

    @property
    def audio(self) -> AudioInput:
        """Blocks without lead-in; what a last block may be longer, the picture holds too."""
        spare = round(self.target_length / 100 - self.block_seconds, 2)
        tail = 0.0 if self.tokens == "clip" else spare
        return AudioInput(SAMPLE_RATE_HZ, "mean", "soxr-hq", self.block_seconds, 0.0, tail)


DEFAULT = EatOptions()


class Eat(NetworkBackbone):
    """Blocks of up to ten seconds, each a log-mel picture of its own.

    A block ends in the picture's padding where it is short. No vector depends on another block.
    """

    requires = ("torch", "torchaudio", "safetensors")
    name: ClassVar[str]
    settings: ClassVar[EatSettings]
    training: ClassVar[str]
    options: EatOptions

    def __init__(self, options: EatOptions = DEFAULT) -> None:
        self.options = options
        small = options.preset == "small"
        self.size = SMALL if small else self.settings
        finetuned = "-finetuned" if "finetuned" in self.name else ""
        self.weights = f"eat{finetuned}-small" if small else self.name
        if finetuned:
            self._check_trained_on(self.name)
        rate_hz, shape = self._grid()
        mean, std = NORMALISATIONS[options.normalisation]
        self.spec = BackboneSpec(
            name=self.name,
            revision=1,
            modality="audio",
            summary=f"EAT, {self.training}: {_SAID[options.tokens]}",
            rate_hz=rate_hz,
            shape=shape,
            audio=options.audio,
            options={
                **asdict(options),
                **{f"fbank_{name}": value for name, value in FBANK.items()},
                "low_hz": 20,
                "high_hz": SAMPLE_RATE_HZ // 2,
                "preemphasis": 0.97,
                "offset": "mean of the block",
                "mean": mean,
                "std": std,
                "scaled_by": "2 std",
                "pad_value": 0.0,
                "step_seconds": STEP_SECONDS,
                "slot_of_step": "centre",
            },
            weights=(self.weights,),
            licence="MIT (EAT, code and weights)",
            source="EAT (Chen et al. 2024), github.com/cwx-worst-one/EAT",
        )

    def check(self, files: Mapping[str, Path]) -> None:
        super().check(files)
        if any(read_card(path).get("origin") == "published" for path in files.values()):
            self._check_trained_on(", ".join(map(str, files.values())))

    def _check_trained_on(self, where: str) -> None:
        """Refuse other constants than AudioSet's with weights that were trained on it last."""
        if self.options.normalisation != "audioset":
            raise InputError(
                "these weights were trained on AudioSet last",
                where=where,
                found=f"normalisation={self.options.normalisation}",
                accepted="normalisation=audioset",
                next_step="other constants are for weights of your own, finetuned on that set: "
                "add them without their head as eat or eat-large",
            )

    def _grid(self) -> tuple[int, tuple[int, ...]]:
        """Rate and shape of the column."""
        if self.options.tokens == "clip":
            return 0, (self.options.target_length // PATCH * BANDS, self.size.dim)
        return (TOKENS_HZ if self.options.tokens == "raw" else 1), (self.size.dim,)

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from extract.nets.eat import EatNetwork
        from extract.nets.eat_files import encoder_only
        from extract.nets.loading import loaded

        tensors = encoder_only(states[self.weights])
        return loaded(partial(EatNetwork, self.size), tensors, self.weights)

    def windows(self, block: AudioBlock) -> Windows:
        samples = core_samples(block)
        first, valid = core_valid(block, self.spec.rate_hz or 1)
        if self.options.tokens == "clip":
            first, valid = 0, np.ones(1, dtype=bool)
            if block.core_seconds[0]:
                raise AbsentError(
                    "not taken", accepted=f"the clip's first {self.options.block_seconds} s"
                )
        check_long_enough(self.name, block, valid, SHORTEST_SECONDS)
        picture = self.picture(samples)[None, None]
        return Windows(picture, first, valid, {"seconds": len(samples) / SAMPLE_RATE_HZ})

    def picture(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network sees of a block's sound, [samples] → [target_length, 128]."""
        options = self.options
        if options.pad == "silence":
            missing = options.block_seconds * SAMPLE_RATE_HZ - len(samples)
            samples = np.pad(samples, (0, max(0, missing)))
        mel = log_mel(samples)[: options.target_length]
        padded = np.pad(mel, ((0, options.target_length - len(mel)), (0, 0)))
        mean, std = NORMALISATIONS[options.normalisation]
        return ((padded - np.float32(mean)) / np.float32(2 * std)).astype(np.float32)

    def forward(self, inputs: Tensor) -> Tensor:
        """Patch tokens [n, tokens, dim]; pooled: [n, steps, dim]; the class token: [n, 1, dim]."""
        every: Tensor = self.network(inputs)
        if self.options.tokens == "utterance":
            return every[:, :1]
        tokens = every[:, 1:]
        if self.options.tokens == "pooled":
            tokens = tokens.reshape(len(tokens), -1, BANDS, self.size.dim).mean(dim=2)
        return tokens

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        (found,) = outputs
        first, valid = windows.first_slot, windows.valid
        if self.options.tokens == "clip":
            return Slots(first, outputs, valid)
        if self.options.tokens == "raw":
            return Slots(first, found[: len(valid)], valid)
        if self.options.tokens == "utterance":
            return Slots(first, np.repeat(found, len(valid), axis=0), valid)
        centres = (np.arange(len(found)) + 0.5) * STEP_SECONDS
        heard = centres < windows.facts["seconds"]
        values, filled = means(found[heard], centres[heard], len(valid), 1)
        return Slots(first, values, valid & filled)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kaldi's log-mel of sound at 16 kHz, its mean taken off first, [samples] → [frames, 128].

    1 + (samples - 400) // 160 frames; silence is -15.94. Samples are not scaled up to 16 bits.
    """
    import torch
    from torchaudio.compliance import kaldi

    sound = torch.from_numpy(samples.copy())
    mel: NDArray[np.float32] = kaldi.fbank((sound - sound.mean())[None], **FBANK).numpy()
    return mel


_SAID = {
    "pooled": "the mean token of each second",
    "raw": "patch tokens, 50 a second",
    "clip": "all patch tokens of the clip's first block",
    "utterance": "the class token of the block that holds the second",
}


@register("eat", DEFAULT)
class EatBase(Eat):
    name, settings, training = "eat", BASE, "base, pretrained"


@register("eat-large", DEFAULT)
class EatLarge(Eat):
    name, settings, training = "eat-large", LARGE, "large, pretrained"


@register("eat-finetuned", DEFAULT)
class EatFinetuned(Eat):
    name, settings, training = "eat-finetuned", BASE, "base, finetuned on AudioSet"


@register("eat-large-finetuned", DEFAULT)
class EatLargeFinetuned(Eat):
    name, settings, training = "eat-large-finetuned", LARGE, "large, finetuned on AudioSet"
