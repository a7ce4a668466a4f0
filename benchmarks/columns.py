"""All columns in one pass, against a pass each and against a loop over the reference libraries.

    python -m benchmarks.columns [--parts one_pass,plain,networks,memory] [--minutes 6]
                                 [--network-minutes 1] [--media DIR]

one_pass. Every column but the transformers': one extract of them all against an extract of each in
   a fresh home, wall and CPU seconds, starts taken off. Aim: 1.5 or more.
plain, networks. avfd against `benchmarks/reference_loop.py` over the same files: columns without a
   network (aim 3), and networks (aim 1.2). Loading is excluded on both sides: avfd's is the wall
   time of an extract of one short clip a worker, and those clips are not among the files that
   count. And of these extracts the share of CPU time that is neither decoding, faces (crops
   included) nor backbones, the start taken off; aim: under 0.10.
memory. The device stage on the CPU: peak memory over 100 and 1,000 clips (aim: 1.10), and over a
   file of 12 minutes and one of 2 hours.

Networks have the published sizes and random weights. A part's figures replace its earlier ones in
benchmarks/results/columns.json. Exit status 1 where an aim was missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from avfd.home import Home
from benchmarks.extract import Cost, linked, measured, seconds_of, sources_in
from benchmarks.helpers import RESULTS, ROOT, from_tests, write_result
from benchmarks.random_weights import add_weights, face_model, share_weights

LIGHT = [
    "compare2016",
    "compare2016-functionals",
    "emobase2010",
    "loudness",
    "mel",
    "mfcc",
    "mfcc-avt2",
    "mfcc-iat",
    "waveform",
    "face_track",
    "faces",
    "efficientface",
    "emo-cnn3d",
    "emo-lstm",
    "resnet18",
    "xvector",
    "xvector-posterior",
]
"""Every column but the transformers' (EAT, emotion2vec, MARLIN)."""

PLAIN = [
    "compare2016",
    "compare2016-functionals",
    "emobase2010",
    "loudness",
    "mel",
    "mfcc",
    "mfcc-iat",
    "waveform",
    "faces",
]
PLAIN_STEPS = "smile,librosa,faces"
"""What the reference loop makes these columns with."""

NETWORKS = ["emotion2vec", "xvector", "marlin-small"]
NETWORK_STEPS = "emotion2vec,xvector,marlin"

SMALL = "xvector:preset=small"
AIMS = {"one_pass": 1.5, "plain": 3.0, "networks": 1.2, "memory": 1.10}
"""Part → ratio that it should reach; of memory, that it should stay under."""
OVERHEAD = 0.10

Found = dict[str, Any]
"""What a part measured; its `ratio` is what the aim is about."""


@dataclass
class Bench:
    """Where a benchmark works.

    Attributes:
        extracts, makers: helpers of the tests.
        folder: on the disk of `sources`, for hard links.
        sources: media, in a random order that is always the same.
        seconds: how long each is.
    """

    extracts: ModuleType
    makers: ModuleType
    folder: Path
    sources: list[Path]
    seconds: list[float]
    workers: int

    def few(self) -> list[Path]:
        """A short file for each worker: an extract of them is hardly more than a start."""
        order = sorted(range(len(self.sources)), key=lambda i: self.seconds[i])
        return [self.sources[i] for i in order[: self.workers]]

    def some(self, minutes: float) -> list[Path]:
        """Files of so many minutes in all, the few not among them."""
        few = set(self.few())
        kept = [i for i, source in enumerate(self.sources) if source not in few]
        so_far = accumulate((self.seconds[i] for i in kept), initial=0.0)
        return [self.sources[i] for i, s in zip(kept, so_far, strict=False) if s < minutes * 60]

    def home(self, name: str, files: list[Path], columns: list[str]) -> Home:
        """A home with these files indexed and the weights that the columns need."""
        media = linked(files, self.folder / f"{name}-media", lambda i: i >= len(files))
        home: Home = self.extracts.indexed(self.folder / name, media)
        add_weights(home, columns)
        return home

    def cost(self, home: Home, columns: list[str], copy: str = "", device: str = "cpu") -> Cost:
        """An extract, in a copy of the home where one is named."""
        if copy:
            home = self.extracts.copied(home, self.folder / copy)
        return measured(self.extracts, home, columns, self.workers, device)


@dataclass(frozen=True)
class Timed:
    """An extract without its start.

    Attributes:
        wall_seconds, cpu_seconds: without the start.
        overhead: share of the CPU time that is neither decoding, faces nor backbones.
        parts: CPU seconds by part.
    """

    wall_seconds: float
    cpu_seconds: float
    overhead: float
    parts: dict[str, float]
    media_seconds: float


def timed(whole: Cost, few: Cost, workers: int) -> Timed:
    """`whole` without the start: `few`, a clip a worker, is that but for its clips' work."""
    cpu = whole.cpu_seconds - (few.cpu_seconds - few.clip_cpu_seconds)
    own = sum(whole.parts[part] for part in ("decode", "faces", "crops", "features"))
    wall = whole.wall_seconds - (few.wall_seconds - few.clip_cpu_seconds / workers)
    return Timed(wall, cpu, 1 - own / cpu, whole.parts, whole.media_seconds)


def one_pass(bench: Bench, minutes: float) -> Found:
    """All light columns together, and each by itself, starts taken off."""
    home = bench.home("light", bench.some(minutes), LIGHT)
    few = bench.home("light-few", bench.few(), LIGHT)

    def made(columns: list[str], name: str) -> Timed:
        whole, start = (bench.cost(h, columns, f"{name}{h.path.name}") for h in (home, few))
        return timed(whole, start, bench.workers)

    together = made(LIGHT, "together")
    each = {column: made([column], f"alone-{column}") for column in LIGHT}
    wall = sum(cost.wall_seconds for cost in each.values())
    cpu = sum(cost.cpu_seconds for cost in each.values())
    return {
        "columns": LIGHT,
        "media_seconds": together.media_seconds,
        "wall_seconds": {"together": together.wall_seconds, "each": wall},
        "cpu_seconds": {"together": together.cpu_seconds, "each": cpu},
        "cpu_seconds_of_each": {column: cost.cpu_seconds for column, cost in each.items()},
        "ratio": wall / together.wall_seconds,
        "cpu_ratio": cpu / together.cpu_seconds,
    }


def against_loop(bench: Bench, name: str, columns: list[str], steps: str, minutes: float) -> Found:
    """avfd and the loop over the same files."""
    files = bench.some(minutes)
    home = bench.home(name, files, columns)
    start = bench.home(f"{name}-few", bench.few(), [])
    share_weights(home, start)
    ours = timed(bench.cost(home, columns), bench.cost(start, columns), bench.workers)
    theirs = loop(files, steps, face_model(home))
    wall = sum(theirs["wall_seconds"].values())
    return {
        "columns": columns,
        "steps": theirs,
        "avfd": asdict(ours),
        "wall_seconds": {"avfd": ours.wall_seconds, "loop": wall},
        "ratio": wall / ours.wall_seconds,
        "cpu_ratio": sum(theirs["cpu_seconds"].values()) / ours.cpu_seconds,
        "overhead": ours.overhead,
    }


def loop(files: list[Path], steps: str, model: Path) -> dict[str, dict[str, float]]:
    """The reference loop in a process of its own, with the libraries' default threads."""
    script = Path(__file__).parent / "reference_loop.py"
    command = [sys.executable, str(script), "--steps", steps, "--face-model", str(model)]
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(bench: Bench) -> Found:
    """Peak memory of the device stage."""
    tiny = bench.makers.make_audio(bench.folder / "tiny.wav", bench.makers.clicks(1.2, 16_000))
    peaks = {}
    for count in (100, 1000):
        home = bench.home(f"many-{count}", [tiny] * count, [SMALL])
        peaks[f"{count} clips"] = bench.cost(home, [SMALL], device="cpu-batched").peak_bytes
    for minutes in (12, 120):
        path = bench.folder / f"{minutes}.flac"
        noise = np.random.default_rng(0).normal(0, 0.1, (1, 16_000 * 60 * minutes))
        bench.makers.make_audio(path, noise.astype(np.float32), 16_000, codec="flac")
        home = bench.home(f"long-{minutes}", [path], [SMALL])
        peaks[f"{minutes} minutes"] = bench.cost(home, [SMALL], device="cpu-batched").peak_bytes
    return {"peak_bytes": peaks, "ratio": peaks["1000 clips"] / peaks["100 clips"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("AVFD_TESTDATA") or ROOT.parent / "shared" / "data") / "clips"
    parser.add_argument("--parts", default=",".join(AIMS))
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--network-minutes", type=float, default=1.0)
    parser.add_argument("--media", type=Path, default=default)
    options = parser.parse_args()
    minutes, few_minutes = options.minutes, options.network_minutes
    todo: dict[str, Callable[[Bench], Found]] = {
        "one_pass": lambda bench: one_pass(bench, minutes),
        "plain": lambda bench: against_loop(bench, "plain", PLAIN, PLAIN_STEPS, minutes),
        "networks": lambda bench: against_loop(
            bench, "networks", NETWORKS, NETWORK_STEPS, few_minutes
        ),
        "memory": memory,
    }
    found: dict[str, Found] = {}
    met = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # hard links want one disk
        bench = prepared(Path(folder), options.media)
        for part in options.parts.split(","):
            found[part] = todo[part](bench)
            met.append(said(part, found[part]))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {
        "date": today,
        "processor": processor(),
        "command": " ".join(["python -m benchmarks.columns", *sys.argv[1:]]),
    }
    path = RESULTS / "columns.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    parts = {name: before[name] for name in AIMS if name in before}
    parts |= {name: {**facts, **measured} for name, measured in found.items()}
    print(f"written to {write_result('columns', parts)}")
    return 0 if all(met) else 1


def said(part: str, found: Found) -> bool:
    """Print how a part came out; whether its aims were met."""
    ratio, aim = found["ratio"], AIMS[part]
    print(f"{part}: ratio {ratio:.2f}, aim {aim}", flush=True)
    met: bool = ratio <= aim if part == "memory" else ratio >= aim
    if "overhead" in found:
        print(f"{part}: overhead {found['overhead']:.3f}, aim {OVERHEAD}", flush=True)
        met = met and found["overhead"] < OVERHEAD
    return met


def prepared(folder: Path, media: Path) -> Bench:
    """Sources on one disk with the links, and how long they are; the demo corpus without any."""
    extracts, makers = from_tests("extract/extracts"), from_tests("media_makers")
    sources = sources_in(media, folder / "sources")
    random.Random(0).shuffle(sources)
    seconds = seconds_of(extracts, folder / "lengths", sources)
    return Bench(extracts, makers, folder, sources, seconds, len(os.sched_getaffinity(0)))


def processor() -> str:
    """The processor's name, as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


if __name__ == "__main__":
    sys.exit(main())
