"""Logistic regression and support vector machines on vectors, scaled inside the estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Floats, Validation, class_weights, register
from classify.estimators.vectors import VectorEstimator, matrix
from classify.features import Features, Index

MODEL_FILE = "model.skops"
CALIBRATION_FOLDS = 5
# Weak enough a penalty for a handful of features, strong enough for 6,373 functionals.
SVM_C = 0.01
LOGREG_C = 0.1
# What a saved model may contain beyond the types that skops itself trusts; none of them runs code.
TRUSTED_TYPES = ("numpy.dtype",)


def scaled(classifier: Any) -> Any:
    """Missing → training mean, then each column to mean 0 and variance 1, then the classifier."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    impute = SimpleImputer(strategy="mean", keep_empty_features=True)
    steps = [("impute", impute), ("scale", StandardScaler()), ("classify", classifier)]
    return Pipeline(steps)


class _Sklearn(VectorEstimator):
    """What the two kinds share: double precision in, skops out."""

    parts_: dict[str, Any]

    def _save(self, folder: Path) -> None:
        from skops.io import dump

        dump(self.parts_, folder / MODEL_FILE)

    def _load(self, folder: Path) -> None:
        self.parts_ = load_trusted(folder / MODEL_FILE)

    def _spread(self, probabilities: Floats, seen: Index) -> Floats:
        """Columns for the classes that training never saw, at 0."""
        out = np.zeros((len(probabilities), self.options.classes))
        out[:, seen] = probabilities
        return out


def load_trusted(path: Path) -> Any:
    """Read a skops file; types beyond `TRUSTED_TYPES` and skops' own list are refused."""
    from skops.io import get_untrusted_types, load

    strange = sorted(set(get_untrusted_types(file=path)) - set(TRUSTED_TYPES))
    if strange:
        raise InputError(
            "the saved model holds types that no avfd model has; it was not loaded",
            where=path,
            found=", ".join(strange),
            accepted="models written by avfd",
        )
    return load(path, trusted=list(TRUSTED_TYPES))


def _doubles(features: Features) -> Floats:
    return matrix(features).astype(np.float64)


@register("logreg")
class LogisticRegression(_Sklearn):
    """Multinomial logistic regression with an L2 penalty."""

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        from sklearn.linear_model import LogisticRegression as Logistic

        model = scaled(Logistic(C=LOGREG_C, max_iter=2000))
        weights = class_weights(y, self.options)
        self.parts_ = {"model": model.fit(_doubles(features), y, classify__sample_weight=weights)}

    def _predict(self, features: Features) -> Floats:
        model = self.parts_["model"]
        return self._spread(model.predict_proba(_doubles(features)), model.classes_)


class _Margins(_Sklearn):
    """A support vector machine with Platt's probabilities.

    The sigmoid is fitted on margins of samples held out by group, the machine itself on all.
    """

    def _machine(self) -> Any:
        raise NotImplementedError

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        x, weights = _doubles(features), class_weights(y, self.options)
        margins = self._held_out_margins(x, y, weights, groups)
        self.parts_ = {
            "model": self._fitted(x, y, weights),
            "sigmoid": None if margins is None else _sigmoid(margins, y, weights),
        }

    def _fitted(self, x: Floats, y: Index, weights: Floats) -> Any:
        return scaled(self._machine()).fit(x, y, classify__sample_weight=weights)

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
        model, sigmoid = self.parts_["model"], self.parts_["sigmoid"]
        margins = _margins(model, _doubles(features))
        p = _softmax(margins) if sigmoid is None else sigmoid.predict_proba(margins)
        return self._spread(p, model.classes_)


@register("svm")
class LinearSVM(_Margins):
    """Linear support vector machine (squared hinge, one class against the rest)."""

    def _machine(self) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(C=SVM_C, dual="auto", max_iter=20_000, random_state=self.options.seed)


@register("svm-rbf")
class RadialSVM(_Margins):
    """Support vector machine with scikit-learn's default kernel; slow beyond 10,000 clips."""

    def _machine(self) -> Any:
        from sklearn.svm import SVC

        return SVC(kernel="rbf", C=1.0, gamma="scale")


def _margins(model: Any, x: Floats) -> Floats:
    """Decision values [samples, 1] of two classes, [samples, classes] of more."""
    values = np.asarray(model.decision_function(x), dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def _softmax(margins: Floats) -> Floats:
    """Margins as probabilities where nothing could be calibrated; of two classes, a sigmoid."""
    full = np.concatenate([-margins / 2, margins / 2], axis=1) if margins.shape[1] == 1 else margins
    powers = np.exp(full - full.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def _sigmoid(margins: Floats, y: Index, weights: Floats) -> Any:
    """Platt's sigmoid, or its form for several classes."""
    from sklearn.linear_model import LogisticRegression as Logistic

    return Logistic(C=1.0, max_iter=2000).fit(margins, y, sample_weight=weights)


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
