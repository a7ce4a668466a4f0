"""MARLIN as FACTS.md, 4.2 to 4.4, tells it: files as they are published, and the steps in float64.

`conftest.py` hands the module out as the fixture `marlin_makers`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from extract.nets.marlin_settings import TINY, MarlinSettings

Tensors = dict[str, Tensor]
PIXELS = 1536  # of a tubelet: 2 × 16 × 16 × 3, what the decoder paints


def block_shapes(front: str, dim: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{front}.norm1.weight": (dim,),
        f"{front}.norm1.bias": (dim,),
        f"{front}.attn.q_bias": (dim,),
        f"{front}.attn.v_bias": (dim,),
        f"{front}.attn.qkv.weight": (3 * dim, dim),
        f"{front}.attn.proj.weight": (dim, dim),
        f"{front}.attn.proj.bias": (dim,),
        f"{front}.norm2.weight": (dim,),
        f"{front}.norm2.bias": (dim,),
        f"{front}.mlp.layers.0.linear.weight": (4 * dim, dim),
        f"{front}.mlp.layers.0.linear.bias": (4 * dim,),
        f"{front}.mlp.layers.1.linear.weight": (dim, 4 * dim),
        f"{front}.mlp.layers.1.linear.bias": (dim,),
    }


def encoder_shapes(s: MarlinSettings) -> dict[str, tuple[int, ...]]:
    """Every tensor of an encoder-only file."""
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.patch_embedding.projection.weight": (s.dim, 3, 2, 16, 16),
        "encoder.patch_embedding.projection.bias": (s.dim,),
        "encoder.pos_embedding.emb": (1, s.tokens, s.dim),
    }
    for i in range(s.depth):
        shapes |= block_shapes(f"encoder.blocks.{i}", s.dim)
    return shapes | {"encoder.norm.weight": (s.dim,), "encoder.norm.bias": (s.dim,)}


def decoder_shapes(s: MarlinSettings, dim: int, depth: int) -> dict[str, tuple[int, ...]]:
    """What a full file holds beside the encoder."""
    shapes: dict[str, tuple[int, ...]] = {
        "decoder.mask_token": (1, 1, dim),
        "decoder.pos_embedding.emb": (1, s.tokens, dim),
        "decoder.norm.weight": (dim,),
        "decoder.norm.bias": (dim,),
        "decoder.head.weight": (PIXELS, dim),
        "decoder.head.bias": (PIXELS,),
        "enc_dec_proj.weight": (dim, s.dim),
    }
    for i in range(depth):
        shapes |= block_shapes(f"decoder.blocks.{i}", dim)
    return shapes


def sinusoid(tokens: int, dim: int) -> Tensor:
    """Fixed positions, as VideoMAE has them: even numbers are sines, odd ones cosines."""
    place, j = torch.arange(tokens, dtype=torch.float64)[:, None], torch.arange(dim)
    angle = place / 10_000 ** (2 * (j // 2) / dim)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos())[None].float()


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Tensors:
    """Random tensors, but for the fixed positions; names in the published order."""
    made = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=made)
        if name.endswith("pos_embedding.emb"):
            tensors[name] = sinusoid(shape[1], shape[2])
        elif len(shape) == 1:
            tensors[name] = 0.1 * noise + ("norm" in name and name.endswith("weight"))
        else:
            tensors[name] = noise / math.prod(shape[1:]) ** 0.5
    return tensors


def transcribed(t: Tensors, heads: int, crops: Tensor, *, norm: bool, eps: float = 1e-5) -> Tensor:
    """uint8 [n, 16, size, size, 3] → tokens [n, tokens, dim], all sums written out, in float64."""
    t = {name.removeprefix("encoder."): tensor.double() for name, tensor in t.items()}
    n, frames, size, _, _ = crops.shape
    side = size // 16
    boxes = (crops.double() / 255).reshape(n, frames // 2, 2, side, 16, side, 16, 3)
    kernel = t["patch_embedding.projection.weight"]
    x = torch.einsum("ntaybxcd,odabc->ntyxo", boxes, kernel).reshape(n, -1, len(kernel))
    x = x + t["patch_embedding.projection.bias"] + t["pos_embedding.emb"]

    def normal(x: Tensor, name: str) -> Tensor:
        away = x - x.mean(dim=-1, keepdim=True)
        spread = ((away**2).mean(dim=-1, keepdim=True) + eps).sqrt()
        return away / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    depth = 1 + max(int(name.split(".")[1]) for name in t if name.startswith("blocks."))
    for block in (f"blocks.{i}" for i in range(depth)):
        y = normal(x, f"{block}.norm1")
        queries, keys, values = t[f"{block}.attn.qkv.weight"].chunk(3)
        parts = (
            y @ queries.T + t[f"{block}.attn.q_bias"],
            y @ keys.T,
            y @ values.T + t[f"{block}.attn.v_bias"],
        )
        q, k, v = (part.reshape(n, x.shape[1], heads, -1).transpose(1, 2) for part in parts)
        weight = (q @ k.mT / q.shape[-1] ** 0.5).exp()
        mixed = (weight / weight.sum(dim=-1, keepdim=True)) @ v
        x = x + linear(mixed.transpose(1, 2).reshape(x.shape), f"{block}.attn.proj")
        y = linear(normal(x, f"{block}.norm2"), f"{block}.mlp.layers.0.linear")
        y = y * (1 + torch.erf(y / 2**0.5)) / 2
        x = x + linear(y, f"{block}.mlp.layers.1.linear")
    return normal(x, "norm") if norm else x


def videomae_names(tensors: Tensors, settings: MarlinSettings) -> Tensors:
    """MARLIN's tensors under the names that transformers' VideoMAE gives them."""
    own = {name.removeprefix("encoder."): tensor for name, tensor in tensors.items()}
    found = {
        f"embeddings.patch_embeddings.projection.{k}": own[f"patch_embedding.projection.{k}"]
        for k in ("weight", "bias")
    }
    for i in range(settings.depth):
        layer, block = f"encoder.layer.{i}", f"blocks.{i}"
        parts = own[f"{block}.attn.qkv.weight"].chunk(3)
        for name, part in zip(("query", "key", "value"), parts, strict=True):
            found[f"{layer}.attention.attention.{name}.weight"] = part
        found[f"{layer}.attention.attention.query.bias"] = own[f"{block}.attn.q_bias"]
        found[f"{layer}.attention.attention.value.bias"] = own[f"{block}.attn.v_bias"]
        for ours, theirs in (
            ("attn.proj", "attention.output.dense"),
            ("mlp.layers.0.linear", "intermediate.dense"),
            ("mlp.layers.1.linear", "output.dense"),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
        ):
            for k in ("weight", "bias"):
                found[f"{layer}.{theirs}.{k}"] = own[f"{block}.{ours}.{k}"]
    return found | {f"layernorm.{k}": own[f"norm.{k}"] for k in ("weight", "bias")}


def encoder_file(folder: Path, tensors: Tensors) -> Path:
    path = folder / "marlin_vit_tiny_ytf.encoder.pt"
    torch.save(tensors, path)
    return path


def full_file(folder: Path, tensors: Tensors) -> Path:
    path = folder / "marlin_vit_tiny_ytf.full.pt"
    torch.save(tensors | drawn(decoder_shapes(TINY, 24, 1), seed=1), path)
    return path


def lightning_file(folder: Path, tensors: Tensors) -> Path:
    """A checkpoint of pretraining: model, discriminator and what Lightning keeps beside them."""
    path = folder / "marlin.ckpt"
    discriminator = {"discriminator.layers.0.linear.weight": torch.ones(2, PIXELS)}
    state = tensors | drawn(decoder_shapes(TINY, 24, 1), seed=1) | discriminator
    beside = {
        "epoch": 7,
        "global_step": 90,
        "pytorch-lightning_version": "1.8.6",
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.1)}},
    }
    torch.save({**beside, "state_dict": state}, path)
    return path


def hub_file(folder: Path, tensors: Tensors) -> Path:
    path = folder / "model.safetensors"
    full = tensors | drawn(decoder_shapes(TINY, 24, 1), seed=1)
    save_file({f"marlin.{name}": tensor for name, tensor in full.items()}, path)
    return path
