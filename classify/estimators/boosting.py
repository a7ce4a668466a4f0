"""LightGBM on vectors: the thesis' best audio classifier (Gino, chapter 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from classify.estimators.base import Floats, Validation, class_weights, register
from classify.estimators.vectors import VectorEstimator, matrix
from classify.features import Features, Index

MODEL_FILE = "lightgbm.txt"
ROUNDS = 100  # LightGBM's own default, with which the thesis' survey of classifiers runs it
MIN_LEAF = 20  # LightGBM's default; with fewer than ten times as many samples, a tenth of them


@register("lightgbm")
class LightGBM(VectorEstimator):
    """Gradient-boosted trees with the library's defaults; a missing modality stays NaN."""

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        import lightgbm

        weights = class_weights(y, self.options)
        data = lightgbm.Dataset(matrix(features), label=y, weight=weights, free_raw_data=True)
        self.booster_ = lightgbm.train(self._parameters(len(y)), data, num_boost_round=ROUNDS)

    def _parameters(self, samples: int) -> dict[str, Any]:
        multiclass = self.options.classes > 2
        return {
            "objective": "multiclass" if multiclass else "binary",
            "num_class": self.options.classes if multiclass else 1,
            "min_data_in_leaf": min(MIN_LEAF, max(1, samples // 10)),
            "seed": self.options.seed,
            "deterministic": True,
            "force_col_wise": True,  # the vectors are wide and the samples few
            "verbosity": -1,
        }

    def _predict(self, features: Features) -> Floats:
        p = np.asarray(self.booster_.predict(matrix(features)), dtype=np.float64)
        return p if p.ndim == 2 else np.stack([1.0 - p, p], axis=1)

    def _save(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_text(self.booster_.model_to_string())

    def _load(self, folder: Path) -> None:
        import lightgbm

        self.booster_ = lightgbm.Booster(model_str=(folder / MODEL_FILE).read_text())
