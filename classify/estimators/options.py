"""What every estimator is told, and what it may look at beside its training samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from classify.features import Features, Index

Balance = Literal["weights", "repeat", "sample", "none"]


@dataclass(frozen=True)
class EstimatorOptions:
    """What every estimator can be told.

    Attributes:
        classes: number of classes; y holds 0 … classes - 1.
        seed: of every random choice; same seed and data, same numbers to the bit.
        balance: "weights" gives every class the same total weight in training; "repeat" repeats
            clips of the smaller classes until all are as large (thesis); "sample" draws as many
            clips with replacement, classes equally likely, networks anew each epoch; "none" takes
            the clips as they are.
        preset: whose settings: "paper", "small" for tests and slow machines, or another that the
            estimator has (see `Estimator.presets`); of no matter to those without.
        epochs: the most, instead of the settings' (networks only).
        minutes: training of one network stops after them, at its best epoch so far.
        device: of networks: "cpu", "cuda", or "auto", a GPU where there is one.
    """

    classes: int = 2
    seed: int = 0
    balance: Balance = "weights"
    preset: str = "paper"
    epochs: int | None = None
    minutes: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


Parts = Mapping[str, Index]
"""Part ("audio", "video") → class of that track alone, -1 where unknown, [samples]."""


@dataclass(frozen=True)
class Validation:
    """Labelled samples that training may look at to know when to stop."""

    features: Features
    y: Index
    parts: Parts = field(default_factory=dict)
