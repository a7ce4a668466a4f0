"""Estimators that see one vector a sample: moments, or a clip-level column as it is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from classify.estimators.base import Estimator
from classify.features import Features, Mask, VectorKind


class VectorEstimator(Estimator):
    """Base of the estimators on vectors.

    Columns are concatenated, of whatever modality and rate; where one is missing its numbers are
    NaN, and with several an indicator each says so. Which vectors these are is the setting
    `vectors`, where the estimator has it.
    """

    several: ClassVar[bool] = True

    def usable(self, features: Features) -> Mask:
        """Samples with a vector of at least one column."""
        there = [~np.isnan(s.vectors(self.vectors)).all(axis=1) for s in features.values()]
        return np.asarray(np.stack(there).any(axis=0))

    @property
    def vectors(self) -> VectorKind:
        """The kind of vectors it is given."""
        return getattr(self.settings, "vectors", "moments")

    def matrix(self, features: Features) -> NDArray[np.float32]:
        """What it sees: see `matrix`."""
        return matrix(features, self.vectors)


def matrix(features: Features, kind: VectorKind = "moments") -> NDArray[np.float32]:
    """Vectors of all columns side by side, then an indicator of each missing one.

    Args:
        features: key → sequences (`classify.keys`).
        kind: of vectors, see `features.Pieces`.

    Returns:
        [samples, sum of vector lengths (+ columns where there are several)]; NaN where missing.
    """
    vectors = [s.vectors(kind) for s in features.values()]
    if len(vectors) == 1:
        return vectors[0]
    missing = np.stack([np.isnan(v).all(axis=1) for v in vectors], axis=1)
    return np.concatenate([*vectors, missing.astype(np.float32)], axis=1)
