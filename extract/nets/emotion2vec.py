"""emotion2vec (Ma et al. 2024, arXiv 2312.15185): funasr's layers, put together for features.

Convolutions over the waveform, convolutions for the places, ten extra tokens, then transformer
blocks whose attention falls off with distance (ALiBi). FACTS.md, section 2.2; tensor names are
those of the published `emotion2vec_base.pt`. Masks, padding and pretraining are left out.
"""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extract.nets._funasr import emotion2vec_classes
from extract.nets.emotion2vec_settings import (
    BASE,
    CONVOLUTIONS,
    EXTRA_TOKENS,
    MLP_RATIO,
    POSITION_GROUPS,
    POSITION_KERNEL,
    POSITION_LAYERS,
    Emotion2vecSettings,
)

EPS = 1e-5


class Emotion2vecNetwork(nn.Module):
    """Waveforms of unit variance → a vector for each frame of 20 ms; scores where it has classes.

    All waveforms of a batch are equally long: padding would change every frame.
    """

    def __init__(self, settings: Emotion2vecSettings = BASE) -> None:
        super().__init__()
        self.settings = settings
        dim, heads = settings.dim, settings.heads
        norm = partial(nn.LayerNorm, eps=EPS)
        with emotion2vec_classes() as (encoder_class, block_class):

            def block(*_: object) -> Any:
                return block_class(
                    dim, heads, MLP_RATIO, qkv_bias=True, norm_layer=norm, layer_norm_first=False
                )

            encoder = encoder_class(_modality(settings), dim, block, norm, False, {})
            self.blocks = nn.ModuleList(block() for _ in range(settings.depth))
        encoder.local_encoder = _Convolutions(encoder.local_encoder.conv_layers)
        encoder.get_alibi_bias = partial(alibi, slopes(heads))
        self.modality_encoders = nn.ModuleDict({"AUDIO": encoder})
        self.proj = nn.Linear(dim, settings.classes) if settings.classes else None

    def forward(self, waveforms: Tensor) -> Tensor:
        """Frames [batch, frames, dim] of waveforms [batch, samples]."""
        seen = self.modality_encoders["AUDIO"](
            waveforms, padding_mask=None, mask=False, remove_masked=False
        )
        x: Tensor = seen["x"]
        for block in self.blocks:
            x, _ = block(x, alibi_bias=seen["alibi_bias"])
        return x[:, EXTRA_TOKENS:]

    def logits(self, waveforms: Tensor) -> Tensor:
        """Class logits of each frame, [batch, frames, 9]; their mean is the logit of the mean."""
        assert self.proj is not None
        scores: Tensor = self.proj(self(waveforms))
        return scores


class _Convolutions(nn.Module):
    """funasr's convolutions over the waveform, with time before channels throughout.

    So each is one product of matrices, and the norm after it needs no copy: on a CPU the whole
    network takes an eighth less.

    Args:
        layers: funasr's, with their weights; each is a convolution, dropout, a norm and GELU.
    """

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.conv_layers = layers

    def forward(self, waveforms: Tensor) -> Tensor:
        """[batch, samples] → [batch, channels, frames]."""
        x = waveforms[:, :, None]
        layer: Any
        for layer, (kernel, stride) in zip(self.conv_layers, CONVOLUTIONS, strict=True):
            weight, norm = layer[0].weight, layer[2][1]
            spans = _spans(x, kernel, stride)
            x = F.linear(spans, weight.transpose(1, 2).flatten(1))
            x = F.gelu(F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        return x.transpose(1, 2)


def _spans(x: Tensor, kernel: int, stride: int) -> Tensor:
    """What each place of a convolution sees, [batch, n, channels] → [batch, places, seen]."""
    batch, n, channels = x.shape
    size = (batch, (n - kernel) // stride + 1, kernel * channels)
    return x.contiguous().as_strided(size, (n * channels, stride * channels, 1))


def slopes(heads: int) -> list[float]:
    """How fast attention falls off with distance, one number a head.

    A geometric row from 2^(-8/n) to 2^-8 for n heads, n a power of two; for other numbers the
    row of the power below, filled up with every other number of the row twice as long.

    >>> slopes(12)[:2], slopes(12)[7:9], slopes(16)[1]
    ([0.5, 0.25], [0.00390625, 0.7071067811865476], 0.5)
    """
    below = 2 ** math.floor(math.log2(heads))
    row = [2.0 ** (-8 * (i + 1) / below) for i in range(below)]
    return row if below == heads else row + slopes(2 * below)[::2][: heads - below]


def alibi(
    slope: list[float],
    *,
    time_steps: int,
    dtype: torch.dtype,
    device: torch.device,
    **_: object,
) -> Tensor:
    """-slope * |i - j|, [1, heads, frames, frames], the same for a whole batch.

    It stands in for funasr's own, which keeps one copy for each clip of the largest batch.
    """
    place = torch.arange(time_steps, device=device, dtype=dtype)
    distance = (place[:, None] - place[None]).abs()
    return -torch.tensor(slope, device=device, dtype=dtype)[:, None, None] * distance[None, None]


def _modality(settings: Emotion2vecSettings) -> SimpleNamespace:
    """The settings by the names that funasr's encoder looks for."""
    layers = [(settings.channels, kernel, stride) for kernel, stride in CONVOLUTIONS]
    return SimpleNamespace(
        feature_encoder_spec=repr(layers),
        extractor_mode="layer_norm",
        conv_pos_width=POSITION_KERNEL * POSITION_LAYERS,
        conv_pos_depth=POSITION_LAYERS,
        conv_pos_groups=POSITION_GROUPS,
        conv_pos_pre_ln=False,
        prenet_depth=settings.prenet,
        prenet_layerdrop=0.0,
        prenet_dropout=0.0,
        start_drop_path_rate=0.0,
        end_drop_path_rate=0.0,
        decoder=None,
        local_grad_mult=1.0,
        num_extra_tokens=EXTRA_TOKENS,
        init_extra_token_zero=True,
        use_alibi_encoder=True,
        alibi_scale=1.0,
        learned_alibi=False,
        learned_alibi_scale=True,
        learned_alibi_scale_per_head=True,
        learned_alibi_scale_per_layer=False,
        num_alibi_heads=settings.heads,
        model_depth=settings.depth,
    )
