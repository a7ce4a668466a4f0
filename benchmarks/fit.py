"""One epoch of `td3mf` from cached columns against a loop over .npy files; the time of a table.

    python -m benchmarks.fit [--part loading narrow paper grid] [--clips N] [--repeats 3]

Clips of 10 seconds, an audio column (`eat`) and a video column (`marlin-base`) of random numbers,
768 a second each. avfd goes its own road, cache → held columns → NetworkEstimator, from opening
the cache on; the other side is `benchmarks.npy_loop`, with no and with two worker processes.
Network, loss, optimiser, batch (32), epochs and threads (one; a worker has its own) are the same
on both sides; neither validates, and finding out which clips there are is in the times of neither.

The sides take turns. Before each turn the pages of its files are dropped (posix_fadvise after an
fsync, which needs no root), then two epochs are trained. "first, cold" is from the start to the end
of the first epoch, with all that is done once a fit; "further" is the second epoch, for which the
files lie in the page cache. Medians of --repeats; "of CPU" is the ratio of the processor time of
the training process, files without workers to avfd: other work on the machine touches it least.

loading (20,000 clips): a network of one number that looks at nothing; what is left of an epoch is
    reading, batches and the loop itself.
narrow (5,000 clips): td3mf with widths of 8.
paper (1,000 clips): td3mf as published. On a CPU it takes nearly all of the time, and the same on
    both sides.
grid: every row of 2D3MF's Table 2 by `classify.fit`, on cached columns in the shapes of its
    backbones, --grid-clips for --grid-epochs: the split, training, validation, scores, intervals,
    figures and writing the run are in it; making the columns is not.

--clips N takes N clips for every network. A part's figures replace its earlier ones in
benchmarks/results/fit.json and fit.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cache import bytes_on_disk, sync
from benchmarks.fit_lines import NETWORKS, GridRow, Lap, Laps, Line, lines, report
from benchmarks.helpers import RESULTS, write_result
from benchmarks.made_columns import DATASET, Made, make
from benchmarks.npy_loop import Loop, NpyClips, fitted
from classify import estimators
from classify.columns import PictureOptions
from classify.data import Opened, samples_of
from classify.estimators.devices import threads
from classify.estimators.options import EstimatorOptions
from classify.estimators.td3mf import TD3MF
from classify.features import Samples
from classify.watching import watched
from extract.backbones import build, load_all

COLUMNS = {"audio": "eat", "video": "marlin-base"}
CLASSES = ("real", "fake")
PARTS = (*NETWORKS, "grid")
CLIPS = {"loading": 20_000, "narrow": 5_000, "paper": 1_000}
EPOCHS = 2
WARM_UP_CLIPS = 64
WIDE = "td3mf:precision=float32"
NARROW = f"{WIDE},hidden=8,audio_width=8,heads=1,audio_stage=8,video_stage=8"


class OneNumber(nn.Module):
    """A network that looks at nothing: one logit for every clip."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.zeros(1, 1))

    def forward(self, **tracks: Tensor) -> Tensor:
        """[batch, 1]."""
        return self.logit.expand(len(next(iter(tracks.values()))), 1)


class Bare(TD3MF):
    """td3mf's samples and training around a network that costs nothing."""

    def network(self) -> nn.Module:
        return OneNumber()


class Contest:
    """avfd and the loop over files on the same clips, with one kind of network."""

    def __init__(self, made: Made, part: str, device: str) -> None:
        self.made, self.part, self.device = made, part, device
        # A small fit goes before: it imports what there is to import and settles the shapes.
        self._model = self._estimator()
        count = min(WARM_UP_CLIPS, len(self.made.clips))
        few = self._samples().take(np.arange(count))
        self._model.fit(few.features, few.y)

    def run(self, repeats: int) -> list[Line]:
        """Both sides in turn, so many times."""
        cache, files = self.made.home.path, self.made.files
        sides: dict[str | int, tuple[Path, Callable[[Lap], object]]] = {
            "avfd": (cache, self.from_columns),
            **{workers: (files, partial(self.from_files, workers)) for workers in (0, 2)},
        }
        laps: dict[str | int, list[Laps]] = {side: [] for side in sides}
        for _ in range(repeats):
            for side, (folder, work) in sides.items():
                gc.collect()
                sync(folder, drop=True)
                laps[side].append(Laps.of(work))
        return lines(self.part, len(self.made.clips), laps)

    def from_columns(self, lap: Lap) -> None:
        """Two epochs, from opening the cache on."""
        samples = self._samples()
        with watched(lambda _: lap()):
            self._estimator().fit(samples.features, samples.y)

    def from_files(self, workers: int, lap: Lap) -> None:
        """Two epochs of the plain loop."""
        told = self._model.settings
        betas = (told.beta1, told.beta2)
        loop = Loop(EPOCHS, told.batch, workers, told.learning_rate, betas, self.device)
        folders = {m: self.made.files / name for m, name in COLUMNS.items()}
        labels = [CLASSES.index(str(clip.label)) for clip in self.made.clips]
        weight = torch.ones(len(CLASSES), device=self.device)
        network = self._model.network()
        with threads(told.threads):
            loop.train(
                NpyClips(folders, self.made.stems, labels),
                network,
                lambda out, target: self._model.loss(out, target, weight),
                lap,
            )

    def _samples(self) -> Samples:
        opened = Opened.at(self.made.home, [DATASET])
        return samples_of(self.made.units, CLASSES, opened, COLUMNS, PictureOptions())

    def _estimator(self) -> TD3MF:
        options = EstimatorOptions(epochs=EPOCHS, device=self.device)  # type: ignore[arg-type]
        built = estimators.build(NARROW if self.part == "narrow" else WIDE, options)
        assert isinstance(built, TD3MF)
        return Bare(options, built.settings) if self.part == "loading" else built


def check_same(made: Made, count: int = 50) -> None:
    """Both sides must be given the same numbers."""
    opened = Opened.at(made.home, [DATASET])
    samples = samples_of(made.units, CLASSES, opened, COLUMNS, PictureOptions())
    for i in np.random.default_rng(0).integers(len(made.clips), size=count).tolist():
        for modality, name in COLUMNS.items():
            cached = samples.features[modality].native(i).values
            stored = fitted(np.load(made.files / name / f"{made.stems[i]}.npy"))
            assert (cached.reshape(stored.shape) == stored).all(), (name, i)


def store(part: str, facts: dict[str, object], found: Sequence[Line | GridRow]) -> None:
    """Put a part's figures in place of its earlier ones."""
    path = RESULTS / "fit.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    measured = {"facts": facts, "lines": [asdict(line) for line in found]}
    parts = {name: before[name] for name in PARTS if name in before} | {part: measured}
    write_result("fit", parts)
    (RESULTS / "fit.md").write_text(report(json.loads(path.read_text())))


def load_now() -> float:
    """Of the machine, the mean of the last minute."""
    return round(os.getloadavg()[0], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clips", type=int, help=f"of each network; default: {CLIPS}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--grid-clips", type=int, default=100)
    parser.add_argument("--grid-epochs", type=int, default=2)
    parser.add_argument("--grid-preset", default="paper")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    options = parser.parse_args()
    load_all()
    for part in options.part:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            before = load_now()
            found, facts = measured(part, Path(name), options)
        date = datetime.now(UTC).date().isoformat()
        loads = {"load before": before, "load after": load_now()}
        about = {"date": date, "device": options.device, "torch": torch.__version__, **loads}
        store(part, {**about, **facts}, found)
    print((RESULTS / "fit.md").read_text(), end="")


def measured(
    part: str, folder: Path, options: argparse.Namespace
) -> tuple[Sequence[Line | GridRow], dict[str, object]]:
    """A part's lines, and what must be said of them."""
    if part == "grid":
        from benchmarks.fit_grid import grid

        clips, epochs, preset = options.grid_clips, options.grid_epochs, options.grid_preset
        rows = grid(folder, clips, epochs, preset, options.device)
        return rows, {"clips": clips, "epochs": epochs, "preset": preset}
    count = options.clips or CLIPS[part]
    made = make(folder, {name: build(name).spec for name in COLUMNS.values()}, count, files=True)
    check_same(made)
    megabytes = round(bytes_on_disk(made.files) / 1e6)
    contest = Contest(made, part, options.device)
    return contest.run(options.repeats), {"repeats": options.repeats, "MB of files": megabytes}


if __name__ == "__main__":
    main()
