"""What the device stage holds while its devices are slow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from avfd.clips import Clip
from extract import backbones
from extract.backbones import base
from extract.pipeline import Setup
from extract.run.plan import Limits
from extract.run.stage import DeviceStage
from extract.scans import Roots, with_stat
from extract.sending import SEND_BYTES
from extract.task import Task
from extract.weights import TABLE

PLUGINS = Path(__file__).parents[1] / "plugins"
SECONDS = 600
TOTAL = SECONDS * 16_000 * 4


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    """A network of the plug-ins; what is registered is as before afterwards."""
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    before = dict(TABLE)
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv(backbones.MODULES_VARIABLE, "small_networks")
    backbones.load_all()
    tensors = {"weight": np.zeros((8, 16), np.float32), "bias": np.zeros(8, np.float32)}
    save_file(tensors, tmp_path / "net.safetensors")
    weights = {"small-network": tmp_path / "net.safetensors"}
    yield Setup(Roots(tmp_path), ("net-seconds",), None, weights, ("cpu",))
    sys.modules.pop("small_networks", None)
    TABLE.clear()
    TABLE.update(before)


def test_a_long_clip_is_not_read_ahead_of_the_device(
    setup: Setup, tmp_path: Path, make_audio: Callable[..., Path]
) -> None:
    """600 s are 38 MB of windows; the reader stops soon after the 4 MB that there is room for."""
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 16_000 * SECONDS)).astype(np.float32)
    make_audio(tmp_path / "long.wav", noise)
    clip = Clip("d/long.wav", audio_path="long.wav", seconds=float(SECONDS), has_audio=True)
    task = Task(with_stat([clip], setup.roots)[0], 0, SECONDS, {"net-seconds": "net-seconds"})
    stage = DeviceStage(
        setup,
        workers=1,
        memory_limit_bytes=0,
        limits=Limits(window_bytes=4 << 20),
        split=lambda task: [task],
    )
    devices, stage._devices = stage._devices, []  # as if they were busy with something else
    seen = [0]
    with stage:
        rounds = stage.rounds([task])
        while stage.held_bytes == 0 or len(set(seen[-8:])) > 1:  # a tenth of a second each
            assert next(rounds) == []
            seen.append(stage.held_bytes)
        assert seen[-1] < 4 * SEND_BYTES < TOTAL
        stage._devices = devices
        (outcome,) = [o for found in rounds for o in found if o.item.columns]
        assert stage.held_bytes == 0
    (result,) = outcome.result.results.values()
    assert result.valid.sum() == SECONDS
