"""EAT, the Efficient Audio Transformer (Chen et al. 2024, arXiv 2401.03497), without its decoder.

A transformer over patches of 16 mel bands × 16 frames (160 ms) of a log-mel picture: post-norm
blocks, one class token, a fixed sine table for the places. FACTS.md, section 1.2, has the order of
the steps; tensor names are those of the authors' Hugging Face files without the leading `model.`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from extract.nets.eat_settings import BANDS, BASE, MAX_STEPS, PATCH, EatSettings

MLP_RATIO = 4
EPS = 1e-6
_BASE = 10_000.0


def position_table(dim: int, steps: int = MAX_STEPS) -> NDArray[np.float32]:
    """Places of the tokens, [steps * 8, dim]; row t * 8 + f is time step t, mel patch f.

    The first half of a row encodes f, the second t; each half is sines, then cosines, of
    dim / 4 frequencies from 1 down to 1/10,000. All in float32, as the published tables were
    made: late steps differ by up to 1e-4 from the formula in double precision.
    """
    quarter = dim // 4
    exponent = np.arange(quarter, dtype=np.float32) / np.float32(quarter)
    omega = np.float32(1) / np.float32(_BASE) ** exponent
    steps_of, bands_of = np.divmod(np.arange(steps * BANDS), BANDS)
    angles = [np.outer(place.astype(np.float32), omega) for place in (bands_of, steps_of)]
    return np.concatenate([wave(a) for a in angles for wave in (np.sin, np.cos)], axis=1)


class EatNetwork(nn.Module):
    """Normalised log-mel pictures → tokens of the last block, the class token first."""

    def __init__(self, settings: EatSettings = BASE) -> None:
        super().__init__()
        dim = settings.dim
        self.settings = settings
        self.local_encoder = nn.ModuleDict({"proj": nn.Conv2d(1, dim, PATCH, stride=PATCH)})
        self.extra_tokens = nn.Parameter(torch.zeros(1, 1, dim))
        table = nn.Parameter(torch.zeros(1, MAX_STEPS * BANDS, dim), requires_grad=False)
        self.fixed_positional_encoder = nn.ParameterDict({"positions": table})
        self.pre_norm = nn.LayerNorm(dim, eps=EPS)
        self.blocks = nn.ModuleList(_Block(dim, settings.heads) for _ in range(settings.depth))

    def forward(self, mel: Tensor) -> Tensor:
        """Tokens [batch, 1 + frames / 2, dim]; token 1 + t * 8 + f is time step t, mel patch f.

        Args:
            mel: [batch, 1, frames, 128], frames a multiple of 16 and at most 12,288.
        """
        patches = self.local_encoder["proj"](mel).flatten(2).transpose(1, 2)
        places = self.fixed_positional_encoder["positions"][:, : patches.shape[1]]
        first = self.extra_tokens.expand(len(patches), -1, -1)
        tokens: Tensor = self.pre_norm(torch.cat([first, patches + places], dim=1))
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class _Block(nn.Module):
    """Attention and perceptron, each added to what came in, with the norm after the sum."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = _Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        inner = {"fc1": nn.Linear(dim, dim * MLP_RATIO), "fc2": nn.Linear(dim * MLP_RATIO, dim)}
        self.mlp = nn.ModuleDict(inner)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x))
        normed: Tensor = self.norm2(x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](x))))
        return normed


class _Attention(nn.Module):
    """Every token looks at every token."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        split = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [batch, heads, tokens, head dim]
        mixed = F.scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return joined
