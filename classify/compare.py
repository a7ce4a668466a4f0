"""Do two runs differ? Paired differences of AUC and accuracy on the same clips.

Everything is scored on the same clips: what a run does not cover counts at its training base
rate. Two tests, both by group: clustered DeLong (`classify.delong`) for the AUC, the clustered
bootstrap for either metric. A p-value is about one pair; `p_adjusted` (Holm) is about the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from classify.delong import aucs_with_covariance
from classify.metrics.bootstrap import (
    BootstrapOptions,
    Floats,
    group_index,
    percentile_interval,
    replicates_of,
    values_of,
)
from classify.metrics.report import statistics_of
from classify.metrics.scores import ClipScores
from classify.same_clips import on_same_clips

_NO_ERROR = 1e-12  # below this a standard error is rounding
METRICS = {True: ("auc", "accuracy"), False: ("macro_auc", "accuracy")}


@dataclass(frozen=True)
class Difference:
    """One metric of two runs.

    Attributes:
        first, second: names of the runs.
        metric: "auc", "macro_auc" (emotion) or "accuracy".
        test: "clustered DeLong" or "clustered bootstrap".
        first_value, second_value: the metric of each; None where undefined.
        difference: first minus second.
        low, high: its interval; None where there is none, `reason` says why.
        p: two-sided, of no difference; `p_adjusted`: Holm's, over all pairs of the table with
            this metric and test.
        reason: empty where nothing needs to be said.
    """

    first: str
    second: str
    metric: str
    test: str
    first_value: float | None
    second_value: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """A table of paired differences.

    Attributes:
        rows: a row for each pair of runs, metric and test.
        clips, groups: what all of it rests on.
        covered: run → how many of these clips it covers.
        notes: sentences that must stand beside the table.
        bootstrap: how the intervals were drawn.
    """

    rows: tuple[Difference, ...]
    clips: int
    groups: int
    covered: Mapping[str, int]
    notes: tuple[str, ...]
    bootstrap: BootstrapOptions

    def to_json(self) -> dict[str, object]:
        """The same as plain dicts, lists and numbers, ready for `json.dumps`."""
        return asdict(self)


def compare(
    runs: Mapping[str, ClipScores],
    *,
    common: bool = False,
    bootstrap: BootstrapOptions | None = None,
) -> Comparison:
    """Every pair of runs, on the same clips.

    Args:
        runs: name → scores, two or more.
        common: restrict runs with different clips to those that all of them have, and say so in
            `notes`; otherwise they are refused.

    Raises:
        InputError: fewer than two runs, other clips, labels, classes or groups.
    """
    options = bootstrap or BootstrapOptions()
    aligned, notes = on_same_clips(runs, common=common)
    entrants = [_entrant(name, run, options) for name, run in aligned.items()]
    pairs = combinations(entrants, 2)
    rows = [row for a, b in pairs for row in _differences(a, b, options.level)]
    any_run = next(iter(aligned.values()))
    return Comparison(
        rows=tuple(_adjusted(rows)),
        clips=len(any_run.keys),
        groups=len(set(any_run.groups)),
        covered={name: int(run.covered.sum()) for name, run in aligned.items()},
        notes=notes,
        bootstrap=options,
    )


@dataclass(frozen=True)
class _Entrant:
    """A run with every metric on the sample and on each replicate, drawn once for all pairs."""

    name: str
    run: ClipScores
    values: Mapping[str, float]
    draws: Mapping[str, Floats]


def _entrant(name: str, run: ClipScores, options: BootstrapOptions) -> _Entrant:
    whole = replace(run, probabilities=run.filled, covered=np.ones_like(run.covered))
    statistics = statistics_of(whole)
    several = len(set(run.groups)) > 1
    draws = replicates_of(statistics, run.groups, options) if several else {}
    return _Entrant(name, whole, values_of(statistics, len(run.keys)), draws)


def _differences(first: _Entrant, second: _Entrant, level: float) -> list[Difference]:
    metrics = METRICS[first.run.is_deepfake]
    rows = [_bootstrapped(first, second, metric, level) for metric in metrics]
    return [_delong(first, second, level), *rows] if first.run.is_deepfake else rows


def _bootstrapped(first: _Entrant, second: _Entrant, metric: str, level: float) -> Difference:
    """The row of one metric: both runs on the same drawn groups."""
    row = _row(first, second, metric, "clustered bootstrap")
    if row.difference is None:
        return row
    if not first.draws:
        return replace(row, reason="no interval: one group, or no replicates")
    differences = first.draws[metric] - second.draws[metric]
    low, high = percentile_interval(differences, level) or (None, None)
    return replace(row, low=low, high=high, p=bootstrap_p(differences))


def bootstrap_p(differences: Floats) -> float:
    """Two-sided p-value of no difference: how often the replicates reach zero or beyond.

    Never 0: the sample itself counts as one replicate (Davison and Hinkley 1997, 4.2).
    """
    drawn = differences[~np.isnan(differences)]
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))


def _delong(first: _Entrant, second: _Entrant, level: float) -> Difference:
    row = _row(first, second, "auc", "clustered DeLong")
    fake = first.run.truth == 1
    clusters, count = group_index(first.run.groups)
    missing = _too_few(fake, clusters)
    if row.difference is None or missing:
        return replace(row, reason=row.reason or missing)
    scores = np.stack([entrant.run.probabilities[:, 1] for entrant in (first, second)])
    _, covariance = aucs_with_covariance(fake, scores, clusters)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return _tested(row, math.sqrt(max(0.0, variance)), count - 1, level)


def _tested(row: Difference, error: float, freedom: int, level: float) -> Difference:
    """The row with interval and p-value from Student's t.

    The normal distribution, as published, rejects too often with few groups (docs/metrics.md).
    """
    from scipy.special import stdtr, stdtrit

    difference = row.difference or 0.0
    if error < _NO_ERROR:
        p = 1.0 if abs(difference) < _NO_ERROR else None
        return replace(row, p=p, reason="no interval: the runs differ alike in every group")
    reach = float(stdtrit(freedom, (1 + level) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(difference) / error))
    return replace(row, low=difference - reach, high=difference + reach, p=p)


def _too_few(fake: NDArray[np.bool_], clusters: NDArray[np.intp]) -> str:
    """Why the variance cannot be estimated; empty where it can."""
    for name, member in (("fake", fake), ("real", ~fake)):
        count = len(np.unique(clusters[member]))
        if count < 2:
            return f"no interval: {'no' if count == 0 else 'only one'} group has {name} clips"
    return ""


def _row(first: _Entrant, second: _Entrant, metric: str, test: str) -> Difference:
    a, b = first.values[metric], second.values[metric]
    names = (first.name, second.name, metric, test)
    if math.isnan(a) or math.isnan(b):
        return Difference(*names, None, None, reason="undefined: the clips are of one class")
    return Difference(*names, a, b, a - b)


def _adjusted(rows: Sequence[Difference]) -> list[Difference]:
    """The rows with Holm's p-values, each family (metric, test) on its own."""
    families: dict[tuple[str, str], list[Difference]] = {}
    for row in rows:
        if row.p is not None:
            families.setdefault((row.metric, row.test), []).append(row)
    adjusted: dict[Difference, float] = {}
    for family in families.values():
        largest = 0.0
        for rank, row in enumerate(sorted(family, key=lambda r: r.p or 0.0)):
            largest = max(largest, min(1.0, (row.p or 0.0) * (len(family) - rank)))
            adjusted[row] = largest
    return [replace(row, p_adjusted=adjusted.get(row)) for row in rows]
