"""Metrics with clustered bootstrap intervals; see docs/metrics.md for every definition.

>>> scores = deepfake_scores(
...     ["d/a", "d/b", "d/c", "d/d"], ["real", "fake", "real", "fake"], [0.2, 0.9, 0.6, 0.4],
...     groups=["ann", "ann", "bob", "bob"], base_rate=0.5,
... )
>>> measure(scores).covered.metrics["auc"].value
0.75
"""

from classify.metrics.bootstrap import BootstrapOptions
from classify.metrics.report import (
    DEEPFAKE_METRICS,
    EMOTION_METRICS,
    Metric,
    MetricSet,
    Report,
    measure,
)
from classify.metrics.scores import ClipScores, deepfake_scores, emotion_scores

__all__ = [
    "DEEPFAKE_METRICS",
    "EMOTION_METRICS",
    "BootstrapOptions",
    "ClipScores",
    "Metric",
    "MetricSet",
    "Report",
    "deepfake_scores",
    "emotion_scores",
    "measure",
]
