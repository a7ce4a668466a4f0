"""The clustered bootstrap: whole groups are drawn with replacement, never single clips.

Clips of one person resemble each other; drawing clips one by one would take them for independent
evidence and give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError

Floats = NDArray[np.float64]
# Clip weights [replicates, clips] → name → value of each replicate [replicates], NaN: undefined.
Statistics = Callable[[Floats], Mapping[str, Floats]]

_WEIGHTS_AT_ONCE = 2_000_000  # 16 MB of float64, whatever the number of clips


@dataclass(frozen=True)
class BootstrapOptions:
    """How intervals are drawn.

    Attributes:
        replicates: number of resamples; 0 for no intervals.
        seed: of the random generator; same seed, same numbers.
        level: share of the replicates that the interval holds.
    """

    replicates: int = 2000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.replicates < 0:
            raise InputError(
                "the number of replicates is negative", found=self.replicates, accepted="0 or more"
            )
        if not 0 < self.level < 1:
            raise InputError("the interval's level is no share", found=self.level, accepted="0 … 1")


def group_index(groups: Sequence[str]) -> tuple[NDArray[np.intp], int]:
    """Number of each clip's group [clips], and how many groups there are."""
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return index.astype(np.intp), len(names)


def replicate_weights(groups: Sequence[str], options: BootstrapOptions) -> Iterator[Floats]:
    """How often each clip was drawn: blocks [replicates at once, clips], seeded."""
    index, count = group_index(groups)
    rng = np.random.default_rng(options.seed)
    block = max(1, _WEIGHTS_AT_ONCE // max(1, len(index)))
    for first in range(0, options.replicates, block):
        rows = min(block, options.replicates - first)
        yield _multiplicities(rng, rows, count)[:, index]


def _multiplicities(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """How often each of `count` groups was drawn in `count` draws: [rows, count]."""
    drawn = rng.integers(0, count, size=(rows, count))
    flat = (drawn + count * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * count).reshape(rows, count).astype(np.float64)


def replicates_of(
    statistics: Statistics, groups: Sequence[str], options: BootstrapOptions
) -> dict[str, Floats]:
    """Every statistic on every replicate: name → [replicates]."""
    blocks = [statistics(weights) for weights in replicate_weights(groups, options)]
    names = blocks[0].keys() if blocks else ()
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}


def values_of(statistics: Statistics, clips: int) -> dict[str, float]:
    """Every statistic on the sample itself; NaN: undefined."""
    return {name: float(v[0]) for name, v in statistics(np.ones((1, clips))).items()}


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float] | None:
    """The middle `level` of the replicates that are defined; None where none is."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
