"""efficientface: published files in, the three ways of feeding it, seconds and frames."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision import transforms

from avfd.errors import AbsentError, InputError
from avfd.home import Home
from extract import weights
from extract.backbones import efficientface as module
from extract.backbones.base import FaceBlock, build
from extract.nets.efficientface import EfficientFace as Network
from extract.nets.efficientface_files import READER_SMALL
from extract.nets.efficientface_settings import PUBLISHED, SMALL

AFFECTNET = ([0.55391484, 0.43522123, 0.38218770], [0.24837189, 0.21625527, 0.20221159])
Randomised = Callable[..., nn.Module]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return Home(tmp_path / "home")


def published(folder: Path, network: nn.Module, **beside: Any) -> Path:
    """A file as the authors' training wrote it from a DataParallel."""
    path = folder / "EfficientFace_Trained_on_AffectNet7.pth.tar"
    state = nn.DataParallel(network).state_dict()
    torch.save({"epoch": 17, "state_dict": state, "best_acc": torch.tensor(63.7), **beside}, path)
    return path


def same(stored: Mapping[str, torch.Tensor], network: nn.Module) -> None:
    state = {n: t for n, t in network.state_dict().items() if n in stored}
    assert len(state) == len(stored)
    assert all(torch.equal(stored[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("classes", [7, 8, 12_666])
def test_a_published_file_gives_the_features_whatever_its_classes(
    classes: int, home: Home, tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(Network(replace(PUBLISHED, classes=classes)))
    stored = load_file(weights.add(published(tmp_path, network), "efficientface", home).path)
    assert len(stored) == 416
    same(stored, network)


def test_a_file_whose_logits_are_wanted_keeps_its_own_classes_only(
    home: Home, tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(Network(replace(PUBLISHED, classes=8)))
    path = published(tmp_path, network)
    stored = load_file(weights.add(path, "efficientface-8", home).path)
    assert len(stored) == 418
    same(stored, network)
    with pytest.raises(InputError, match=r"fc\.weight \[8, 1024\] instead of \[7, 1024\]"):
        weights.add(path, "efficientface-7", home)


def test_the_recorder_beside_the_weights_is_let_in_and_stays_inert(
    home: Home, tmp_path: Path, randomised: Randomised, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RecorderMeter:
        """The training script's record of its epochs; such files were resumed from."""

        def __init__(self) -> None:
            self.epoch_losses = np.zeros((3, 2), dtype=np.float32)

    RecorderMeter.__module__, RecorderMeter.__qualname__ = "__main__", "RecorderMeter"
    monkeypatch.setattr(sys.modules["__main__"], "RecorderMeter", RecorderMeter, raising=False)
    path = published(tmp_path, randomised(Network(SMALL)), recorder=RecorderMeter())
    monkeypatch.delattr(sys.modules["__main__"], "RecorderMeter")
    assert len(load_file(weights.add(path, "efficientface-small", home).path)) == len(
        READER_SMALL.expected()
    )


def backbone(folder: Path, network: nn.Module, ask: str) -> module.EfficientFace:
    """The backbone that was asked for, with this network's tensors."""
    from safetensors.torch import save_file

    made = build(ask)
    assert isinstance(made, module.EfficientFace)
    path = folder / "weights.safetensors"
    save_file(network.state_dict(), path)
    made.load({made.options.weights: path})
    return made


def crops(n: int, size: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed)
    return drawn.integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def block(pixels: np.ndarray, first_slot: int = 0, invalid: tuple[int, ...] = ()) -> FaceBlock:
    valid = np.ones(len(pixels), dtype=bool)
    valid[list(invalid)] = False
    return FaceBlock(np.where(valid[:, None, None, None], pixels, 0), first_slot, valid)


def authors(pixels: np.ndarray) -> torch.Tensor:
    """RGB, 0 to 1, AffectNet's mean and deviation, through the authors' own transforms."""
    made = transforms.Compose(
        [
            transforms.Resize(pixels.shape[1:3]),
            transforms.ToTensor(),
            transforms.Normalize(*AFFECTNET),
        ]
    )
    return torch.stack([made(Image.fromarray(p)) for p in pixels])


def iat(pixels: np.ndarray) -> torch.Tensor:
    """OpenCV's order through PIL and ToTensor."""
    return torch.stack([transforms.ToTensor()(Image.fromarray(p[:, :, ::-1])) for p in pixels])


def td3mf(pixels: np.ndarray) -> torch.Tensor:
    """OpenCV's order, floats from 0 to 255."""
    return torch.from_numpy(pixels[..., ::-1].astype(np.float32)).permute(0, 3, 1, 2)


WAYS = {"avfd": authors, "iat": iat, "2d3mf": td3mf}


@pytest.mark.parametrize("like", WAYS)
def test_each_way_feeds_the_network_as_its_makers_did(
    like: str, tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(Network(SMALL))
    if like == "2d3mf":  # so that its features are about 1, too
        network.conv1[0].weight.div_(255)
    made = backbone(tmp_path, network, f"efficientface:preset=small,like={like},output=frames")
    pixels = crops(5, 64)
    slots = made.faces(block(pixels, 60))
    expected = network(WAYS[like](pixels).contiguous()).numpy()
    assert (np.abs(slots.values - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()
    assert slots.first_slot == 60
    assert made.spec.rate_hz == (10 if like == "avfd" else 30)


@pytest.mark.parametrize("data_set", ["raf-db", "caer-s"])
def test_statistics_of_other_training_sets(
    data_set: str, tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(Network(SMALL))
    ask = f"efficientface:preset=small,output=frames,normalise={data_set}"
    pixels = crops(2, 64)
    found = backbone(tmp_path, network, ask).faces(block(pixels)).values
    mean, deviation = {
        "raf-db": ([0.57535914, 0.44928582, 0.40079932], [0.20735591, 0.18981615, 0.18132027]),
        "caer-s": ([0.35964426, 0.22359873, 0.19040863], [0.15188067, 0.11678473, 0.11034450]),
    }[data_set]
    inputs = ((pixels / 255 - mean) / deviation).astype(np.float32)
    expected = network(torch.from_numpy(inputs).permute(0, 3, 1, 2).contiguous()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_second_is_the_mean_of_its_faces(tmp_path: Path, randomised: Randomised) -> None:
    network = randomised(Network(SMALL))
    made = backbone(tmp_path, network, "efficientface:preset=small")
    pixels = crops(30, 64)
    slots = made.faces(block(pixels, 20, invalid=(0, 3, *range(10, 20))))
    each = network(authors(pixels)).numpy()
    assert (slots.first_slot, slots.valid.tolist()) == (2, [True, False, True])
    np.testing.assert_allclose(slots.values[0], each[[1, 2, *range(4, 10)]].mean(0), atol=1e-5)
    np.testing.assert_allclose(slots.values[2], each[20:].mean(0), atol=1e-5)
    assert not slots.values[1].any()


def test_frames_without_a_face_are_invalid_and_zero(tmp_path: Path, randomised: Randomised) -> None:
    ask = "efficientface:preset=small,output=frames"
    made = backbone(tmp_path, randomised(Network(SMALL)), ask)
    slots = made.faces(block(crops(6, 64), 4, invalid=(1, 5)))
    assert slots.valid.tolist() == [True, False, True, True, True, False]
    assert not slots.values[~slots.valid].any()
    with pytest.raises(AbsentError, match="no face"):
        made.faces(block(crops(2, 64), invalid=(0, 1)))


def test_a_face_does_not_depend_on_its_neighbours(tmp_path: Path, randomised: Randomised) -> None:
    ask = "efficientface:preset=small,output=frames"
    made = backbone(tmp_path, randomised(Network(SMALL)), ask)
    pixels = crops(9, 64)  # a batch of 8 and one of 1
    together = made.faces(block(pixels)).values
    alone = np.concatenate([made.faces(block(pixels[i : i + 1])).values for i in range(9)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


def test_logits_of_seven_emotions(tmp_path: Path, randomised: Randomised) -> None:
    network = randomised(Network(replace(PUBLISHED, classes=7)))
    made = backbone(tmp_path, network, "efficientface:classes=7,output=frames")
    pixels = crops(1, 224)
    expected = network(authors(pixels)).numpy()
    assert made.spec.shape == (7,)
    np.testing.assert_allclose(made.faces(block(pixels)).values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    ["rate_hz=5", "normalise=raf-db", "channels=bgr", "like=iat", "align=eyes", "classes=7"],
)
def test_whatever_changes_the_numbers_changes_the_fingerprint(options: str) -> None:
    plain, other = build("efficientface").spec, build(f"efficientface:{options}").spec
    digests = dict.fromkeys((*plain.weights, *other.weights), "0" * 64)
    assert plain.fingerprint(digests) != other.fingerprint(digests)


def test_what_it_cannot_do_is_refused() -> None:
    for options in ("rate_hz=0", "preset=small,classes=7", "classes=6", "like=marlin"):
        with pytest.raises(InputError):
            build(f"efficientface:{options}")


def test_a_weights_file_with_missing_tensors_is_refused(
    tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(Network(SMALL))
    del network.conv5
    with pytest.raises(InputError, match=r"missing: conv5\.0\.weight"):
        backbone(tmp_path, network, "efficientface:preset=small")


def test_from_a_published_file_and_a_film_to_the_column(
    tmp_path: Path,
    testdata: Path,
    blazeface: Path,
    home: Home,
    extracts: ModuleType,
    randomised: Randomised,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    media = tmp_path / "media"
    media.mkdir()
    shutil.copy(testdata / "clips/real/youtube/cropped05.mp4", media / "face.mp4")
    extracts.indexed(home.path, media)
    network = randomised(Network(replace(PUBLISHED, classes=7)))
    weights.add(published(tmp_path, network), "efficientface", home)
    weights.add(blazeface, "blazeface", home)
    extracts.extract(home, ["efficientface:rate_hz=3", "faces:rate_hz=3"], device="cpu")
    reader = extracts.cache_of(home).snapshot()
    (key,) = reader.keys
    faces, found = reader.column("faces").read(key), reader.column("efficientface").read(key)
    kept = faces.values[0][faces.valid[0]]
    assert 1 <= len(kept) <= 3
    expected = network.features(authors(kept)).mean(dim=0).numpy()
    assert found.valid.tolist() == [[True]]
    assert (np.abs(found.values[0, 0] - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()
