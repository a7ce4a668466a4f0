"""MARLIN's encoder (Cai et al., CVPR 2023): a ViT over tubelets of 16 face crops.

Written from FACTS.md, section 4. Key names and shapes are those of the published files:
encoder-only (`.encoder.pt`), full (`.full.pt`), Lightning's (`.ckpt`) and Hugging Face's
(safetensors).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfd.errors import InputError
from extract.nets.checkpoints import StateDict
from extract.nets.marlin_settings import BASE, LARGE, PATCH, SMALL, TINY, TUBELET, MarlinSettings

MLP_RATIO = 4
NORM_EPS = 1e-5  # VideoMAE's is 1e-6
PLACES = "encoder.pos_embedding.emb"
WAVE_BASE = 10_000.0
PLACES_TOLERANCE = 2e-3
"""Published tables come of float32 angles up to 1,567, off by up to 4e-4; half precision: 5e-4."""


class Marlin(nn.Module):
    """RGB crops, uint8 [batch, frames, size, size, 3] → tokens [batch, steps · places, dim]."""

    def __init__(self, settings: MarlinSettings) -> None:
        super().__init__()
        self.encoder = _Encoder(settings)

    def forward(self, crops: Tensor, *, norm: bool = True) -> Tensor:
        """The tokens, by time, row and column; `norm`: with the last normalisation."""
        pictures = crops.permute(0, 4, 1, 2, 3).to(self.encoder.norm.weight.dtype) / 255
        tokens: Tensor = self.encoder(pictures)
        return self.encoder.norm(tokens) if norm else tokens


class _Encoder(nn.Module):
    """Pictures of 0 to 1, [batch, 3, frames, size, size] → tokens before the last norm."""

    def __init__(self, settings: MarlinSettings) -> None:
        super().__init__()
        self.patch_embedding = _Tubelets(settings.dim)
        self.pos_embedding = _Places(settings)
        self.blocks = nn.ModuleList([_Block(settings) for _ in range(settings.depth)])
        self.norm = nn.LayerNorm(settings.dim, eps=NORM_EPS)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.pos_embedding(self.patch_embedding(pictures))
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class _Tubelets(nn.Module):
    """Boxes of 2 × 16 × 16 pixels that do not overlap → tokens [batch, tokens, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        box = (TUBELET, PATCH, PATCH)
        self.projection = nn.Conv3d(3, dim, kernel_size=box, stride=box)

    def forward(self, pictures: Tensor) -> Tensor:
        maps: Tensor = self.projection(pictures)
        return maps.flatten(2).transpose(1, 2)


class _Places(nn.Module):
    """Adds what tells where a token lies: fixed sinusoids, which the file holds."""

    emb: Tensor

    def __init__(self, settings: MarlinSettings) -> None:
        super().__init__()
        self.register_buffer("emb", torch.zeros(1, settings.tokens, settings.dim))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.emb


class _Block(nn.Module):
    """Attention and perceptron, each on normalised tokens and added to them."""

    def __init__(self, settings: MarlinSettings) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings.dim, eps=NORM_EPS)
        self.attn = _Attention(settings.dim, settings.heads)
        self.norm2 = nn.LayerNorm(settings.dim, eps=NORM_EPS)
        self.mlp = _Perceptron(settings.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        answer: Tensor = tokens + self.mlp(self.norm2(tokens))
        return answer


class _Attention(nn.Module):
    """Of every token to every token; queries and values have biases, keys have none."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, n, dim = tokens.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        split = F.linear(tokens, self.qkv.weight, bias).view(batch, n, 3, self.heads, -1)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        answer: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, n, dim))
        return answer


class _Perceptron(nn.Module):
    """Four times as wide inside, with GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        wide, narrow = nn.Linear(dim, MLP_RATIO * dim), nn.Linear(MLP_RATIO * dim, dim)
        named = (nn.Sequential(OrderedDict(linear=layer)) for layer in (wide, narrow))
        self.layers = nn.ModuleList(named)

    def forward(self, tokens: Tensor) -> Tensor:
        widen, narrow = self.layers
        answer: Tensor = narrow(F.gelu(widen(tokens)))
        return answer


def sinusoids(tokens: int, dim: int) -> Tensor:
    """Places of the tokens, [tokens, dim]: of each pair of columns a sine and a cosine.

    The angle is the place, divided by 10,000 to the power of twice the pair's number over dim
    (FACTS.md, 4.2).
    """
    pairs = torch.arange(dim, dtype=torch.float64) // 2
    places = torch.arange(tokens, dtype=torch.float64)[:, None]
    angles = places / WAVE_BASE ** (2 * pairs / dim)
    even = torch.arange(dim) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos()).float()


def check_places(settings: MarlinSettings, table: Tensor) -> None:
    """Refuse places that are not the sinusoids of MARLIN.

    Args:
        table: [1, tokens, dim] as stored.
    """
    off = (table[0].float() - sinusoids(settings.tokens, settings.dim)).abs().amax(dim=1)
    if not bool((off <= PLACES_TOLERANCE).all()):
        row = int(off.argmax())
        raise InputError(
            "the table of places is not MARLIN's",
            where=PLACES,
            found=f"row {row} is off by {off[row]:.3g}",
            accepted="sines and cosines of the token's number",
            next_step="fetch the file again, or check that it is a MARLIN checkpoint",
        )


def _checkpoint(settings: MarlinSettings) -> StateDict:
    """Lightning's wrapper and Hugging Face's prefix off, decoder and discriminator dropped."""
    return StateDict(
        partial(Marlin, settings),
        prefix="marlin.",
        dropped=("decoder.", "enc_dec_proj.", "discriminator"),
        formulas={PLACES: partial(check_places, settings)},
    )


ENCODER_SMALL = _checkpoint(SMALL)
ENCODER_BASE = _checkpoint(BASE)
ENCODER_LARGE = _checkpoint(LARGE)
ENCODER_TINY = _checkpoint(TINY)
