"""MARLIN against a transcription in float64, against VideoMAE, and from published files on.

The transcription and the file makers follow FACTS.md, 4.2 to 4.4.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from avfd.errors import InputError
from avfd.home import Home
from extract import weights
from extract.backbones.base import FaceBlock, build
from extract.backbones.marlin import Marlin as MarlinBackbone
from extract.nets.loading import loaded
from extract.nets.marlin import (
    ENCODER_BASE,
    ENCODER_LARGE,
    ENCODER_SMALL,
    ENCODER_TINY,
    Marlin,
)
from extract.nets.marlin_settings import BASE, LARGE, SMALL, TINY, MarlinSettings

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


def near(found: Tensor, expected: Tensor) -> bool:
    """Equal to 1e-5 · max(1, |expected|)."""
    assert found.shape == expected.shape
    return bool(((found - expected).abs() <= 1e-5 * expected.abs().clamp(min=1)).all())


def clips(n: int, size: int, seed: int = 0) -> Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 16, size, size, 3), generator=made, dtype=torch.uint8)


def network(settings: MarlinSettings, tensors: Tensors) -> Marlin:
    return loaded(lambda: Marlin(settings), tensors, "marlin").eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("settings", "checkpoint", "decoder", "counts"),
    [
        (SMALL, ENCODER_SMALL, (192, 4), (161, 22_482_048, 220, 24_932_544)),
        (BASE, ENCODER_BASE, (384, 4), (161, 87_431_424, 220, 96_017_280)),
        (LARGE, ENCODER_LARGE, (512, 12), (317, 305_466_368, 480, 345_405_440)),
    ],
)
def test_the_tensors_are_as_many_as_the_published_files_hold(
    settings, checkpoint, decoder, counts
) -> None:
    def size(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
        return len(shapes), sum(math.prod(shape) for shape in shapes.values())

    encoder = checkpoint.expected()
    assert encoder == encoder_shapes(settings)
    full = encoder | decoder_shapes(settings, *decoder)
    assert (*size(encoder), *size(full)) == counts
    left = checkpoint.clean(dict.fromkeys(full, torch.zeros(0)))
    assert left.keys() == encoder.keys()


def test_a_clip_of_224_px_has_1568_tokens_that_equal_the_transcription() -> None:
    settings = replace(SMALL, depth=1)
    tensors = drawn(encoder_shapes(settings))
    found = network(settings, tensors)(clips(1, 224))
    assert found.shape == (1, 1568, 384)
    assert near(found, transcribed(tensors, settings.heads, clips(1, 224), norm=True))


@pytest.mark.parametrize("norm", [True, False])
def test_tokens_equal_the_transcription(norm: bool) -> None:
    tensors = drawn(encoder_shapes(TINY))
    found = network(TINY, tensors)(clips(3, 64), norm=norm)
    assert near(found, transcribed(tensors, TINY.heads, clips(3, 64), norm=norm))


def test_the_mean_before_the_norm_is_not_that_after_it() -> None:
    marlin = network(TINY, drawn(encoder_shapes(TINY)))
    means = [marlin(clips(1, 64), norm=norm).mean(dim=1) for norm in (True, False)]
    assert (means[0] - means[1]).abs().max() > 0.1


def test_norms_have_pytorchs_small_number_not_videomaes() -> None:
    tensors = {n: t * (0.003 if ".p" in n else 1) for n, t in drawn(encoder_shapes(TINY)).items()}
    found = network(TINY, tensors)(clips(1, 64))
    assert near(found, transcribed(tensors, TINY.heads, clips(1, 64), norm=True))
    videomae = transcribed(tensors, TINY.heads, clips(1, 64), norm=True, eps=1e-6)
    assert (found - videomae).abs().max() > 1e-3


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    marlin = network(TINY, drawn(encoder_shapes(TINY)))
    together = marlin(clips(5, 64))
    alone = torch.cat([marlin(clip[None]) for clip in clips(5, 64)])
    assert near(together, alone)


def test_tokens_equal_videomaes_once_the_positions_are_copied_in() -> None:
    pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.models.videomae import modeling_videomae as reference

    settings = replace(SMALL, depth=2, size_px=112)
    config = reference.VideoMAEConfig(
        image_size=112,
        hidden_size=settings.dim,
        num_hidden_layers=2,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.dim,
        layer_norm_eps=1e-5,
        use_mean_pooling=False,
    )
    videomae = reference.VideoMAEModel(config).eval()
    tensors = drawn(encoder_shapes(settings))
    videomae.embeddings.position_embeddings = tensors["encoder.pos_embedding.emb"]
    left = videomae.load_state_dict(videomae_names(tensors, settings), strict=True)
    assert not left.missing_keys
    pictures = clips(2, 112).permute(0, 1, 4, 2, 3) / 255
    with torch.inference_mode():
        expected = videomae(pictures).last_hidden_state
    assert near(network(settings, tensors)(clips(2, 112)), expected)


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


Maker = Callable[[Path, Tensors], Path]
MAKERS: list[Maker] = [encoder_file, full_file, lightning_file, hub_file]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return Home(tmp_path / "home")


@pytest.mark.parametrize("make", MAKERS)
def test_a_published_file_in_any_wrapper_gives_the_encoder(
    make: Maker, tmp_path: Path, home: Home
) -> None:
    tensors = drawn(encoder_shapes(TINY))
    stored = load_file(weights.add(make(tmp_path, tensors), "marlin-tiny", home).path)
    assert stored.keys() == ENCODER_TINY.expected().keys()
    assert all(torch.equal(stored[name], tensors[name]) for name in stored)


def test_a_file_of_another_size_is_refused_tensor_by_tensor(tmp_path: Path, home: Home) -> None:
    path = encoder_file(tmp_path, drawn(encoder_shapes(replace(TINY, dim=60))))
    with pytest.raises(InputError, match=r"q_bias \[60\] instead of \[48\]"):
        weights.add(path, "marlin-tiny", home)
    deep = encoder_file(tmp_path, drawn(encoder_shapes(replace(TINY, depth=3))))
    with pytest.raises(InputError, match=r"13 extra: encoder\.blocks\.2\.norm1\.weight"):
        weights.add(deep, "marlin-tiny", home)


def made(home: Home, ask: str) -> MarlinBackbone:
    backbone = build(ask)
    assert isinstance(backbone, MarlinBackbone)
    backbone.load({"marlin-tiny": weights.find("marlin-tiny", home).path})
    return backbone


def expected_units(tensors: Tensors, window: np.ndarray, units: int, *, norm: bool) -> np.ndarray:
    """What a window [16, size, size, 3] gives: means over each unit's tokens, [units, dim]."""
    crops = torch.from_numpy(window.copy())[None]
    tokens = transcribed(tensors, TINY.heads, crops, norm=norm)
    return tokens.reshape(units, -1, TINY.dim).mean(dim=1).numpy()


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    assert found.shape == expected.shape
    return bool((np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all())


@pytest.mark.parametrize(
    ("column", "units", "norm"),
    [
        ("marlin-base", 1, False),
        ("marlin-large", 1, True),
        ("marlin-base-tokens", 8, True),
        ("marlin-small-tokens", 8, False),
    ],
)
def test_columns_equal_the_transcription(
    column: str, units: int, norm: bool, tmp_path: Path, home: Home
) -> None:
    tensors = drawn(encoder_shapes(TINY))
    weights.add(full_file(tmp_path, tensors), "marlin-tiny", home)
    backbone = made(home, f"{column}:preset=small,norm={norm}")
    crops = np.random.default_rng(0).integers(0, 256, (96, 64, 64, 3), dtype=np.uint8)
    slots = backbone.faces(FaceBlock(crops, 64, np.ones(96, dtype=bool)))
    assert (slots.first_slot, slots.valid.all()) == (2 * units, True)
    wanted = [expected_units(tensors, crops[s : s + 32 : 2], units, norm=norm) for s in (0, 32, 64)]
    assert close(slots.values, np.concatenate(wanted))


def test_from_a_published_file_and_a_film_to_the_columns(
    tmp_path: Path,
    blazeface: Path,
    home: Home,
    extracts: ModuleType,
    make_video: Callable[..., Path],
) -> None:
    portrait = pytest.importorskip("skimage.data").astronaut()[:256, 100:356]

    def moving(seconds: float, size: tuple[int, int]) -> np.ndarray:
        return np.roll(portrait, round(20 * seconds), axis=1)

    media = tmp_path / "media"
    media.mkdir()
    make_video(media / "a.mp4", 2.0, 25, (256, 256), picture=moving, audio_rate_hz=None)
    tensors = drawn(encoder_shapes(TINY))
    weights.add(full_file(tmp_path, tensors), "marlin-tiny", home)
    weights.add(blazeface, "blazeface", home)
    extracts.indexed(home.path, media)
    small = ("marlin-base", "marlin-base-tokens")
    asks = [*(f"{name}:preset=small" for name in small), "faces:rate_hz=32,size_px=64,margin=0.2"]
    extracts.extract(home, asks, device="cpu")
    reader = extracts.cache_of(home).snapshot()
    (key,) = reader.keys
    pooled, tokens, faces = (reader.column(name).read(key) for name in (*small, "faces"))
    assert faces.valid.all()
    assert pooled.valid.all()
    assert tokens.valid.all()
    for second in range(2):
        window = faces.values[second, ::2]
        assert close(pooled.values[second], expected_units(tensors, window, 1, norm=False))
        assert close(tokens.values[second], expected_units(tensors, window, 8, norm=True))
