"""resnet18: published and trained files in, features of the column `mfcc` out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from avfd import asks
from avfd.errors import AbsentError, InputError
from avfd.home import Home
from avfd.nets.resnet18 import PUBLISHED, SMALL, AudioResNet18
from extract import weights
from extract.backbones.resnet18 import DEFAULT, ResNet18

Randomised = Callable[..., nn.Module]
MAPS = np.random.default_rng(0).normal(0, 20, (5, 10, 87)).astype(np.float32)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    return Home(tmp_path / "home")


def made(options: str = "") -> ResNet18:
    return ResNet18(asks.bind(asks.parse(f"resnet18:{options}"), DEFAULT))


def loaded(network: nn.Module, folder: Path, options: str, card: object = None) -> ResNet18:
    """The backbone with this network's tensors."""
    path = folder / "resnet18.safetensors"
    save_file(network.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps(card or {}))
    backbone = made(options)
    backbone.load({backbone.options.weights: path})
    return backbone


def reference(state: dict[str, Tensor], maps: np.ndarray) -> Tensor:
    """Features [n, 8 * width] from torchvision's blocks: a stem without a pool, four stages."""
    width = len(state["conv1.0.weight"])
    stages = [nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for stage in range(4):
        outputs = width * 2**stage
        for i in range(2):
            stride = 2 if stage and not i else 1
            down = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            stages.append(
                BasicBlock(inputs, outputs, stride, nn.Sequential(*down) if stride == 2 else None)
            )
            inputs = outputs
    network = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    parts = {"left.0": "conv1", "left.1": "bn1", "left.3": "conv2", "left.4": "bn2"}
    parts["shortcut"] = "downsample"

    def renamed(name: str) -> str:
        first, index, rest = name.split(".", 2)
        if first == "conv1":
            return f"{index}.{rest}"
        for ours, theirs in parts.items():
            rest = rest.replace(ours, theirs)
        return f"{3 + 2 * (int(first[-1]) - 1) + int(index)}.{rest}"

    own = {renamed(name): tensor for name, tensor in state.items() if not name.startswith("fc.")}
    network.load_state_dict(own)
    return network.eval()(torch.from_numpy(maps[:, None])).detach()


def close(found: np.ndarray, expected: Tensor) -> bool:
    b = expected.numpy()
    return bool((np.abs(found - b) <= 1e-5 * np.maximum(1, np.abs(b))).all())


def test_a_published_file_is_taken_in_and_equals_torchvisions_blocks(
    home: Home, tmp_path: Path, randomised: Randomised
) -> None:
    network = randomised(AudioResNet18())
    path = tmp_path / "RAVDESS_bs_32_lr_0.001_ep_250.pth"
    torch.save(network.state_dict(), path)
    added = weights.add(path, "resnet18", home)
    stored = load_file(added.path)
    assert len(network.state_dict()) == 122
    assert set(network.state_dict()) - set(stored) == {"fc.weight", "fc.bias"}
    backbone = made()
    backbone.load({"resnet18": added.path})
    expected = reference(stored, MAPS[:2])
    assert expected.std() > 1e-3
    assert close(backbone.column(MAPS[:2], np.ones(2, dtype=bool)).values, expected)


def test_the_last_layer_is_not_needed(home: Home, tmp_path: Path, randomised: Randomised) -> None:
    """FACTS.md, 0.3: optional where features are taken."""
    state = randomised(AudioResNet18(SMALL)).state_dict()
    bare = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    torch.save(state, tmp_path / "whole.pth")
    torch.save(bare, tmp_path / "bare.pth")
    whole = weights.add(tmp_path / "whole.pth", "resnet18-small", home).sha256
    added = weights.add(tmp_path / "bare.pth", "resnet18-small", home)
    assert added.sha256 == whole
    backbone = made("preset=small")
    backbone.check({"resnet18-small": added.path})
    found = backbone.column(MAPS, np.ones(5, dtype=bool)).values
    assert close(found, reference(state, MAPS))


def test_seconds_without_sound_are_passed_over(tmp_path: Path, randomised: Randomised) -> None:
    network = randomised(AudioResNet18(SMALL))
    backbone = loaded(network, tmp_path, "preset=small")
    valid = np.array([True, False, True, True, False])
    slots = backbone.column(MAPS, valid)
    assert slots.valid.tolist() == valid.tolist()
    assert not slots.values[~valid].any()
    assert close(slots.values[valid], reference(network.state_dict(), MAPS[valid]))
    with pytest.raises(AbsentError, match="no whole second"):
        backbone.column(MAPS, np.zeros(5, dtype=bool))


def test_a_second_does_not_depend_on_its_neighbours(tmp_path: Path, randomised: Randomised) -> None:
    """In training mode, as 2D3MF extracts, it would."""
    backbone = loaded(randomised(AudioResNet18(SMALL)), tmp_path, "preset=small")
    assert not backbone.network.training
    together = backbone.column(MAPS, np.ones(5, dtype=bool)).values
    for i in range(5):
        alone = backbone.column(MAPS[i : i + 1], np.ones(1, dtype=bool)).values
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-5, atol=1e-5)


def test_weights_trained_here_bring_their_own_classes_and_width(
    tmp_path: Path, randomised: Randomised
) -> None:
    settings = replace(PUBLISHED, classes=4, width=16)
    network = randomised(AudioResNet18(settings))
    card = {"settings": asdict(settings)}
    backbone = loaded(network, tmp_path, "width=16", card)
    assert backbone.spec.shape == (128,)
    found = backbone.column(MAPS, np.ones(5, dtype=bool)).values
    assert close(found, reference(network.state_dict(), MAPS))
    with pytest.raises(InputError, match=r"ask for resnet18:width=16"):
        loaded(network, tmp_path, "", card)


def test_a_card_of_another_network_is_refused(tmp_path: Path, randomised: Randomised) -> None:
    with pytest.raises(InputError, match=r"does not know.*units"):
        loaded(randomised(AudioResNet18()), tmp_path, "", {"settings": {"units": 64}})


def test_from_a_run_and_a_recording_to_the_column(
    tmp_path: Path,
    home: Home,
    extracts: ModuleType,
    media_makers: ModuleType,
    randomised: Randomised,
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    sound = np.random.default_rng(1).normal(0, 0.1, (1, 36_000)).astype(np.float32)
    media_makers.make_audio(media / "a.wav", sound)
    extracts.indexed(home.path, media)
    folder = home.runs_dir / "emotions" / "weights"
    folder.mkdir(parents=True)
    network = randomised(AudioResNet18(replace(SMALL, classes=3)))
    save_file(network.state_dict(), folder / "resnet18.safetensors")
    card = {"settings": asdict(replace(SMALL, classes=3)), "training_keys": ["d/x.wav"]}
    (folder / "resnet18.json").write_text(json.dumps(card))
    extracts.extract(home, ["mfcc", "resnet18:width=8"], weights=["emotions"], device="cpu")
    column = extracts.cache_of(home).snapshot().column("resnet18")
    maps = extracts.cache_of(home).snapshot().column("mfcc").read("small/a.wav")
    found = column.read("small/a.wav")
    assert found.valid.reshape(-1).tolist() == maps.valid.reshape(-1).tolist() == [True, True]
    assert close(found.values[:, 0], reference(network.state_dict(), maps.values[:, 0]))
    assert column.spec_facts["training_keys"] == ["d/x.wav"]
