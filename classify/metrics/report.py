"""Metrics of one run with their intervals, on its covered clips and on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from classify.metrics import decisions, ranking
from classify.metrics.bootstrap import (
    BootstrapOptions,
    Floats,
    Statistics,
    percentile_interval,
    replicates_of,
    values_of,
)
from classify.metrics.scores import ClipScores

DEEPFAKE_METRICS = (
    "auc",
    "average_precision",
    "equal_error_rate",
    "balanced_accuracy",
    "accuracy",
    "expected_calibration_error",
)
EMOTION_METRICS = ("accuracy", "unweighted_average_recall", "macro_auc")


@dataclass(frozen=True)
class Metric:
    """One number with its interval.

    Attributes:
        value: None where it is undefined; `reason` then says why.
        low, high: ends of the interval; None where there is none; `reason` then says why.
        clips, groups: how many the number rests on.
        reason: empty where nothing needs to be said.
    """

    value: float | None
    low: float | None
    high: float | None
    clips: int
    groups: int
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"– ({self.reason})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class MetricSet:
    """The metrics on one choice of clips.

    Attributes:
        metrics: name → metric, in the order of DEEPFAKE_METRICS or EMOTION_METRICS.
        confusion: counts, a row for each true class, a column for each decided one.
    """

    metrics: Mapping[str, Metric]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Report:
    """What `evaluate` says of one run.

    Attributes:
        classes: in the order of the confusion matrix.
        covered: on the clips that the run could score.
        all: on every clip; one that is not covered counts at the training base rates.
        clips, covered_clips, groups, covered_groups: how many there are.
        base_rates: the training class frequencies, in the order of `classes`.
        bootstrap: how the intervals were drawn.
    """

    classes: tuple[str, ...]
    covered: MetricSet
    all: MetricSet
    clips: int
    covered_clips: int
    groups: int
    covered_groups: int
    base_rates: tuple[float, ...]
    bootstrap: BootstrapOptions

    def to_json(self) -> dict[str, object]:
        """The same as plain dicts, lists and numbers, ready for `json.dumps`."""
        return asdict(self)


def measure(scores: ClipScores, bootstrap: BootstrapOptions | None = None) -> Report:
    """Every metric of a run: real/fake metrics for the classes real and fake, else emotion's.

    Same scores and same seed give the same numbers to the bit.
    """
    options = bootstrap or BootstrapOptions()
    covered = scores.take(np.flatnonzero(scores.covered))
    whole = replace(scores, probabilities=scores.filled, covered=np.ones_like(scores.covered))
    on_covered = _metric_set(covered, options, "no clip is covered")
    fully = bool(scores.covered.all())
    return Report(
        classes=scores.classes,
        covered=on_covered,
        all=on_covered if fully else _metric_set(whole, options, "there is no clip"),
        clips=len(scores.keys),
        covered_clips=len(covered.keys),
        groups=len(set(scores.groups)),
        covered_groups=len(set(covered.groups)),
        base_rates=tuple(scores.base_rates.tolist()),
        bootstrap=options,
    )


def statistics_of(scores: ClipScores) -> Statistics:
    """All metrics of the scores as one function of clip weights; at least one clip."""
    return _deepfake_statistics(scores) if scores.is_deepfake else _emotion_statistics(scores)


def _metric_set(scores: ClipScores, options: BootstrapOptions, if_empty: str) -> MetricSet:
    clips, groups = len(scores.keys), len(set(scores.groups))
    names = DEEPFAKE_METRICS if scores.is_deepfake else EMOTION_METRICS
    if not clips:
        empty = Metric(None, None, None, 0, 0, if_empty)
        return MetricSet(dict.fromkeys(names, empty), _confusion(scores))
    statistics = statistics_of(scores)
    values = values_of(statistics, clips)
    draws = replicates_of(statistics, scores.groups, options) if groups > 1 else {}
    metrics = {}
    for name in names:
        drawn = draws.get(name, np.empty(0))
        low, high = percentile_interval(drawn, options.level) or (None, None)
        metric = Metric(_defined(values[name]), low, high, clips, groups)
        metrics[name] = replace(metric, reason=_reason(name, metric, scores, drawn))
    return MetricSet(metrics, _confusion(scores))


def _reason(name: str, metric: Metric, scores: ClipScores, drawn: Floats) -> str:
    """Why the number or its interval is missing, or what either leaves out."""
    absent = [c for c in scores.classes if c not in set(scores.labels)]
    if metric.value is None:
        return f"undefined: no clip is {' or '.join(absent)}"
    reasons = []
    if absent and name not in ("accuracy", "expected_calibration_error"):
        reasons.append(f"mean over the classes that occur: no clip is {' or '.join(absent)}")
    if metric.low is None:
        one = metric.groups == 1
        reasons.append("no interval: all clips are one group" if one else "no interval was drawn")
    elif undefined := int(np.isnan(drawn).sum()):
        reasons.append(f"undefined on {undefined} of {len(drawn)} replicates, which are left out")
    return "; ".join(reasons)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value


def _decided(scores: ClipScores) -> decisions.Indices:
    if scores.is_deepfake:
        return decisions.decide_fake(scores.probabilities[:, 1])
    likeliest: decisions.Indices = scores.probabilities.argmax(axis=1)
    return likeliest


def _confusion(scores: ClipScores) -> tuple[tuple[int, ...], ...]:
    counts = decisions.confusion(scores.truth, _decided(scores), len(scores.classes))
    return tuple(tuple(row) for row in counts.tolist())


def _deepfake_statistics(scores: ClipScores) -> Statistics:
    p_fake, truth, decided = scores.probabilities[:, 1], scores.truth, _decided(scores)
    fake = truth == 1
    ranked = ranking.Ranking.of(fake, p_fake, scores.groups)

    def statistics(weights: Floats) -> dict[str, Floats]:
        curves = ranked.curves(weights)
        # A class that is missing makes its recall NaN and the plain mean of the two with it.
        recalls = decisions.recalls(truth, decided, 2, weights)
        return {
            "auc": ranking.auc(curves),
            "average_precision": _both_classes(ranking.average_precision(curves), curves),
            "equal_error_rate": ranking.equal_error_rate(curves),
            "balanced_accuracy": recalls.mean(axis=1),
            "accuracy": decisions.accuracy(truth, decided, weights),
            "expected_calibration_error": decisions.expected_calibration_error(
                fake, p_fake, weights
            ),
        }

    return statistics


def _both_classes(values: Floats, curves: ranking.Curves) -> Floats:
    """NaN where a class is missing: a precision of 1 among fakes only says nothing."""
    return np.where((curves.fakes > 0) & (curves.reals > 0), values, np.nan)


def _emotion_statistics(scores: ClipScores) -> Statistics:
    truth, decided, classes = scores.truth, _decided(scores), len(scores.classes)
    rankings = [
        ranking.Ranking.of(truth == c, scores.probabilities[:, c], scores.groups)
        for c in range(classes)
    ]

    def statistics(weights: Floats) -> dict[str, Floats]:
        recalls = decisions.recalls(truth, decided, classes, weights)
        aucs = np.stack([ranking.auc(r.curves(weights)) for r in rankings], axis=1)
        return {
            "accuracy": decisions.accuracy(truth, decided, weights),
            "unweighted_average_recall": decisions.present_mean(recalls),
            "macro_auc": decisions.present_mean(aucs),
        }

    return statistics
