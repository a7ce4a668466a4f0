"""Logistic regression and support vector machines on vectors, scaled inside the estimator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Floats, Validation, class_weights, register
from classify.estimators.light_imports import skops_io
from classify.estimators.settings import Span
from classify.estimators.vectors import VectorEstimator
from classify.features import Features, Index, VectorKind

MODEL_FILE = "model.skops"
CALIBRATION_FOLDS = 5
QUANTILES = 200
# What a saved model may contain beyond the types that skops itself trusts; none of them runs code.
TRUSTED_TYPES = ("numpy.dtype", "numpy.clip")
FARTHEST = 3.0
"""Of "quantiles": beyond so many deviations of the normal curve everything is this far."""


@dataclass(frozen=True)
class PenaltySettings:
    """How weak the penalty is.

    Attributes:
        c: the inverse of the penalty. The defaults are weak enough for a handful of features and
            strong enough for 6,373 functionals.
        scaling: "deviation": each number to mean 0 and deviation 1; "quantiles": by its rank among
            the training clips onto a normal curve, cut at 3 deviations, which tames numbers of any
            tail.
        vectors: of what it sees; see `features.Pieces`.
    """

    c: float
    scaling: Literal["deviation", "quantiles"] = "deviation"
    vectors: VectorKind = "moments"


SEARCH_C = {"c": Span(1e-4, 1e2, log=True)}


def scaled(classifier: Any, settings: PenaltySettings) -> Any:
    """Missing → training mean, then each column scaled as the settings say, then the classifier."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

    impute = SimpleImputer(strategy="mean", keep_empty_features=True)
    scale: Any = StandardScaler()
    if settings.scaling == "quantiles":
        ranks = QuantileTransformer(
            n_quantiles=QUANTILES, output_distribution="normal", random_state=0
        )
        cut = {"a_min": -FARTHEST, "a_max": FARTHEST}
        scale = Pipeline([("ranks", ranks), ("cut", FunctionTransformer(np.clip, kw_args=cut))])
    return Pipeline([("impute", impute), ("scale", scale), ("classify", classifier)])


class _Sklearn(VectorEstimator):
    """What the two kinds share: double precision in, skops out."""

    parts_: dict[str, Any]

    def _save(self, folder: Path) -> None:
        skops_io().dump(self.parts_, folder / MODEL_FILE)

    def _load(self, folder: Path) -> None:
        self.parts_ = load_trusted(folder / MODEL_FILE)

    def _doubles(self, features: Features) -> Floats:
        return self.matrix(features).astype(np.float64)

    def _spread(self, probabilities: Floats, seen: Index) -> Floats:
        """Columns for the classes that training never saw, at 0."""
        out = np.zeros((len(probabilities), self.options.classes))
        out[:, seen] = probabilities
        return out


def load_trusted(path: Path) -> Any:
    """Read a skops file; types beyond `TRUSTED_TYPES` and skops' own list are refused."""
    io = skops_io()
    strange = sorted(set(io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES))
    if strange:
        raise InputError(
            "the saved model holds types that no avfd model has; it was not loaded",
            where=path,
            found=", ".join(strange),
            accepted="models written by avfd",
        )
    return io.load(path, trusted=list(TRUSTED_TYPES))


@register("logreg")
class LogisticRegression(_Sklearn):
    """Multinomial logistic regression with an L2 penalty."""

    presets: ClassVar = {"paper": PenaltySettings(c=0.1)}
    search: ClassVar = SEARCH_C

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        from sklearn.linear_model import LogisticRegression as Logistic

        model = scaled(Logistic(C=self.settings.c, max_iter=2000), self.settings)
        weights = class_weights(y, self.options)
        self.parts_ = {
            "model": model.fit(self._doubles(features), y, classify__sample_weight=weights)
        }

    def _predict(self, features: Features) -> Floats:
        model = self.parts_["model"]
        return self._spread(model.predict_proba(self._doubles(features)), model.classes_)


class _Margins(_Sklearn):
    """A support vector machine whose margins are made probabilities.

    Of two classes by Platt's sigmoid; of more by a softmax of the margins times one number, which
    leaves the machine's decisions as they are. Either is fitted on margins of samples held out by
    group, the machine itself on all.
    """

    def _machine(self) -> Any:
        raise NotImplementedError

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        x, weights = self._doubles(features), class_weights(y, self.options)
        margins = self._held_out_margins(x, y, weights, groups)
        self.parts_ = {"model": self._fitted(x, y, weights), "slopes": None}
        if margins is not None:
            self.parts_["slopes"] = _slopes(margins, np.unique(y, return_inverse=True)[1], weights)

    def _fitted(self, x: Floats, y: Index, weights: Floats) -> Any:
        return scaled(self._machine(), self.settings).fit(x, y, classify__sample_weight=weights)

    def _held_out_margins(
        self, x: Floats, y: Index, weights: Floats, groups: list[str]
    ) -> Floats | None:
        """Margins [samples, columns] by machines that did not see the sample's group.

        None where some class has too few groups for every part to train on all classes.
        """
        folds = _calibration_folds(y, groups, self.options.seed)
        if folds is None:
            return None
        parts = [
            (held, _margins(self._fitted(x[rest], y[rest], weights[rest]), x[held]))
            for rest, held in folds
        ]
        out = np.zeros((len(y), parts[0][1].shape[1]))
        for held, margins in parts:
            out[held] = margins
        return out

    def _predict(self, features: Features) -> Floats:
        model = self.parts_["model"]
        slope, offset = self.parts_["slopes"] or (1.0, 0.0)
        margins = slope * _margins(model, self._doubles(features)) + offset
        return self._spread(_softmax(margins), model.classes_)


@register("svm")
class LinearSVM(_Margins):
    """Linear support vector machine (squared hinge, one class against the rest)."""

    presets: ClassVar = {"paper": PenaltySettings(c=0.01)}
    search: ClassVar = SEARCH_C

    def _machine(self) -> Any:
        from sklearn.svm import LinearSVC

        seed = self.options.seed
        return LinearSVC(C=self.settings.c, dual="auto", max_iter=20_000, random_state=seed)


@register("svm-rbf")
class RadialSVM(_Margins):
    """Support vector machine with scikit-learn's default kernel; slow beyond 10,000 clips."""

    presets: ClassVar = {"paper": PenaltySettings(c=1.0)}
    search: ClassVar = SEARCH_C

    def _machine(self) -> Any:
        from sklearn.svm import SVC

        return SVC(kernel="rbf", C=self.settings.c, gamma="scale")


def _margins(model: Any, x: Floats) -> Floats:
    """Decision values [samples, 1] of two classes, [samples, classes] of more."""
    values = np.asarray(model.decision_function(x), dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def _softmax(margins: Floats) -> Floats:
    """Probabilities [samples, classes]; of two classes' single margin the sigmoid."""
    full = margins
    if margins.shape[1] == 1:
        full = np.concatenate([np.zeros_like(margins), margins], axis=1)
    powers = np.exp(full - full.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def _slopes(margins: Floats, y: Index, weights: Floats) -> tuple[float, float]:
    """Slope and offset of the margins under which the held-out classes are likeliest."""
    if margins.shape[1] == 1:
        from sklearn.linear_model import LogisticRegression as Logistic

        sigmoid = Logistic(C=1.0, max_iter=2000).fit(margins, y, sample_weight=weights)
        return float(sigmoid.coef_[0, 0]), float(sigmoid.intercept_[0])
    from scipy.optimize import minimize_scalar

    def loss(log_slope: float) -> float:
        p = _softmax(np.exp(log_slope) * margins)[np.arange(len(y)), y]
        return float(-(weights * np.log(np.maximum(p, 1e-12))).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x)), 0.0


def _calibration_folds(y: Index, groups: list[str], seed: int) -> list[tuple[Index, Index]] | None:
    """(rest, held out) pairs in which the rest always has every class; None where impossible."""
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.asarray(groups)
    fewest = min(len(set(names[y == c].tolist())) for c in np.unique(y))
    if fewest < 2:
        return None
    splitter = StratifiedGroupKFold(min(CALIBRATION_FOLDS, fewest), shuffle=True, random_state=seed)
    folds = list(splitter.split(np.zeros(len(y)), y, names))
    whole = len(np.unique(y))
    return folds if all(len(np.unique(y[rest])) == whole for rest, _ in folds) else None
