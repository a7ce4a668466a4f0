"""Decision-level fusion: one verdict from the verdicts of several models.

A missing verdict (NaN) never decides: every rule uses what is there and gives NaN only where
nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

Rule = Literal["mean", "weighted", "or", "noisy-or", "stack"]
RULES: tuple[Rule, ...] = get_args(Rule)
LEARNING: tuple[Rule, ...] = ("weighted", "stack")
"""Rules that learn from validation samples."""

FUSION_FILE = "fusion.json"
_CLIP = 1e-6  # probabilities are kept this far from 0 and 1 before their logarithm


def check_rule(rule: str, classes: int) -> None:
    """Refuse unknown rules, and rules about fakes where the classes are not real and fake."""
    if rule not in RULES:
        raise InputError("no such fusion rule", where="--rule", found=rule, accepted=RULES)
    if rule in ("or", "noisy-or") and classes != 2:
        raise InputError(
            "this rule says 'fake if either is': it needs the classes real and fake",
            where="--rule",
            found=f"{rule} with {classes} classes",
            accepted="mean, weighted, stack",
        )


class Fusion:
    """Combines probabilities of several models; some rules learn from validation samples.

    mean: the mean of the probabilities there are (thesis).
    weighted: their weighted mean. The weights, 0 or more and of sum 1, are those under which the
        right classes of the validation samples are likeliest; among the models that say anything
        of a sample they are taken in proportion, and alike where all of them are 0.
    or: fake if either is (Zhou and Lim), as a probability the largest P(fake): at every threshold
        it calls fake what either calls fake.
    noisy-or: 1 - Π(1 - P(fake)): the probability of either, were they independent.
    stack: logistic regression on the models' log-odds, fitted on validation samples.
    """

    def __init__(self, rule: str, classes: int = 2) -> None:
        check_rule(rule, classes)
        self.rule, self.classes = rule, classes

    @property
    def learns(self) -> bool:
        """Whether `fit` needs samples that the models were not trained on."""
        return self.rule in LEARNING

    def fit(self, scores: Mapping[str, Floats], y: Index) -> Fusion:
        """Learn from validation scores; nothing to learn for most rules.

        Args:
            scores: model → probabilities [samples, classes], NaN rows where missing.
            y: class numbers [samples].
        """
        if self.learns:
            known = ~np.asarray(np.isnan(_stacked(scores)).all(axis=(0, 2)))
            picked = {name: p[known] for name, p in scores.items()}
            self._check_classes(y[known])
            self.names_ = list(scores)
            fit = self._fit_stack if self.rule == "stack" else self._fit_weights
            fit(picked, y[known])
        return self

    def combine(self, scores: Mapping[str, Floats]) -> Floats:
        """Probabilities [samples, classes]; NaN where no model says anything."""
        if self.learns and list(scores) != self.names_:
            raise InputError(
                "not the models that were fused", found=list(scores), accepted=self.names_
            )
        stacked = _stacked(scores)
        missing = np.asarray(np.isnan(stacked).any(axis=2))
        if self.rule == "stack":
            fused = self._stack(scores)
        elif self.rule == "mean":
            fused = _weighted(stacked, missing, np.ones(len(stacked)))
        elif self.rule == "weighted":
            fused = _weighted(stacked, missing, self.weights_)
        else:
            fused = _either(np.where(missing, 0.0, stacked[..., 1]), noisy=self.rule == "noisy-or")
        return np.where(np.asarray(missing.all(axis=0))[:, None], np.nan, fused)

    def _check_classes(self, y: Index) -> None:
        if len(np.unique(y)) < self.classes:
            raise InputError(
                f"the rule {self.rule} needs validation clips of every class",
                where="validation side",
                found=f"{len(y)} scored clips of {len(np.unique(y))} classes",
                accepted=f"{self.classes} classes",
                next_step="take --rule mean, or a protocol with a validation side",
            )

    def _fit_weights(self, scores: Mapping[str, Floats], y: Index) -> None:
        """The weights of the largest likelihood, each class weighing the same.

        The loss is convex where no verdict is missing; the search starts at equal weights.
        """
        from scipy.optimize import minimize

        stacked = _stacked(scores)
        missing = np.asarray(np.isnan(stacked).any(axis=2))
        right = np.where(missing, 0.0, stacked[:, np.arange(len(y)), y])
        shares = 1.0 / np.bincount(y, minlength=self.classes)[y]
        count = len(stacked)

        def loss(weights: Floats) -> float:
            there = (weights[:, None] * ~missing).sum(axis=0)
            p = (weights[:, None] * right).sum(axis=0) / np.maximum(there, _CLIP)
            return float(-(shares * np.log(np.maximum(p, _CLIP))).sum() / shares.sum())

        found = minimize(
            loss,
            np.full(count, 1.0 / count),
            method="SLSQP",
            bounds=[(0.0, 1.0)] * count,
            constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0},
            options={"ftol": 1e-10, "maxiter": 500},
        )
        weights = np.clip(found.x, 0.0, None)
        self.weights_: Floats = np.asarray(weights / weights.sum(), dtype=np.float64)

    def _fit_stack(self, scores: Mapping[str, Floats], y: Index) -> None:
        from sklearn.linear_model import LogisticRegression

        inputs = _log_odds(scores)
        known = np.maximum((~np.isnan(inputs)).sum(axis=0), 1)
        self.fill_: Floats = np.nansum(inputs, axis=0) / known
        model = LogisticRegression(C=1.0, max_iter=2000).fit(self._filled(inputs), y)
        self.coefficients_: Floats = np.asarray(model.coef_, dtype=np.float64)
        self.intercepts_: Floats = np.asarray(model.intercept_, dtype=np.float64)

    def _stack(self, scores: Mapping[str, Floats]) -> Floats:
        margins = self._filled(_log_odds(scores)) @ self.coefficients_.T + self.intercepts_
        if self.classes == 2:
            margins = np.concatenate([np.zeros_like(margins), margins], axis=1)
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)

    def _filled(self, inputs: Floats) -> Floats:
        """Missing log-odds at their mean on validation, then an indicator of each."""
        missing = np.isnan(inputs)
        return np.concatenate([np.where(missing, self.fill_, inputs), missing], axis=1)

    def save(self, folder: Path) -> None:
        """Write rule and coefficients as JSON."""
        facts: dict[str, object] = {"rule": self.rule, "classes": self.classes}
        if self.rule == "weighted":
            facts |= {"names": self.names_, "weights": self.weights_.tolist()}
        if self.rule == "stack":
            facts |= {
                "names": self.names_,
                "fill": self.fill_.tolist(),
                "coefficients": self.coefficients_.tolist(),
                "intercepts": self.intercepts_.tolist(),
            }
        (folder / FUSION_FILE).write_text(json.dumps(facts, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Fusion:
        """What `save` wrote."""
        facts = json.loads((folder / FUSION_FILE).read_text())
        fusion = cls(facts["rule"], facts["classes"])
        if fusion.learns:
            fusion.names_ = facts["names"]
        if fusion.rule == "weighted":
            fusion.weights_ = np.array(facts["weights"])
        if fusion.rule == "stack":
            fusion.fill_ = np.array(facts["fill"])
            fusion.coefficients_ = np.array(facts["coefficients"])
            fusion.intercepts_ = np.array(facts["intercepts"])
        return fusion


def _stacked(scores: Mapping[str, Floats]) -> Floats:
    """[models, samples, classes]."""
    return np.stack(list(scores.values()))


def _weighted(stacked: Floats, missing: NDArray[np.bool_], weights: Floats) -> Floats:
    """Weighted mean of the verdicts there are, [samples, classes]; 0 where there is none.

    Args:
        stacked: [models, samples, classes].
        missing: [models, samples].
        weights: [models]; where all that are there weigh 0 they count alike.
    """
    there = weights[:, None] * ~missing
    there = np.where(there.sum(axis=0) > 0, there, 1.0 * ~missing)
    total = (there[..., None] * np.where(missing[..., None], 0.0, stacked)).sum(axis=0)
    return np.asarray(total / np.where(missing.all(axis=0), 1.0, there.sum(axis=0))[:, None])


def _either(fake: Floats, noisy: bool) -> Floats:
    """P(fake) of either model, from [models, samples]: [samples, 2]."""
    either = 1.0 - np.prod(1.0 - fake, axis=0) if noisy else fake.max(axis=0)
    return np.stack([1.0 - either, either], axis=1)


def _log_odds(scores: Mapping[str, Floats]) -> Floats:
    """Log-odds of P(fake), [samples, models]; of more classes each class' own, side by side."""
    stacked = np.clip(_stacked(scores), _CLIP, 1.0 - _CLIP)
    odds = np.log(stacked) - np.log1p(-stacked)
    kept = odds[..., 1:] if stacked.shape[2] == 2 else odds
    return np.concatenate(list(kept), axis=1)
