"""Fixtures of the tests of stage 1."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from avfd.home import Home

if TYPE_CHECKING:
    from torch import nn

_HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    """A helper module beside this file; tests have no packages to import from."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def extracts() -> ModuleType:
    """The module `extracts`: small data sets, extracts as processes, caches as plain data."""
    return _load("extracts")


@pytest.fixture(scope="session")
def damage() -> ModuleType:
    """The module `damage`: media that are broken in many ways."""
    return _load("damage")


@pytest.fixture(scope="session")
def references() -> ModuleType:
    """The module `references`: independent implementations of networks."""
    return _load("references")


@pytest.fixture(scope="session")
def marlin_makers() -> ModuleType:
    """The module `marlin_makers`: MARLIN's published files, and its steps in float64."""
    return _load("marlin_makers")


@pytest.fixture(scope="session")
def small_media(
    extracts: ModuleType, media_makers: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of 26 clips: 24 sounds, a text, a silent film."""
    folder: Path = extracts.make_media(tmp_path_factory.mktemp("small") / "media", media_makers, 24)
    return folder


@pytest.fixture(scope="session")
def small_home(
    extracts: ModuleType, small_media: Path, tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """A home with these clips indexed and nothing extracted; copy it, do not change it."""
    home: Home = extracts.indexed(tmp_path_factory.mktemp("home") / "home", small_media)
    return home


@pytest.fixture
def home(extracts: ModuleType, small_home: Home, tmp_path: Path) -> Home:
    """A copy of `small_home` for one test."""
    copy: Home = extracts.copied(small_home, tmp_path / "home")
    return copy


@pytest.fixture(scope="session")
def randomised(checkpoint_makers: ModuleType) -> Callable[..., nn.Module]:
    """`randomised(network, seed=0) -> network`: all tensors drawn anew, statistics too."""

    def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        network.load_state_dict(checkpoint_makers.random_tensors(shapes, seed))
        return network.eval().requires_grad_(False)

    return drawn


@pytest.fixture(scope="session")
def speechbrain() -> SimpleNamespace:
    """speechbrain's own layers, where it is installed; they are a check, not what is shipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("speechbrain")
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.Xvector import Classifier, Xvector
        from speechbrain.nnet.pooling import StatisticsPooling
        from speechbrain.processing.features import InputNormalization
    return SimpleNamespace(
        Classifier=Classifier,
        Fbank=Fbank,
        InputNormalization=InputNormalization,
        StatisticsPooling=StatisticsPooling,
        Xvector=Xvector,
    )


@pytest.fixture
def noiseless(speechbrain: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """speechbrain's pooling adds random numbers, in evaluation too; here it adds none."""
    import torch

    def zeros(_: object, shape: tuple[int, ...], device: str = "cpu") -> torch.Tensor:
        return torch.zeros(shape, device=device)

    monkeypatch.setattr(speechbrain.StatisticsPooling, "_get_gauss_noise", zeros)
