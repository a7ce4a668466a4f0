"""What `benchmarks.fit` reckons with: corpora in two shapes, laps, medians, tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from avfd.specs import BackboneSpec
from benchmarks.fit_lines import GridRow, Laps, Line, line_of, lines, report
from benchmarks.made_columns import DATASET, SECONDS, blocks, make
from benchmarks.npy_loop import Loop, NpyClips, fitted
from classify.data import Opened

SPEC = BackboneSpec("small", 1, "audio", "for tests", 2, (3,))


def test_a_file_is_cut_or_filled_to_ten_vectors() -> None:
    long = np.arange(24, dtype=np.float32).reshape(12, 2)
    assert (fitted(long) == long[:10]).all()
    short = fitted(long[:7])
    assert (short[:7] == long[:7]).all()
    assert (short[7:] == np.zeros((3, 2))).all()


def test_both_shapes_of_the_corpus_hold_the_same_numbers(tmp_path: Path) -> None:
    made = make(tmp_path, {"a": SPEC}, 6, files=True)
    column = Opened.at(made.home, [DATASET]).column("a")
    for clip, stem in zip(made.clips, made.stems, strict=True):
        stored = np.load(made.files / "a" / f"{stem}.npy")
        assert stored.shape == (SECONDS * 2, 3)
        assert (column.read(clip.key).values.reshape(stored.shape) == stored).all()
    assert [unit.label for unit in made.units] == ["real", "fake"] * 3
    groups = [unit.group for unit in made.units]
    assert [groups.count(group) for group in groups] == [4] * 4 + [2] * 2


def test_blocks_are_bounded_and_leave_out_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.made_columns.COMMIT_BYTES", 2 * SECONDS * 2 * 3 * 4)
    found = [(first, len(values)) for first, values in blocks(SPEC, 5, seed=0)]
    assert found == [(0, 2), (2, 2), (4, 1)]


def test_laps_lie_between_the_calls() -> None:
    laps = Laps.of(lambda lap: [lap() for _ in range(3)])
    assert len(laps.wall) == len(laps.cpu) == 3
    assert min(laps.wall) >= 0


def test_a_line_has_medians_and_how_many_times_longer_the_files_took() -> None:
    laps = {
        "avfd": [Laps((2.0, w), (1.0, 1.0)) for w in (1.0, 9.0, 2.0)],
        0: [Laps((5.0, w), (4.0, 3.0)) for w in (8.0, 10.0, 90.0)],
        2: [Laps((4.0, w), (0.1, 0.1)) for w in (6.0, 6.0, 6.0)],
    }
    first, further = lines("loading", 7, laps)
    assert (first.avfd, first.files, first.cpu_ratio) == (2.0, {0: 5.0, 2: 4.0}, 4.0)
    assert (further.avfd, further.files) == (2.0, {0: 10.0, 2: 6.0})
    assert further.ratios == {0: 5.0, 2: 3.0}


def test_stored_figures_make_the_same_table_again() -> None:
    line = Line("narrow", "further", 1_000, 0.5, {0: 2.0, 2: 1.5}, 3.25)
    row = GridRow("marlin-eat", {"audio": "eat", "video": "marlin-base"}, 28, 3.0, None, 4.5)
    parts = {
        "narrow": {"facts": {"repeats": 3}, "lines": [asdict(line)]},
        "grid": {"facts": {"clips": 40}, "lines": [asdict(row), asdict(row)]},
    }
    read = json.loads(json.dumps(parts))
    assert line_of(read["narrow"]["lines"][0]) == line
    text = report(read)
    assert "| narrow | further | 1,000 | 0.5 s | 2 s | 1.5 s | 4.00 x | 3.00 x | 3.25 x |" in text
    assert "| marlin-eat | eat + marlin-base | 28 | 3 s |  | 4.5 s |" in text
    assert "| all | | | | | 9 s |" in text


def test_the_plain_loop_takes_the_steps_of_adam(tmp_path: Path) -> None:
    """Two clips, one number: the first step of Adam is the learning rate, against the sign."""
    import torch

    for modality in ("audio", "video"):
        (tmp_path / modality).mkdir()
        for stem in ("x", "y"):
            np.save(tmp_path / modality / f"{stem}.npy", np.ones((10, 1), dtype=np.float32))
    folders = {m: tmp_path / m for m in ("audio", "video")}

    class Weighted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, audio, audio_mask, video, video_mask):  # type: ignore[no-untyped-def]
            assert audio_mask.all()
            assert video_mask.shape == (2, 10)
            return self.weight * (audio.mean(dim=(1, 2)) + video.mean(dim=(1, 2)))

    network, laps = Weighted(), []
    loop = Loop(1, 2, 0, 0.125, (0.5, 0.9))
    said = loop.train(
        NpyClips(folders, ["x", "y"], [1, 0]),
        network,
        lambda out, target: out.mean() + 0 * target.sum(),
        lambda: laps.append(network.weight.item()),
    )
    assert said == 2.0
    assert laps == [pytest.approx(1.0 - 0.125)]
