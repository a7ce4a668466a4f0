"""Classes of unequal size: refused where there is one only, weighed, repeated or drawn alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.options import EstimatorOptions
from classify.features import Index

Floats = NDArray[np.float64]


def check_classes(y: Index, classes: int) -> None:
    """Refuse to train on nothing or on one class."""
    present = np.unique(y)
    if not len(y):
        raise InputError("no training clip is covered by the columns", where="training side")
    if present[0] < 0 or present[-1] >= classes:
        raise InputError("class numbers out of range", found=present.tolist(), accepted=classes)
    if len(present) < 2:
        raise InputError(
            "the training clips are all of one class",
            where="training side",
            found=f"{len(y)} covered clips of class {int(present[0])}",
            accepted="clips of at least two classes",
            next_step="choose another protocol or index clips of the other class",
        )


def class_weights(y: Index, options: EstimatorOptions) -> Floats:
    """Weight of each sample, mean 1: see `EstimatorOptions.balance`."""
    if options.balance != "weights":
        return np.ones(len(y))
    counts = np.bincount(y, minlength=options.classes)
    return np.asarray(len(y) / (np.count_nonzero(counts) * counts[y]), dtype=np.float64)


def drawn(y: Index, options: EstimatorOptions) -> Index:
    """Places of the samples to train on, for `balance` "repeat" and "sample"; else all, once."""
    every = np.arange(len(y))
    if options.balance == "repeat":
        most = np.bincount(y).max()
        return np.concatenate([np.resize(np.flatnonzero(y == c), most) for c in np.unique(y)])
    if options.balance == "sample":
        rng = np.random.default_rng(options.seed)
        share = class_weights(y, replace(options, balance="weights"))
        return rng.choice(every, size=len(y), p=share / share.sum())
    return every
