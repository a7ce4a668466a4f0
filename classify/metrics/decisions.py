"""Metrics of decisions and of probabilities, vectorised over bootstrap replicates.

Replicates are rows of clip weights, as in `classify.metrics.ranking`. A metric that a replicate
leaves undefined is NaN there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

THRESHOLD = 0.5  # a clip is called fake from this probability on, itself included
ECE_BINS = 10  # of equal width over [0, 1]; the last one holds 1


def decide_fake(p_fake: Floats) -> Indices:
    """1 where the clip is called fake, else 0 [clips]."""
    return (p_fake >= THRESHOLD).astype(np.intp)


def accuracy(truth: Indices, decided: Indices, weights: Floats) -> Floats:
    """Share of right decisions [replicates]."""
    share: Floats = (weights @ (truth == decided)) / weights.sum(axis=1)
    return share


def recalls(truth: Indices, decided: Indices, classes: int, weights: Floats) -> Floats:
    """Share of each class' clips that were recognised [replicates, classes]; NaN: no such clip."""
    member = truth[:, None] == np.arange(classes)
    right = member & (decided == truth)[:, None]
    total = weights @ member
    with np.errstate(invalid="ignore"):
        shares: Floats = (weights @ right) / total
    return shares


def present_mean(values: Floats) -> Floats:
    """Mean over the classes that are there: [replicates, classes] → [replicates]."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, values, 0).sum(axis=1) / there.sum(axis=1)
    return mean


def expected_calibration_error(fake: NDArray[np.bool_], p_fake: Floats, weights: Floats) -> Floats:
    """Mean over clips of |mean P(fake) - share of fakes| in the clip's bin [replicates].

    `ECE_BINS` bins of equal width over P(fake), not over the confidence of the decision.
    """
    bins = bin_of(p_fake)[:, None] == np.arange(ECE_BINS)
    gaps = weights @ (bins * (p_fake - fake)[:, None])
    error: Floats = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
    return error


def bin_of(p_fake: Floats) -> Indices:
    """The calibration bin of each probability [clips], 0 … ECE_BINS - 1."""
    return np.minimum((p_fake * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def confusion(truth: Indices, decided: Indices, classes: int) -> NDArray[np.int64]:
    """Counts [true class, decided class]."""
    flat = np.bincount(truth * classes + decided, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)
