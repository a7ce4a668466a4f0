"""Lazypredict's whole set of classifiers on vectors; the best on validation is kept (thesis, 5.5).

They are ranked on the validation side, never on the test. Without one, a quarter of the training
groups is held out for the ranking, and the best classifier is then fitted on all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Floats, Validation, class_weights, register
from classify.estimators.light_imports import skops_io
from classify.estimators.vectors import VectorEstimator, matrix
from classify.features import Features, Index
from classify.watching import Trial, tell

if TYPE_CHECKING:
    from classify.estimators.sweeping import Attempt, Task

MODEL_FILE, RANKING_FILE = "model.skops", "ranking.json"
HELD_OUT_PARTS = 4


@dataclass(frozen=True)
class SweepSettings:
    """What is tried.

    Attributes:
        models: names of classifiers, joined by "+"; none: all that Lazypredict knows.
        limit_seconds: that a classifier may take; 0: no limit.
    """

    models: tuple[str, ...] = ()
    limit_seconds: float = 120.0


@register("sweep")
class Sweep(VectorEstimator):
    """Many classifiers with their defaults, and the best of them."""

    stops_early = True
    presets: ClassVar = {
        "paper": SweepSettings(),
        "small": SweepSettings(("GaussianNB", "LogisticRegression", "LinearSVC"), 0.0),
    }
    settings: SweepSettings
    parts_: dict[str, Any]
    #: What was tried, the best first.
    ranking_: list[dict[str, Any]]

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        from classify.estimators.sweeping import attempts, restored

        names = self._names()
        x, weights = matrix(features).astype(np.float64), class_weights(y, self.options)
        task, held_out = self._task(x, y, weights, groups, validation)
        tried: list[Attempt] = []
        best: Attempt | None = None
        for one in attempts(names, task, self.settings.limit_seconds):
            tried.append(replace(one, model=b""))
            if not one.reason and (best is None or one.rank > best.rank):
                best = one
            top = None if best is None else best.balanced_accuracy
            tell(Trial(self.name, len(tried), len(names), one.balanced_accuracy, top))
        if best is None:
            raise InputError(
                "none of the classifiers worked",
                where="sweep",
                found="; ".join(f"{one.name}: {one.reason}" for one in tried[:5]),
            )
        self.ranking_ = _ranked(tried)
        self.parts_ = restored(best.model)
        if held_out:
            self._refit(best.name, x, y, weights)

    def _names(self) -> list[str]:
        from classify.estimators.sweeping import known

        every = known()
        unknown = sorted(set(self.settings.models) - set(every))
        if unknown:
            raise InputError(
                "no such classifier",
                where="sweep:models",
                found=", ".join(unknown),
                accepted=", ".join(every),
            )
        return list(self.settings.models or every)

    def _task(
        self,
        x: Floats,
        y: Index,
        weights: Floats,
        groups: Sequence[str],
        validation: Validation | None,
    ) -> tuple[Task, bool]:
        """What is trained and ranked on; whether the latter was taken out of training."""
        from classify.estimators.sweeping import Task

        if validation is not None:
            there = np.flatnonzero(self.usable(validation.features) & (validation.y >= 0))
            held = {m: s[there] for m, s in validation.features.items()}
            held_x, held_y = matrix(held).astype(np.float64), validation.y[there]
            if len(np.unique(held_y)) > 1:
                return Task(x, y, weights, held_x, held_y, self.options.seed), False
        kept, out = _held_out(y, groups, self.options.seed)
        task = Task(x[kept], y[kept], weights[kept], x[out], y[out], self.options.seed)
        return task, True

    def _refit(self, name: str, x: Floats, y: Index, weights: Floats) -> None:
        """The best classifier on all samples; its calibration stays that of the held-out ones."""
        import warnings

        from classify.estimators.sweeping import pipeline, weighs

        model = pipeline(name, self.options.seed)
        told = {"classify__sample_weight": weights} if weighs(model[-1]) else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.parts_ = {**self.parts_, "model": model.fit(x, y, **told)}

    @property
    def notes_(self) -> list[str]:
        """Sentences for the run."""
        best, tried = self.ranking_[0], len(self.ranking_)
        failed = sum(bool(one["reason"]) for one in self.ranking_)
        return [
            f"{best['name']}, the best of {tried} classifiers on validation (balanced accuracy "
            f"{best['balanced_accuracy']:.3f})"
            + (f"; {failed} did not work: see {RANKING_FILE}." if failed else ".")
        ]

    def _predict(self, features: Features) -> Floats:
        from classify.estimators.sweeping import probabilities

        p = probabilities(self.parts_, matrix(features).astype(np.float64))
        out = np.zeros((len(p), self.options.classes))
        out[:, self.parts_["model"].classes_] = p
        return out

    def _save(self, folder: Path) -> None:
        skops_io().dump(self.parts_, folder / MODEL_FILE)
        (folder / RANKING_FILE).write_text(json.dumps(self.ranking_, indent=2))

    def _load(self, folder: Path) -> None:
        from classify.estimators.sweeping import restored

        self.parts_ = restored((folder / MODEL_FILE).read_bytes())
        self.ranking_ = json.loads((folder / RANKING_FILE).read_text())


def _ranked(tried: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Attempts as JSON, the best first; of equals the earlier one.

    Those that are not `weighed` cannot be told of class weights: of the kinds of balance,
    "weights" is nothing to them.
    """
    from classify.estimators.sweeping import known, weighs

    order = sorted(tried, key=lambda one: (bool(one.reason), *(-value for value in one.rank)))
    kinds = known()
    facts = [{**asdict(one), "weighed": weighs(kinds[one.name])} for one in order]
    return [{k: v for k, v in one.items() if k != "model"} for one in facts]


def _held_out(y: Index, groups: Sequence[str], seed: int) -> tuple[Index, Index]:
    """Training samples kept and held out, no group on both sides and every class on either.

    Raises:
        InputError: there are too few groups for that.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names, whole = np.asarray(groups), len(np.unique(y))
    fewest = min(len(set(names[y == c].tolist())) for c in np.unique(y))
    if fewest > 1:
        parts = min(HELD_OUT_PARTS, fewest)
        splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        for kept, out in splitter.split(np.zeros(len(y)), y, names):
            if len(np.unique(y[kept])) == len(np.unique(y[out])) == whole:
                return kept, out
    raise InputError(
        "the classifiers cannot be ranked: too few groups to hold some out",
        where="sweep",
        found=f"{fewest} groups in the rarest class",
        next_step="take a protocol with a validation side, or more folds",
    )
