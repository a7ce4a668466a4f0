"""LightGBM on vectors: the thesis' best audio classifier (Gino, chapter 5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from classify.estimators.base import Floats, Validation, class_weights, register
from classify.estimators.settings import Span
from classify.estimators.vectors import VectorEstimator
from classify.features import Features, Index, VectorKind

MODEL_FILE = "lightgbm.txt"


@dataclass(frozen=True)
class LightGBMSettings:
    """LightGBM's own defaults, with which the thesis' survey of classifiers runs it.

    Attributes:
        rounds: trees (of more classes, each).
        learning_rate: of boosting.
        leaves: of a tree, at the most.
        min_leaf: samples in a leaf, at the least; with fewer than ten times as many samples, a
            tenth of them.
        feature_share: of the columns that a tree may look at.
        l2: penalty on the leaves.
        vectors: of what it sees; see `features.Pieces`.
    """

    rounds: int = 100
    learning_rate: float = 0.1
    leaves: int = 31
    min_leaf: int = 20
    feature_share: float = 1.0
    l2: float = 0.0
    vectors: VectorKind = "moments"


@register("lightgbm")
class LightGBM(VectorEstimator):
    """Gradient-boosted trees; a missing modality stays NaN."""

    presets: ClassVar = {"paper": LightGBMSettings()}
    settings: LightGBMSettings
    search: ClassVar = {
        "rounds": (50, 100, 200, 400),
        "learning_rate": Span(0.01, 0.3, log=True),
        "leaves": Span(7, 63),
        "min_leaf": Span(5, 50),
        "feature_share": Span(0.2, 1.0),
        "l2": Span(1e-3, 10.0, log=True),
    }

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        import lightgbm

        weights = class_weights(y, self.options)
        data = lightgbm.Dataset(self.matrix(features), label=y, weight=weights, free_raw_data=True)
        rounds = self.settings.rounds
        self.booster_ = lightgbm.train(self._parameters(len(y)), data, num_boost_round=rounds)

    def _parameters(self, samples: int) -> dict[str, Any]:
        multiclass = self.options.classes > 2
        return {
            "objective": "multiclass" if multiclass else "binary",
            "num_class": self.options.classes if multiclass else 1,
            "min_data_in_leaf": min(self.settings.min_leaf, max(1, samples // 10)),
            "learning_rate": self.settings.learning_rate,
            "num_leaves": self.settings.leaves,
            "feature_fraction": self.settings.feature_share,
            "lambda_l2": self.settings.l2,
            "seed": self.options.seed,
            "deterministic": True,
            "force_col_wise": True,  # the vectors are wide and the samples few
            "verbosity": -1,
        }

    def _predict(self, features: Features) -> Floats:
        p = np.asarray(self.booster_.predict(self.matrix(features)), dtype=np.float64)
        return p if p.ndim == 2 else np.stack([1.0 - p, p], axis=1)

    def _save(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_text(self.booster_.model_to_string())

    def _load(self, folder: Path) -> None:
        import lightgbm

        self.booster_ = lightgbm.Booster(model_str=(folder / MODEL_FILE).read_text())
