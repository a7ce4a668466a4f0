"""MARLIN against a transcription in float64, against VideoMAE, and from published files on.

The transcription and the file makers are in `marlin_makers`.
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
from safetensors.torch import load_file
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
    check_places,
)
from extract.nets.marlin_settings import BASE, LARGE, SMALL, TINY, MarlinSettings

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def m(marlin_makers: ModuleType) -> ModuleType:
    """Short for what most tests need."""
    return marlin_makers


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
    settings, checkpoint, decoder, counts, m: ModuleType
) -> None:
    def size(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
        return len(shapes), sum(math.prod(shape) for shape in shapes.values())

    encoder = checkpoint.expected()
    assert encoder == m.encoder_shapes(settings)
    full = encoder | m.decoder_shapes(settings, *decoder)
    assert (*size(encoder), *size(full)) == counts
    left = checkpoint.clean(dict.fromkeys(full, torch.zeros(0)))
    assert left.keys() == encoder.keys()


def test_a_clip_of_224_px_has_1568_tokens_that_equal_the_transcription(m: ModuleType) -> None:
    settings = replace(SMALL, depth=1)
    tensors = m.drawn(m.encoder_shapes(settings))
    found = network(settings, tensors)(clips(1, 224))
    assert found.shape == (1, 1568, 384)
    assert near(found, m.transcribed(tensors, settings.heads, clips(1, 224), norm=True))


@pytest.mark.parametrize("norm", [True, False])
def test_tokens_equal_the_transcription(norm: bool, m: ModuleType) -> None:
    tensors = m.drawn(m.encoder_shapes(TINY))
    found = network(TINY, tensors)(clips(3, 64), norm=norm)
    assert near(found, m.transcribed(tensors, TINY.heads, clips(3, 64), norm=norm))


def test_the_mean_before_the_norm_is_not_that_after_it(m: ModuleType) -> None:
    marlin = network(TINY, m.drawn(m.encoder_shapes(TINY)))
    means = [marlin(clips(1, 64), norm=norm).mean(dim=1) for norm in (True, False)]
    assert (means[0] - means[1]).abs().max() > 0.1


def test_norms_have_pytorchs_small_number_not_videomaes(m: ModuleType) -> None:
    tensors = {
        n: t * (0.003 if ".p" in n else 1) for n, t in m.drawn(m.encoder_shapes(TINY)).items()
    }
    found = network(TINY, tensors)(clips(1, 64))
    assert near(found, m.transcribed(tensors, TINY.heads, clips(1, 64), norm=True))
    videomae = m.transcribed(tensors, TINY.heads, clips(1, 64), norm=True, eps=1e-6)
    assert (found - videomae).abs().max() > 1e-3


def test_a_clip_does_not_depend_on_its_neighbours(m: ModuleType) -> None:
    marlin = network(TINY, m.drawn(m.encoder_shapes(TINY)))
    together = marlin(clips(5, 64))
    alone = torch.cat([marlin(clip[None]) for clip in clips(5, 64)])
    assert near(together, alone)


def test_tokens_equal_videomaes_once_the_positions_are_copied_in(m: ModuleType) -> None:
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
    tensors = m.drawn(m.encoder_shapes(settings))
    videomae.embeddings.position_embeddings = tensors["encoder.pos_embedding.emb"]
    left = videomae.load_state_dict(m.videomae_names(tensors, settings), strict=True)
    assert not left.missing_keys
    pictures = clips(2, 112).permute(0, 1, 4, 2, 3) / 255
    with torch.inference_mode():
        expected = videomae(pictures).last_hidden_state
    assert near(network(settings, tensors)(clips(2, 112)), expected)


def test_places_computed_in_single_or_stored_in_half_precision_are_accepted() -> None:
    """As MARLIN computes them: float32 powers, quotients and angles up to 1,567."""
    pairs = torch.arange(SMALL.dim) // 2
    places = torch.arange(SMALL.tokens, dtype=torch.float32)[:, None]
    angles = places / torch.tensor(10_000).pow(2 * pairs / SMALL.dim)
    angles[:, 0::2], angles[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    for table in (angles[None], angles[None].half()):
        check_places(SMALL, table)
    angles[700, 3] += 0.004
    with pytest.raises(InputError, match=r"not MARLIN's.*row 700 is off by 0\.004"):
        check_places(SMALL, angles[None])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return Home(tmp_path / "home")


@pytest.mark.parametrize("make", ["encoder_file", "full_file", "lightning_file", "hub_file"])
def test_a_published_file_in_any_wrapper_gives_the_encoder(
    make: str, tmp_path: Path, home: Home, m: ModuleType
) -> None:
    tensors = m.drawn(m.encoder_shapes(TINY))
    stored = load_file(weights.add(getattr(m, make)(tmp_path, tensors), "marlin-tiny", home).path)
    assert stored.keys() == ENCODER_TINY.expected().keys()
    assert all(torch.equal(stored[name], tensors[name]) for name in stored)


def test_a_file_of_another_size_is_refused_tensor_by_tensor(
    tmp_path: Path, home: Home, m: ModuleType
) -> None:
    path = m.encoder_file(tmp_path, m.drawn(m.encoder_shapes(replace(TINY, dim=60))))
    with pytest.raises(InputError, match=r"q_bias \[60\] instead of \[48\]"):
        weights.add(path, "marlin-tiny", home)
    deep = m.encoder_file(tmp_path, m.drawn(m.encoder_shapes(replace(TINY, depth=3))))
    with pytest.raises(InputError, match=r"13 extra: encoder\.blocks\.2\.norm1\.weight"):
        weights.add(deep, "marlin-tiny", home)


def made(home: Home, ask: str) -> MarlinBackbone:
    backbone = build(ask)
    assert isinstance(backbone, MarlinBackbone)
    backbone.load({"marlin-tiny": weights.find("marlin-tiny", home).path})
    return backbone


def expected_units(
    m: ModuleType, tensors: Tensors, window: np.ndarray, units: int, *, norm: bool
) -> np.ndarray:
    """What a window [16, size, size, 3] gives: means over each unit's tokens, [units, dim]."""
    crops = torch.from_numpy(window.copy())[None]
    tokens = m.transcribed(tensors, TINY.heads, crops, norm=norm)
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
    column: str, units: int, norm: bool, tmp_path: Path, home: Home, m: ModuleType
) -> None:
    tensors = m.drawn(m.encoder_shapes(TINY))
    weights.add(m.full_file(tmp_path, tensors), "marlin-tiny", home)
    backbone = made(home, f"{column}:preset=small,norm={norm}")
    crops = np.random.default_rng(0).integers(0, 256, (96, 64, 64, 3), dtype=np.uint8)
    slots = backbone.faces(FaceBlock(crops, 64, np.ones(96, dtype=bool)))
    assert (slots.first_slot, slots.valid.all()) == (2 * units, True)
    wanted = [
        expected_units(m, tensors, crops[s : s + 32 : 2], units, norm=norm) for s in (0, 32, 64)
    ]
    assert close(slots.values, np.concatenate(wanted))


def test_from_a_published_file_and_a_film_to_the_columns(
    tmp_path: Path,
    blazeface: Path,
    home: Home,
    extracts: ModuleType,
    make_video: Callable[..., Path],
    m: ModuleType,
) -> None:
    portrait = pytest.importorskip("skimage.data").astronaut()[:256, 100:356]

    def moving(seconds: float, size: tuple[int, int]) -> np.ndarray:
        return np.roll(portrait, round(20 * seconds), axis=1)

    media = tmp_path / "media"
    media.mkdir()
    make_video(media / "a.mp4", 2.0, 25, (256, 256), picture=moving, audio_rate_hz=None)
    tensors = m.drawn(m.encoder_shapes(TINY))
    weights.add(m.full_file(tmp_path, tensors), "marlin-tiny", home)
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
        assert close(pooled.values[second], expected_units(m, tensors, window, 1, norm=False))
        assert close(tokens.values[second], expected_units(m, tensors, window, 8, norm=True))
