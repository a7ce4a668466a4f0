"""How often the AUC's clustered intervals hold the truth, and equal runs are told apart.

    python -m benchmarks.intervals [--sets 1000] [--pairs 2000]

Runs are made up: clips of subjects whose scores are normal, with a subject effect as large as the
noise, fakes shifted by 1. Half of each subject's ten clips are fake, or all or none of them. The
truth is the mean AUC of 3,000 further runs. "squares" counts the pairs of a group that is drawn
twice four times, as a plain bootstrap does. Prints a line a case; nothing is written.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from classify.compare import bootstrap_p
from classify.metrics.bootstrap import BootstrapOptions, percentile_interval, replicate_weights
from classify.metrics.ranking import Curves, Ranking, auc

CLIPS, REPLICATES, LEVEL = 10, 999, 0.95
Floats = NDArray[np.float64]


def groups_of(subjects: int) -> list[str]:
    return [str(i) for i in np.repeat(np.arange(subjects), CLIPS)]


def made(rng: np.random.Generator, subjects: int, half: bool) -> Ranking:
    """A run's ranking."""
    index = np.repeat(np.arange(subjects), CLIPS)
    clip = np.tile(np.arange(CLIPS), subjects)
    fake = clip >= CLIPS // 2 if half else index % 2 == 1
    scores = rng.normal(0, 1, subjects)[index] + rng.normal(0, 1, len(index)) + fake
    return Ranking.of(fake, scores, groups_of(subjects))


def both(curves: Curves) -> dict[str, Floats]:
    """The AUC as it is, and with the pairs across copies of a group."""
    nothing = np.zeros_like(curves.crossed_wins)
    squares = replace(curves, crossed_wins=nothing, crossed_pairs=nothing)
    return {"as it is": auc(curves), "squares": auc(squares)}


def coverage(rng: np.random.Generator, subjects: int, half: bool, sets: int) -> dict[str, float]:
    """Share of intervals that hold the truth."""
    one = np.ones((1, subjects * CLIPS))
    truth = np.mean([auc(made(rng, subjects, half).curves(one))[0] for _ in range(3000)])
    held = dict.fromkeys(("as it is", "squares"), 0)
    for seed in range(sets):
        ranking = made(rng, subjects, half)
        (weights,) = replicate_weights(groups_of(subjects), BootstrapOptions(REPLICATES, seed))
        for name, draws in both(ranking.curves(weights)).items():
            low, high = percentile_interval(draws, LEVEL) or (np.nan, np.nan)
            held[name] += bool(low <= truth <= high)
    return {name: count / sets for name, count in held.items()}


def false_alarms(
    rng: np.random.Generator, subjects: int, half: bool, pairs: int
) -> dict[str, float]:
    """Share of pairs of equally good runs with p of 0.05 or less."""
    told = dict.fromkeys(("as it is", "squares"), 0)
    for seed in range(pairs):
        runs = [made(rng, subjects, half) for _ in range(2)]
        (weights,) = replicate_weights(groups_of(subjects), BootstrapOptions(1000, seed))
        first, second = (both(run.curves(weights)) for run in runs)
        for name in told:
            told[name] += bool(bootstrap_p(first[name] - second[name]) <= 1 - LEVEL)
    return {name: count / pairs for name, count in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=2000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for subjects in (10, 20, 50):
        print(f"{subjects} subjects, coverage", coverage(rng, subjects, True, options.sets))
    for half in (True, False):
        case = "each half fake" if half else "each all real or all fake"
        print(f"20 subjects, {case}, false alarms", false_alarms(rng, 20, half, options.pairs))


if __name__ == "__main__":
    main()
