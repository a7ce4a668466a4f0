"""Networks on a GPU: how fast, how busy, how much faster in batches, how exact in half precision.

    python -m benchmarks.gpu [--networks eat,…] [--minutes 20] [--media DIR]

For each network, published size, random weights:
1. on the device alone, windows ready in memory: seconds of media a second in batches and one window
   at a time (aim: 20 times faster in batches), in float32 and in half precision; how far float32 is
   from the CPU's numbers, and half precision from float32's (both relative to max(1, |b|));
2. an extract of --minutes of media: seconds of media a second without the start, how busy the GPU
   was (nvidia-smi's mean, and the share of its process' time spent on jobs), and the share of the
   time that it waited for windows: decoding, faces, cutting.

Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from avfd.home import Home
from benchmarks.columns import Bench, prepared
from benchmarks.extract import measured
from benchmarks.helpers import ROOT, write_result
from benchmarks.random_weights import add_weights
from extract.task import FACE_MODEL

NETWORKS = [
    "eat",
    "eat-large",
    "emotion2vec",
    "emotion2vec-plus-large",
    "marlin-small",
    "marlin-base",
    "marlin-large",
    "efficientface",
    "emo-cnn3d",
    "xvector",
]
HALF = "bfloat16"
AUDIO_SECONDS, FACE_SECONDS = 10, 8  # of one parcel
PARCEL_BYTES = 96 << 20  # of windows that lie ready
ALONE = 24  # windows that are timed one at a time
AIM = 20.0


def alone(bench: Bench, network: str, device: str = "cuda:0") -> dict[str, object]:
    """Part 1 for one network."""
    from extract.batching import prepare

    prepare(device)
    home = Home(bench.folder / "weights-home")
    add_weights(home, [network])
    before = loaded(home, network, "cpu")
    found: dict[str, object] = {}
    for asked in (network, f"{network}:precision={HALF}"):
        backbone = loaded(home, asked, device)
        one, seconds = parcel(backbone)
        expected, numbers = (net.run(one.inputs[:2]) for net in (before, backbone))
        error = np.abs(numbers - expected) / np.maximum(1, np.abs(expected))
        batched, at_once = in_batches(backbone, one)
        single = one_by_one(backbone, one)
        found[backbone.options.precision] = {
            "media_seconds_a_second": seconds / batched,
            "one_at_a_time": seconds / single,
            "ratio": single / batched,
            "windows_at_once": at_once,
            "furthest_from_reference": float(error.max()),
        }
        before = backbone
    return found


def loaded(home: Home, asked: str, device: str) -> Any:
    """A network on a device."""
    from extract.backbones import build
    from extract.weights import find

    backbone: Any = build(asked)
    names = [name for name in backbone.spec.weights if name != FACE_MODEL]
    backbone.load({name: find(name, home).path for name in names}, device)
    return backbone


def in_batches(backbone: Any, one: Any) -> tuple[float, int]:
    """Seconds for a parcel among many, and how many windows went at once."""
    from extract.batching import answer
    from extract.flights import Flights

    copies = max(1, PARCEL_BYTES // one.inputs.nbytes)
    flights = Flights(backbone)
    took = seconds_of(lambda: answer(flights, [one] * copies))
    total = copies * len(one.inputs)
    return took / copies, flights.fits.get(one.inputs.shape[1:], total)


def one_by_one(backbone: Any, one: Any) -> float:
    """Seconds for a parcel, window after window."""
    singles = [one.inputs[i : i + 1] for i in range(min(ALONE, len(one.inputs)))]
    took = seconds_of(lambda: [backbone.run(single) for single in singles])
    return took * len(one.inputs) / len(singles)


def parcel(backbone: Any) -> tuple[Any, float]:
    """Windows of one block of noise, and how many seconds of media it is."""
    from extract.backbones.base import AudioBlock, FaceBlock

    spec, draw = backbone.spec, np.random.default_rng(0)
    if spec.audio:
        rate = spec.audio.sample_rate_hz
        span = (0.0, float(AUDIO_SECONDS))
        sound = draw.normal(0, 0.1, AUDIO_SECONDS * rate).astype(np.float32)
        return backbone.windows(AudioBlock(sound, rate, 0.0, span, (span,))), AUDIO_SECONDS
    count, side = FACE_SECONDS * spec.faces.rate_hz, spec.faces.size_px
    crops = draw.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return backbone.windows(FaceBlock(crops, 0, np.ones(count, bool))), FACE_SECONDS


def seconds_of(work: Callable[[], object]) -> float:
    """The best of three, after one that does not count."""
    took = []
    for _ in range(4):  # each ends with its answers on the host, so nothing is left to wait for
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took[1:])


class Utilisation:
    """nvidia-smi's view of the GPU, twice a second, while entered."""

    def __enter__(self) -> Utilisation:
        self._query = subprocess.Popen(
            [
                *("nvidia-smi", "--query-gpu=utilization.gpu"),
                *("--format=csv,noheader,nounits", "--loop-ms=500"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seen: list[int] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._query.terminate()
        self._reader.join()

    def _read(self) -> None:
        assert self._query.stdout is not None
        self.seen += [int(line) for line in self._query.stdout if line.strip().isdigit()]

    @property
    def mean(self) -> float | None:
        """Per cent, the start left out as far as it was idle; None where nothing was seen."""
        busy = np.flatnonzero(np.array(self.seen) > 0)
        return float(np.mean(self.seen[busy[0] : busy[-1] + 1])) if len(busy) else None


def through(bench: Bench, network: str, minutes: float) -> dict[str, object]:
    """Part 2 for one network."""
    asked = [f"{network}:precision={HALF}"]
    home = bench.home(network, bench.some(minutes), asked)
    start = bench.home(f"{network}-few", bench.few(), asked)
    few = measured(bench.extracts, start, asked, bench.workers, "cuda")
    with Utilisation() as gpu:
        whole = measured(bench.extracts, home, asked, bench.workers, "cuda")
    busy = sum(device["busy_seconds"] for device in whole.devices)
    waiting = sum(device["waiting_seconds"] for device in whole.devices)
    return {
        "media_seconds": whole.media_seconds,
        "media_seconds_a_second": whole.media_seconds / (whole.wall_seconds - few.wall_seconds),
        "utilisation_percent": gpu.mean,
        "busy_share": busy / (busy + waiting),
        "waiting_share": waiting / (busy + waiting),
        "windows": sum(device["windows"] for device in whole.devices),
        "batches": sum(device["batches"] for device in whole.devices),
        "cpu_seconds": whole.parts,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("AVFD_TESTDATA") or ROOT.parent / "shared" / "data") / "clips"
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--media", type=Path, default=default)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("SKIPPED: PyTorch sees no GPU here; nothing was measured", file=sys.stderr)
        return 0
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        bench = prepared(Path(name), options.media)
        for network in options.networks.split(","):
            found[network] = {**alone(bench, network), "extract": None}
            found[network]["extract"] = through(bench, network, options.minutes)
            print(network, found[network], flush=True)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "gpu": torch.cuda.get_device_name(0),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
    }
    print(f"written to {write_result('gpu', {**facts, 'networks': found})}")
    return 0 if all(part[HALF]["ratio"] >= AIM for part in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
