"""How settings are asked for and kept, and what every network can be told of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from avfd.asks import Ask, bind, refuse
from avfd.errors import InputError
from classify.estimators.ranges import check_ranges

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)
else:
    Settings = TypeVar("Settings")

Monitor = Literal["loss", "auc", "accuracy", "train-loss", "last"]
UNVALIDATED: frozenset[Monitor] = frozenset({"train-loss", "last"})
"""Monitors that no validation clip has a say in."""

Scheduled = Literal["none", "plateau", "milestones", "cosine"]


@dataclass(frozen=True)
class Span:
    """A range that a search draws from: whole numbers if both ends are.

    Attributes:
        low, high: the ends, included.
        log: draw the logarithm evenly.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Training:
    """How a network is trained; its own settings inherit from this and give other defaults.

    Attributes:
        epochs: the most; `--epochs` overrides it.
        patience: epochs without a better one until training stops; 0: never.
        monitor: what makes an epoch the best one, on validation: its loss, AUC or accuracy;
            "train-loss" looks at training itself, "last" takes the last epoch whatever it was.
            Without validation the last epoch counts, but for "train-loss".
        batch: samples a step.
        drop_last: leave out a last batch that is not full.
        optimiser: "adam", "adamw" or "sgd".
        learning_rate, weight_decay: of the optimiser.
        beta1, beta2: of Adam.
        momentum, dampening: of SGD.
        clip_norm: gradients are cut to this norm; 0: never.
        schedule: "none"; "plateau": times `decay` after `plateau_patience` epochs without a lower
            training loss; "milestones": times `decay` at each of `milestones`; "cosine": to 0
            over all epochs.
        decay, plateau_patience, milestones, lowest_rate: of the schedule.
        stop_rate: training stops where the schedule brings the rate to this; 0: never.
        precision: of training on a GPU, scores are always float32; "auto" is bfloat16 where the
            device has it.
        standardise: give each number of a vector mean 0 and deviation 1 over the training clips'
            valid slots; pictures are left as they are.
        threads: of PyTorch on a CPU; with one the numbers are the same on every machine load.
    """

    epochs: int = 60
    patience: int = 8
    monitor: Monitor = "loss"
    batch: int = 32
    drop_last: bool = False
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    momentum: float = 0.0
    dampening: float = 0.0
    clip_norm: float = 0.0
    schedule: Scheduled = "none"
    decay: float = 0.1
    plateau_patience: int = 7
    milestones: tuple[int, ...] = ()
    lowest_rate: float = 0.0
    stop_rate: float = 0.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    standardise: bool = False
    threads: int = 1


def bound(ask: Ask, defaults: Settings | None, estimator: str) -> Settings | None:
    """The settings that an ask gives.

    Args:
        ask: `NAME:key=value,…`.
        defaults: of the preset; None where the estimator has no settings.
        estimator: its own name, whatever name it was asked for by.

    Raises:
        InputError: an unknown setting, a value that is not of its type, a number out of range, or
            a setting that would change nothing.
    """
    refuse(ask, getattr(defaults, "retired", {}))
    settings = bind(ask, defaults)
    check_ranges(estimator, settings)
    return settings


def restored(defaults: Settings, stored: Mapping[str, Any], where: str | Path) -> Settings:
    """The settings that a saved model was made with.

    Args:
        defaults: fields that the model does not know yet keep these values.
        stored: field → value as JSON.
        where: named in the error.

    Raises:
        InputError: a field that this version does not know.
    """
    known = {f.name for f in fields(defaults)}
    unknown = sorted(set(stored) - known - set(getattr(defaults, "retired", ())))
    if unknown:
        raise InputError(
            "the saved model has settings that this version does not know",
            where=where,
            found=", ".join(unknown),
            next_step="use the avfd version that wrote it",
        )
    typed = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items() if k in known}
    return replace(defaults, **typed)
