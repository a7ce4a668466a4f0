"""Light classifiers on cached columns: one contract (`base.Estimator`), one registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from classify.estimators import boosting, linear, recurrent
from classify.estimators.base import (
    Estimator,
    EstimatorOptions,
    Validation,
    kind_of,
    read_facts,
    registered,
)

__all__ = ["Estimator", "EstimatorOptions", "Validation", "build", "kind_of", "load", "names"]

# Importing these files is what registers their estimators; none of them imports its library.
_FILED = (boosting, linear, recurrent)


def names() -> list[str]:
    """Every estimator that can be asked for, sorted."""
    return list(registered())


def build(name: str, options: EstimatorOptions | None = None) -> Estimator:
    """A new estimator of that name; an unknown name lists the known ones."""
    return kind_of(name)(options)


def load(folder: Path) -> Estimator:
    """A fitted estimator from the folder that `Estimator.save` wrote; runs no stored code."""
    facts = cast("dict[str, Any]", read_facts(folder))
    estimator = build(facts["estimator"], EstimatorOptions(**facts["options"]))
    estimator.dims_, estimator.rates_ = facts["dims"], facts["rates_hz"]
    estimator._load(folder)
    return estimator
