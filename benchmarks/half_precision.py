"""How far half precision moves each network's vectors on a CPU: small presets, random weights.

The figure is the largest |half - full| / |full| over the vectors of 2.2 s of made sound or
pictures, |·| the Euclidean norm; those of docs/backbones/precision.md come from here. No timing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfd.home import Home
from benchmarks.helpers import from_tests
from benchmarks.random_weights import add_weights
from extract import weights
from extract.backbones import build
from extract.backbones.base import Slots

PRECISIONS = ("bfloat16", "float16")


def deviation(half: Slots, full: Slots) -> float:
    """The largest share of its length by which a valid vector moved."""
    assert (half.valid == full.valid).all()
    found, exact = _vectors(half), _vectors(full)
    return float((np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)).max())


def _vectors(slots: Slots) -> NDArray[np.float64]:
    values = slots.values[slots.valid].astype(np.float64)
    return values.reshape(len(values), -1)


def main() -> None:
    """Print a row a network, in percent."""
    contract = from_tests("contracts/test_network_contract")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        add_weights(home, [f"{name}:preset=small" for name in contract.NETWORKS])
        for name in contract.NETWORKS:
            files = {w: weights.find(w, home).path for w in contract.own_weights(name)}
            slots = {}
            for precision in ("float32", *PRECISIONS):
                backbone = build(f"{name}:preset=small,precision={precision}")
                backbone.load(files)
                slots[precision] = contract.run(backbone)
            moved = [100 * deviation(slots[p], slots["float32"]) for p in PRECISIONS]
            print(f"| `{name}` | {moved[0]:.2g} % | {moved[1]:.2g} % |")


if __name__ == "__main__":
    main()
