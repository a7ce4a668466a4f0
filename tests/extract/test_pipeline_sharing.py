"""Backbones of one pass share what they are given, so none may change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfd.clips import Clip
from avfd.specs import DONE, FAILED
from extract.assembly import Assembly
from extract.backbones.base import AudioBlock, FaceBlock, Slots
from extract.backbones.loudness import Loudness
from extract.pipeline import run_clip
from extract.scans import Roots, with_stat
from extract.task import Task


class Careless(Loudness):
    """Loudness that makes its sound louder in place, as code written for one model does."""

    def audio(self, block: AudioBlock) -> Slots:
        samples = block.samples
        samples *= 2
        return super().audio(block)


class CarelessReader(Loudness):
    """Changes the column that it reads."""

    spec = replace(Loudness.spec, name="careless", audio=None, reads="loudness")

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Slots:
        values[:] = 0
        return Slots(0, values, valid)


def test_a_backbone_that_changes_its_input_costs_itself_only(
    tmp_path: Path, make_audio: Callable[..., Path]
) -> None:
    noise = np.random.default_rng(1).uniform(-0.4, 0.4, (1, 32_000)).astype(np.float32)
    make_audio(tmp_path / "a.wav", noise)
    clip = Clip("d/a.wav", audio_path="a.wav", seconds=2.0, has_audio=True)
    task = Task(
        with_stat([clip], Roots(tmp_path))[0],
        0,
        2,
        {"careless-audio": "", "loudness": "", "careless": ""},
    )
    backbones = {"careless-audio": Careless(), "loudness": Loudness(), "careless": CarelessReader()}
    columns = [Assembly(name, backbone, task.place) for name, backbone in backbones.items()]
    results = run_clip(task, columns, Roots(tmp_path), None).results
    for name in ("careless-audio", "careless"):
        assert results[name].status == FAILED
        assert "read-only" in results[name].reason
    assert results["loudness"].status == DONE
    assert results["loudness"].values.all()


def test_crops_and_their_mask_are_read_only() -> None:
    block = FaceBlock(np.zeros((3, 4, 4, 3), np.uint8), 0, np.ones(3, bool))
    assert not block.crops.flags.writeable
    assert not block.valid.flags.writeable
