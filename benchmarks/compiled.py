"""Networks through `torch.compile`: how much faster, how long it takes to make, how exact.

    python -m benchmarks.compiled [--networks eat,…] [--device cpu|cuda:0] [--threads 1]

Published sizes, random weights, windows of one clip of made sound or pictures ready in memory, at
most eight at once: the best of three turns of the plain network and of the compiled one, taken one
after the other. The making is what the first compiled answer takes longer than a later one,
nothing kept on disk from before. `furthest` is |compiled - plain| / max(1, |plain|) at its largest.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from avfd.home import Home
from benchmarks.gpu import loaded, parcel, seconds_of
from benchmarks.helpers import write_result
from benchmarks.random_weights import add_weights

NETWORKS = ["emotion2vec", "xvector", "eat", "marlin-small", "efficientface", "resnet18"]
ERROR = 1e-5


def compared(home: Home, network: str, device: str) -> dict[str, float]:
    """One network, plain and compiled."""
    from extract.compiling import prepare_compiler

    add_weights(home, [network])
    backbone = loaded(home, network, device)
    one, media_seconds = parcel(backbone)
    windows = one.inputs[: backbone.at_once]
    share = len(windows) / len(one.inputs)
    plain = backbone.run(windows)
    before = seconds_of(lambda: backbone.run(windows))
    prepare_compiler(home.compiled_dir, device)
    backbone.compile()
    start = time.perf_counter()
    compiled = backbone.run(windows)
    first = time.perf_counter() - start
    after = seconds_of(lambda: backbone.run(windows))
    return {
        "plain": media_seconds * share / before,
        "compiled": media_seconds * share / after,
        "ratio": before / after,
        "making_seconds": first - after,
        "furthest": float((np.abs(compiled - plain) / np.maximum(1, np.abs(plain))).max()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="as in a worker of one core")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        for network in options.networks.split(","):
            found[network] = compared(home, network, options.device)
            print(network, found[network], flush=True)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": options.device,
        "threads": options.threads,
        "command": " ".join(["python -m benchmarks.compiled", *sys.argv[1:]]),
        "unit": "seconds of media a second",
    }
    print(f"written to {write_result('compiled', {**facts, 'networks': found})}")
    return 0 if all(part["furthest"] <= ERROR for part in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
