"""Light classifiers on cached columns: one contract (`base.Estimator`), one registry."""

from __future__ import annotations

from pathlib import Path

from avfd.asks import parse
from classify.estimators import (
    avt2dwf,
    boosting,
    cnn1d,
    cnn3d,
    cnn3d_frames,
    emotion,
    finegrained,
    iat,
    linear,
    mel_cnn,
    recurrent,
    sweep,
    syncstream,
    td3mf,
)
from classify.estimators.base import (
    Estimator,
    EstimatorOptions,
    Validation,
    kind_of,
    read_facts,
    registered,
)
from classify.estimators.settings import bound

__all__ = [
    "Estimator",
    "EstimatorOptions",
    "Validation",
    "build",
    "kind_of",
    "load",
    "names",
    "presets",
]

# Importing these files is what registers their estimators; none of them imports its library.
_FILED = (
    avt2dwf,
    boosting,
    cnn1d,
    cnn3d,
    cnn3d_frames,
    emotion,
    finegrained,
    iat,
    linear,
    mel_cnn,
    recurrent,
    sweep,
    syncstream,
    td3mf,
)


def names() -> list[str]:
    """Every estimator that can be asked for, sorted."""
    return list(registered())


def presets() -> list[str]:
    """Every preset that some estimator has, sorted; the others then take "paper"."""
    return sorted({"paper"}.union(*(kind.presets for kind in registered().values())))


def build(ask: str, options: EstimatorOptions | None = None) -> Estimator:
    """A new estimator from `NAME` or `NAME:key=value,…`; an unknown name lists the known ones."""
    told = options or EstimatorOptions()
    parsed = parse(ask)
    kind = kind_of(parsed.name)
    return kind(told, bound(parsed, kind.defaults(told.preset), kind.name))


def load(folder: Path) -> Estimator:
    """A fitted estimator from the folder that `Estimator.save` wrote; runs no stored code."""
    facts = read_facts(folder)
    return kind_of(facts["estimator"]).load(folder, facts)
