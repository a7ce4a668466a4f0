"""Published emotion2vec checkpoints: what they must hold, and how they become our tensors.

`emotion2vec_base.pt` and the plus models' `model.pt` are fairseq files: the tensors lie under
`model`, beside settings, optimiser and counters. FACTS.md, sections 2.3 and 2.4. The shapes are
written out here, apart from the network, so that funasr is not needed to take a file in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from extract.nets.emotion2vec_settings import (
    BASE,
    CONVOLUTIONS,
    EXTRA_TOKENS,
    MLP_RATIO,
    PLUS_BASE,
    PLUS_LARGE,
    PLUS_SMALL,
    POSITION_GROUPS,
    POSITION_KERNEL,
    POSITION_LAYERS,
    SMALL,
    Emotion2vecSettings,
)
from extract.nets.loading import Shapes, as_float32
from extract.weights.unwrapping import unwrapped

AUDIO = "modality_encoders.AUDIO."
_PREFIX = "d2v_model."
_DROPPED = ("_ema", f"{AUDIO}decoder.", "recon_proj.", "shared_decoder.")
"""The teacher, and what turns tokens back into what was masked: pretraining only."""


@dataclass(frozen=True)
class Emotion2vecFile:
    """A checkpoint of one size."""

    settings: Emotion2vecSettings

    def expected(self) -> Shapes:
        """Name → shape; 183 tensors for the base, 185 with the emotion head."""
        s = self.settings
        shapes = _local_encoder(s.channels) | _places(s)
        shapes |= {f"{AUDIO}project_features.1.{part}": (s.channels,) for part in _AFFINE}
        shapes |= _linear(f"{AUDIO}project_features.2", s.channels, s.dim)
        shapes |= {f"{AUDIO}context_encoder.norm.{part}": (s.dim,) for part in _AFFINE}
        fronts = [f"{AUDIO}context_encoder.blocks.{i}" for i in range(s.prenet)]
        for front in [*fronts, *(f"blocks.{i}" for i in range(s.depth))]:
            shapes |= _block(front, s.dim)
        return shapes | (_linear("proj", s.dim, s.classes) if s.classes else {})

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Tensor]:
        """The tensors in float32; wrapper, prefixes and what pretraining left taken off."""
        named = {name.removeprefix(_PREFIX): value for name, value in unwrapped(raw).items()}
        kept = {name: value for name, value in named.items() if not name.startswith(_DROPPED)}
        return {n: as_float32(v) if isinstance(v, Tensor) else v for n, v in kept.items()}


_AFFINE = ("weight", "bias")


def _local_encoder(channels: int) -> Shapes:
    shapes: Shapes = {}
    inputs = 1
    for i, (kernel, _) in enumerate(CONVOLUTIONS):
        front = f"{AUDIO}local_encoder.conv_layers.{i}"
        shapes[f"{front}.0.weight"] = (channels, inputs, kernel)
        shapes |= {f"{front}.2.1.{part}": (channels,) for part in _AFFINE}
        inputs = channels
    return shapes


def _places(settings: Emotion2vecSettings) -> Shapes:
    dim = settings.dim
    shapes: Shapes = {
        f"{AUDIO}extra_tokens": (1, EXTRA_TOKENS, dim),
        f"{AUDIO}alibi_scale": (1, 1, settings.heads, 1, 1),
    }
    for i in range(1, POSITION_LAYERS + 1):
        front = f"{AUDIO}relative_positional_encoder.{i}.0"
        shapes[f"{front}.weight"] = (dim, dim // POSITION_GROUPS, POSITION_KERNEL)
        shapes[f"{front}.bias"] = (dim,)
    return shapes


def _block(front: str, dim: int) -> Shapes:
    norms: Shapes = {f"{front}.norm{i}.{part}": (dim,) for i in (1, 2) for part in _AFFINE}
    return (
        norms
        | _linear(f"{front}.attn.qkv", dim, 3 * dim)
        | _linear(f"{front}.attn.proj", dim, dim)
        | _linear(f"{front}.mlp.fc1", dim, MLP_RATIO * dim)
        | _linear(f"{front}.mlp.fc2", MLP_RATIO * dim, dim)
    )


def _linear(front: str, inputs: int, outputs: int) -> Shapes:
    return {f"{front}.weight": (outputs, inputs), f"{front}.bias": (outputs,)}


BASE_FILE = Emotion2vecFile(BASE)
PLUS_BASE_FILE = Emotion2vecFile(PLUS_BASE)
PLUS_LARGE_FILE = Emotion2vecFile(PLUS_LARGE)
SMALL_FILE = Emotion2vecFile(SMALL)
PLUS_SMALL_FILE = Emotion2vecFile(PLUS_SMALL)
