"""What an estimator is, and the registry of all of them.

An estimator keeps scikit-learn's manner: the constructor stores, `fit` checks and returns self,
learnt values end in `_`. What differs is X: a mapping from modality to `Sequences`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError, MissingError
from classify.features import Features, Index, Mask

Floats = NDArray[np.float64]
FORMAT_VERSION = 1
FACTS_FILE = "estimator.json"


@dataclass(frozen=True)
class EstimatorOptions:
    """What every estimator can be told.

    Attributes:
        classes: number of classes; y holds 0 … classes - 1.
        seed: of every random choice; same seed and data, same numbers to the bit.
        balance: "weights" gives every class the same total weight in training (the thesis repeats
            clips to the same end), "none" takes the clips as they are.
        preset: "paper", or "small" for tests and slow machines (networks only).
    """

    classes: int = 2
    seed: int = 0
    balance: Literal["weights", "none"] = "weights"
    preset: Literal["paper", "small"] = "paper"


@dataclass(frozen=True)
class Validation:
    """Labelled samples that training may look at to know when to stop."""

    features: Features
    y: Index


class Estimator(ABC):
    """Learns classes from the sequences of one or more modalities.

    Samples that no modality covers are left out of training and get NaN probabilities.
    """

    name: ClassVar[str]
    #: Whether `fit` makes use of a validation side.
    stops_early: ClassVar[bool] = False

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        self.options = options or EstimatorOptions()

    def fit(
        self,
        features: Features,
        y: Index,
        *,
        groups: Sequence[str] | None = None,
        validation: Validation | None = None,
    ) -> Self:
        """Learn from labelled samples.

        Args:
            features: modality → sequences, [samples] each.
            y: class numbers, [samples].
            groups: group of each sample, for choices made inside; each its own where None.
            validation: see `stops_early`.

        Raises:
            InputError: one class only, or no sample that a modality covers.
        """
        names = groups if groups is not None else [str(i) for i in range(len(y))]
        index = np.flatnonzero(self.usable(features))
        taken = {m: s[index] for m, s in features.items()}
        check_classes(y[index], self.options.classes)
        self.dims_ = {m: s.dim for m, s in features.items()}
        self.rates_ = {m: s.rate_hz for m, s in features.items()}
        with repeatable():
            self._fit(taken, y[index], [names[i] for i in index.tolist()], validation)
        return self

    def predict_proba(self, features: Features) -> Floats:
        """Class probabilities [samples, classes]; NaN where no modality covers the sample."""
        self._check_same(features)
        usable = self.usable(features)
        out = np.full((len(usable), self.options.classes), np.nan)
        if usable.any():
            index = np.flatnonzero(usable)
            with repeatable():
                out[index] = self._predict({m: s[index] for m, s in features.items()})
        return out

    @abstractmethod
    def usable(self, features: Features) -> Mask:
        """Which samples have anything to look at, [samples]."""

    @abstractmethod
    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None: ...

    @abstractmethod
    def _predict(self, features: Features) -> Floats: ...

    @abstractmethod
    def _save(self, folder: Path) -> None: ...

    @abstractmethod
    def _load(self, folder: Path) -> None: ...

    def save(self, folder: Path) -> None:
        """Write the fitted estimator into a folder; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "format_version": FORMAT_VERSION,
            "estimator": self.name,
            "options": asdict(self.options),
            "dims": self.dims_,
            "rates_hz": self.rates_,
        }
        (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2))
        self._save(folder)

    def _check_same(self, features: Features) -> None:
        """Refuse modalities, dimensions or rates that are not those of training."""
        found = {m: (s.dim, s.rate_hz) for m, s in features.items()}
        wanted = {m: (dim, self.rates_[m]) for m, dim in self.dims_.items()}
        if found != wanted or list(found) != list(wanted):
            raise InputError(
                "the features are not those of training (dimension and rate of each modality)",
                where=self.name,
                found=found,
                accepted=wanted,
            )


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
    if options.balance == "none":
        return np.ones(len(y))
    counts = np.bincount(y, minlength=options.classes)
    return np.asarray(len(y) / (np.count_nonzero(counts) * counts[y]), dtype=np.float64)


@contextmanager
def repeatable() -> Iterator[None]:
    """One BLAS thread: sums are then added in the same order whatever the machine's load."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


_REGISTRY: dict[str, type[Estimator]] = {}


def register(name: str) -> Callable[[type[Estimator]], type[Estimator]]:
    """Class decorator that files an estimator under its name; a duplicate is a bug."""

    def add(kind: type[Estimator]) -> type[Estimator]:
        if name in _REGISTRY:
            raise KeyError(f"estimator {name!r} is registered twice")
        kind.name = name
        _REGISTRY[name] = kind
        return kind

    return add


def registered() -> dict[str, type[Estimator]]:
    """Name → class of every estimator registered so far."""
    return dict(sorted(_REGISTRY.items()))


def kind_of(name: str) -> type[Estimator]:
    """The class of that name; an unknown name lists the known ones."""
    if name not in _REGISTRY:
        raise MissingError("no such model", where=name, accepted=", ".join(registered()))
    return _REGISTRY[name]


def read_facts(folder: Path) -> dict[str, object]:
    """What `save` wrote beside the model; an unknown format version is refused."""
    path = folder / FACTS_FILE
    if not path.is_file():
        raise MissingError(
            "no saved model here", where=folder, accepted=f"a folder with {FACTS_FILE}"
        )
    facts: dict[str, object] = json.loads(path.read_text())
    if facts.get("format_version") != FORMAT_VERSION:
        raise InputError(
            "unknown format version of a saved model",
            where=path,
            found=facts.get("format_version"),
            accepted=FORMAT_VERSION,
            next_step="use the avfd version that wrote it",
        )
    return facts
