"""emo-cnn3d: a vector for each face, whatever the blocks and the gaps; both networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from avfd import asks
from avfd.errors import AbsentError, InputError, MissingError
from avfd.home import Home
from avfd.nets.emo_cnn3d import EmoCnn3d, hardwired_maps
from avfd.nets.frames_cnn3d import FramesCnn3d, prepared
from extract import weights
from extract.backbones.base import FaceBlock, Slots
from extract.backbones.emo_cnn3d import DEFAULT, EmoCnn3dBackbone, emo_cnn3d
from extract.nets.emo_settings import CNN3D, FRAMES

Randomised = Callable[..., nn.Module]
SIZE = 40
EXACT = CNN3D["small"]


def made(
    network: nn.Module, folder: Path, options: str = "", card: dict[str, Any] | None = None
) -> EmoCnn3dBackbone:
    """The small backbone with this network, its card beside."""
    ask = asks.parse(f"emo-cnn3d:preset=small,{options}")
    backbone = emo_cnn3d(asks.bind(ask, DEFAULT))
    path = folder / f"{backbone.options.weights}.safetensors"
    save_file(network.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps({"settings": card} if card else {}))
    backbone.load({backbone.options.weights: path})
    return backbone


def film(frames: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Blurred noise that drifts, uint8 [frames, size, size, 3]."""
    drawn = np.random.default_rng(seed).uniform(0, 255, (size // 4 + 2, size // 4 + 2 + frames, 3))
    wide = np.kron(drawn, np.ones((4, 4, 1)))
    return np.stack([wide[:size, i : i + size] for i in range(frames)]).astype(np.uint8)


def blocks(
    faces: np.ndarray, valid: np.ndarray, around: tuple[int, int], core: int
) -> Iterator[FaceBlock]:
    """As the pipeline would cut them, `core` faces each."""
    shown = np.where(valid[:, None, None, None], faces, 0).astype(np.uint8)
    for first in range(0, len(faces), core):
        last = min(first + core, len(faces))
        low, high = max(0, first - around[0]), min(len(faces), last + around[1])
        yield FaceBlock(
            shown[low:high].copy(), low, valid[low:high].copy(), first - low, high - last
        )


def run(backbone: EmoCnn3dBackbone, faces: np.ndarray, valid: np.ndarray, core: int = 240) -> Slots:
    """The slots of the whole clip."""
    values = np.zeros((len(faces), *backbone.spec.shape), dtype=np.float32)
    known = np.zeros(len(faces), dtype=bool)
    for block in blocks(faces, valid, backbone.crops_around, core):
        try:
            slots = backbone.faces(block)
        except AbsentError:
            continue
        assert slots.first_slot == block.first_slot + block.lead
        at = slice(slots.first_slot, slots.first_slot + len(slots.valid))
        values[at], known[at] = slots.values, slots.valid
    return Slots(0, values, known)


def stack(network: EmoCnn3d, faces: np.ndarray, frames: list[int]) -> np.ndarray:
    """EMO_v of seven faces."""
    maps = hardwired_maps(torch.from_numpy(faces[frames]), network.settings)
    return network.features(maps[None])[0].numpy()


def around(face: int, low: int, high: int) -> list[int]:
    """The seven around a face of a stretch [low, high), its ends repeated."""
    return [min(max(i, low), high - 1) for i in range(face - 3, face + 4)]


def series(network: EmoCnn3d, faces: np.ndarray) -> np.ndarray:
    """EMO_v of each face of one stretch, [faces, 32]."""
    each = [stack(network, faces, around(face, 0, len(faces))) for face in range(len(faces))]
    return np.stack(each)


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool((np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all())


@pytest.fixture
def exact(randomised: Randomised) -> nn.Module:
    return randomised(EmoCnn3d(EXACT))


def test_each_face_has_the_vector_of_the_seven_around_it(exact: nn.Module, tmp_path: Path) -> None:
    faces = film(40)
    slots = run(made(exact, tmp_path), faces, np.ones(40, dtype=bool))
    assert slots.valid.all()
    assert slots.values.std(axis=0).max() > 1e-3
    for face in (0, 1, 2, 3, 17, 29, 30, 36, 38, 39):
        assert close(slots.values[face], stack(exact, faces, around(face, 0, 40)))
    assert close(slots.values, series(exact, faces))


@pytest.mark.parametrize("options", ["", "pad=none", "hop_frames=7", "network=frames"])
def test_blocks_give_what_the_whole_clip_gives(
    options: str, randomised: Randomised, tmp_path: Path
) -> None:
    frames = options == "network=frames"
    network = randomised(FramesCnn3d(FRAMES["small"]) if frames else EmoCnn3d(EXACT))
    backbone = made(network, tmp_path, options)
    faces = film(77, backbone.spec.faces.size_px)
    valid = np.ones(77, dtype=bool)
    valid[[20, 21, 59]] = False
    whole, parts = run(backbone, faces, valid), run(backbone, faces, valid, core=30)
    assert whole.valid.tolist() == parts.valid.tolist()
    np.testing.assert_allclose(whole.values, parts.values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", ["", "hop_frames=7"])
def test_windows_of_a_batch_go_through_the_network_at_once(
    options: str, exact: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = made(exact, tmp_path, options)
    windows = np.stack([film(36, seed=seed) for seed in range(3)])
    alone = np.concatenate([backbone.run(windows[i : i + 1]) for i in range(3)])
    seen: list[int] = []
    features = backbone.network.features

    def counted(maps: torch.Tensor) -> torch.Tensor:
        seen.append(len(maps))
        return features(maps)

    monkeypatch.setattr(backbone.network, "features", counted)
    together = backbone.run(windows)
    assert seen == [alone.shape[0] * alone.shape[1]]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


def test_no_stack_reaches_over_a_lost_face(exact: nn.Module, tmp_path: Path) -> None:
    faces, valid = film(24), np.ones(24, dtype=bool)
    valid[10], valid[12:14] = False, False
    slots = run(made(exact, tmp_path), faces, valid)
    assert slots.valid.tolist() == valid.tolist()
    assert not slots.values[~valid].any()
    for face, low, high in ((9, 0, 10), (11, 11, 12), (14, 14, 24), (20, 14, 24)):
        assert close(slots.values[face], stack(exact, faces, around(face, low, high)))


def test_without_padding_only_whole_stacks_have_a_vector(exact: nn.Module, tmp_path: Path) -> None:
    faces, valid = film(24), np.ones(24, dtype=bool)
    valid[[8, 15]] = False
    slots = run(made(exact, tmp_path, "pad=none"), faces, valid)
    assert np.flatnonzero(slots.valid).tolist() == [3, 4, 19, 20]
    assert close(slots.values[19], stack(exact, faces, list(range(16, 23))))


@pytest.mark.parametrize(("pad", "first"), [("none", 3), ("edge", 0)])
def test_every_seven_faces(pad: str, first: int, exact: nn.Module, tmp_path: Path) -> None:
    faces = film(50)
    slots = run(made(exact, tmp_path, f"hop_frames=7,pad={pad}"), faces, np.ones(50, dtype=bool))
    seen = list(range(first, 47 if pad == "none" else 50, 7))
    assert np.flatnonzero(slots.valid).tolist() == seen
    for face in seen:
        assert close(slots.values[face], stack(exact, faces, around(face, 0, 50)))


def test_ten_seconds_at_30_a_second_have_294_whole_stacks(
    randomised: Randomised, tmp_path: Path
) -> None:
    settings = replace(EXACT, long_px=32, short_px=28, first_sets=1, second_per_set=1)
    backbone = made(randomised(EmoCnn3d(settings)), tmp_path, "pad=none", asdict(settings))
    block = FaceBlock(film(300), 0, np.ones(300, dtype=bool))
    windows = backbone.windows(block)
    assert windows.valid.sum() == 294
    assert windows.inputs.shape[1:] == (36, SIZE, SIZE, 3)


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_the_two_layer_network_sees_the_whole_clip_at_once(
    activation: str, randomised: Randomised, tmp_path: Path
) -> None:
    settings = replace(FRAMES["small"], activation=activation)
    network = randomised(FramesCnn3d(settings))
    faces, valid = film(70, 24), np.ones(70, dtype=bool)
    valid[33:36] = False
    backbone = made(network, tmp_path, "network=frames", asdict(settings))
    slots = run(backbone, faces, valid)
    assert slots.valid.tolist() == valid.tolist()
    pixels = torch.from_numpy(faces)[None] / 255
    expected = network.features(pixels, torch.from_numpy(valid)[None])[0].numpy()
    assert close(slots.values[valid], expected[valid])
    assert not slots.values[~valid].any()
    if activation == "softmax":
        np.testing.assert_allclose(slots.values[valid].sum(axis=1), 1, rtol=1e-5)
    other = {"tanh": "softmax", "softmax": "tanh"}[activation]
    turned = made(network, tmp_path, f"network=frames,activation={other}", asdict(settings))
    changed = FramesCnn3d(replace(settings, activation=other)).eval()
    changed.load_state_dict(network.state_dict())
    expected = changed.features(pixels, torch.from_numpy(valid)[None])[0].detach().numpy()
    assert close(run(turned, faces, valid).values[valid], expected[valid])


def test_frames_are_squeezed_to_the_size_of_the_thesis() -> None:
    from PIL import Image

    t = np.linspace(0, 9, 120)
    waves = 128 + 100 * np.sin(t[:, None] + np.arange(3)) * np.cos(t)[:, None, None]
    faces = np.stack([waves, waves.swapaxes(0, 1)]).astype(np.uint8)
    found = prepared(torch.from_numpy(faces))
    assert found.shape == (2, 100, 93, 3)
    for picture, ours in zip(faces, found.numpy(), strict=True):
        theirs = Image.fromarray(picture).resize((93, 100), Image.Resampling.BICUBIC)
        assert np.abs(ours - np.asarray(theirs) / 255).max() <= 1.5 / 255  # theirs is rounded


def test_the_card_decides_the_maps(exact: nn.Module, tmp_path: Path) -> None:
    faces, valid = film(12), np.ones(12, dtype=bool)
    settings = replace(EXACT, gradient="sobel", scaling="unit", flow="horn-schunck")
    changed = EmoCnn3d(settings)
    changed.load_state_dict(exact.state_dict())
    found = run(made(exact, tmp_path, "", asdict(settings)), faces, valid).values
    assert close(found, series(changed.eval().requires_grad_(False), faces))
    assert not np.allclose(found, run(made(exact, tmp_path), faces, valid).values, atol=1e-3)


def test_weights_that_do_not_fit_are_refused(randomised: Randomised, tmp_path: Path) -> None:
    settings = replace(EXACT, units=8)
    network = randomised(EmoCnn3d(settings))
    with pytest.raises(InputError, match="ask for emo-cnn3d:dim=8"):
        made(network, tmp_path, "", asdict(settings))
    wide = replace(FRAMES["small"], kernel_frames=5)
    with pytest.raises(InputError, match="ask for emo-cnn3d:kernel_frames=5"):
        made(randomised(FramesCnn3d(wide)), tmp_path, "network=frames", asdict(wide))


def test_options_that_do_not_fit_each_other_are_refused() -> None:
    for options in (
        "network=frames,hop_frames=7",
        "network=frames,pad=none",
        "network=frames,kernel_frames=2",
        "kernel_frames=5",
    ):
        with pytest.raises(InputError, match="do not fit each other"):
            asks.bind(asks.parse(f"emo-cnn3d:{options}"), DEFAULT)


def test_a_stretch_without_a_face_is_absent(exact: nn.Module, tmp_path: Path) -> None:
    black = FaceBlock(np.zeros((9, SIZE, SIZE, 3), np.uint8), 0, np.zeros(9, dtype=bool))
    with pytest.raises(AbsentError, match="no stack of faces"):
        made(exact, tmp_path).faces(black)
    whole = FaceBlock(film(6), 0, np.ones(6, dtype=bool))
    with pytest.raises(AbsentError, match="no stack of faces"):
        made(exact, tmp_path, "pad=none").faces(whole)


def test_the_sizes_of_the_thesis() -> None:
    exact = weights.facts("emo-cnn3d").reader().expected()
    assert exact["last.weight"] == (32, 78, 10, 7)
    assert exact["out.weight"] == (5, 32)
    frames = weights.facts("emo-cnn3d-frames").reader().expected()
    assert frames["conv1.weight"][:2] == (2, 3)
    assert frames["conv2.weight"] == (32, 2, 3, 50, 46)
    spec = emo_cnn3d().spec
    assert (spec.rate_hz, spec.shape) == (30, (32,))
    assert (spec.faces.size_px, spec.faces.margin, spec.faces.interpolation) == (80, 0, "bicubic")


def test_without_a_run_the_way_to_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    with pytest.raises(MissingError, match="avfd fit --target emotion --model cnn3d`"):
        weights.find("emo-cnn3d", Home(tmp_path))


def test_from_a_run_and_a_film_to_the_column(
    tmp_path: Path,
    testdata: Path,
    blazeface: Path,
    extracts: ModuleType,
    exact: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    media = tmp_path / "media"
    media.mkdir()
    shutil.copy(testdata / "clips/real/youtube/cropped05.mp4", media / "face.mp4")
    home = extracts.indexed(tmp_path / "home", media)
    weights.add(blazeface, "blazeface", home)
    folder = home.runs_dir / "emotions" / "weights"
    folder.mkdir(parents=True)
    save_file(exact.state_dict(), folder / "emo-cnn3d.safetensors")
    (folder / "emo-cnn3d.json").write_text(json.dumps({"settings": asdict(EXACT)}))
    asked = ["emo-cnn3d", "faces:rate_hz=30,size_px=80,margin=0,interpolation=bicubic"]
    extracts.extract(home, asked, weights=["emo-cnn3d=emotions"], device="cpu")
    reader = extracts.cache_of(home).snapshot()
    (key,) = reader.keys
    faces, found = reader.column("faces").read(key), reader.column("emo-cnn3d").read(key)
    assert found.valid.tolist() == faces.valid.tolist()
    pixels = torch.from_numpy(faces.values[0][faces.valid[0]])
    assert len(pixels) > 10
    assert np.ptp(np.flatnonzero(faces.valid[0])) == len(pixels) - 1  # one stretch
    assert close(found.values[0][found.valid[0]], series(exact, pixels.numpy()))
