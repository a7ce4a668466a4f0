"""What an estimator is, and the registry of all of them.

An estimator keeps scikit-learn's manner: the constructor stores, `fit` checks and returns self,
learnt values end in `_`. What differs is X: a mapping from modality to `Sequences`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from avfd.asks import did_you_mean
from avfd.errors import InputError, MissingError
from classify.estimators.balance import check_classes, class_weights, drawn
from classify.estimators.options import Balance, EstimatorOptions, Parts, Validation
from classify.estimators.settings import Span, restored
from classify.features import Features, Index, Mask
from classify.keys import modality_of

__all__ = [
    "Balance",
    "Estimator",
    "EstimatorOptions",
    "Floats",
    "Parts",
    "Validation",
    "check_classes",
    "class_weights",
    "drawn",
    "kind_of",
    "read_facts",
    "register",
    "registered",
    "repeatable",
]

Floats = NDArray[np.float64]
FORMAT_VERSION = 2
READ_VERSIONS = (1, 2)  # 1 had no settings: its models have their preset's
FACTS_FILE = "estimator.json"


class Estimator(ABC):
    """Learns classes from the sequences of one or more modalities.

    Samples that no modality covers are left out of training and get NaN probabilities.

    Attributes:
        options: what every estimator is told.
        settings: what this kind can be told besides (`--model NAME:key=value`), an instance of a
            frozen dataclass; None where there is nothing.
    """

    name: ClassVar[str]
    #: Preset → settings; "paper" alone, or with "small" and others; or none at all.
    presets: ClassVar[Mapping[str, Any]] = {}
    #: Setting → what `--trials` draws it from: a `Span`, or a tuple of values.
    search: ClassVar[Mapping[str, Span | tuple[Any, ...]]] = {}
    #: Modalities it can take, alone or together; None: any.
    takes: ClassVar[tuple[str, ...] | None] = None
    #: Those of them that it cannot do without.
    needs: ClassVar[tuple[str, ...]] = ()
    #: Whether it can take several columns of one modality side by side.
    several: ClassVar[bool] = False
    #: Seconds of a window and of a hop, where none are asked for; None: whole clips.
    default_windows: ClassVar[tuple[int, int] | None] = None
    #: Whether `fit` looks at a validation side where there is one.
    stops_early: ClassVar[bool] = False
    #: Whether `fit` wants the classes of the tracks alone (`parts`).
    uses_parts: ClassVar[bool] = False
    #: Whether it draws balanced samples itself.
    draws: ClassVar[bool] = False

    def __init__(self, options: EstimatorOptions | None = None, settings: Any = None) -> None:
        self.options = options or EstimatorOptions()
        self.settings = settings if settings is not None else self.defaults(self.options.preset)

    @property
    def needs_validation(self) -> bool:
        """Whether a validation side decides anything; without need, folds hold none out."""
        return self.stops_early

    @classmethod
    def defaults(cls, preset: str = "paper") -> Any:
        """The settings of a preset; None where the estimator has none. Unknown: an error.

        Where there is one preset only it serves for all.
        """
        if not cls.presets:
            return None
        if len(cls.presets) == 1:
            return next(iter(cls.presets.values()))
        if preset not in cls.presets:
            raise InputError(
                "no such preset",
                where=cls.name,
                found=preset,
                accepted=", ".join(cls.presets),
            )
        return cls.presets[preset]

    def fit(
        self,
        features: Features,
        y: Index,
        *,
        groups: Sequence[str] | None = None,
        validation: Validation | None = None,
        parts: Parts | None = None,
    ) -> Self:
        """Learn from labelled samples.

        Args:
            features: modality → sequences, [samples] each.
            y: class numbers, [samples].
            groups: group of each sample, for choices made inside; each its own where None.
            validation: see `stops_early`.
            parts: see `uses_parts`.

        Raises:
            InputError: one class only, no sample that a modality covers, modalities that the
                estimator does not take.
        """
        self.check_modalities(tuple(features))
        names = groups if groups is not None else [str(i) for i in range(len(y))]
        index = np.flatnonzero(self.usable(features))
        check_classes(y[index], self.options.classes)
        if not (self.draws and self.options.balance == "sample"):
            index = index[drawn(y[index], self.options)]
        taken = {m: s[index] for m, s in features.items()}
        self.dims_ = {m: s.dim for m, s in features.items()}
        self.rates_ = {m: s.rate_hz for m, s in features.items()}
        self.shapes_ = {m: s.shape for m, s in features.items()}
        self._parts = {part: labels[index] for part, labels in (parts or {}).items()}
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

    @classmethod
    def check_modalities(cls, found: Sequence[str]) -> None:
        """Refuse modalities that the estimator cannot take, and the lack of one that it needs.

        Args:
            found: keys of columns (`classify.keys`).
        """
        kinds = set(map(modality_of, found))
        strange = cls.takes is not None and not kinds <= set(cls.takes)
        many = len(kinds) < len(found) and not cls.several
        if strange or many or not set(cls.needs) <= kinds:
            raise InputError(
                "the model does not work on these modalities",
                where=cls.name,
                found=", ".join(found),
                accepted=f"{', '.join(cls.takes or ('any',))}"
                + (", one column of each" if many else "")
                + (f", and never without {', '.join(cls.needs)}" if cls.needs else ""),
                next_step="name its columns with --audio and --video, both with --fusion feature",
            )

    @abstractmethod
    def usable(self, features: Features) -> Mask:
        """Which samples have anything to look at, [samples]."""

    def started_keys(self) -> frozenset[str]:
        """Clips that trained the weights which training began with."""
        return frozenset()

    def started_media(self) -> frozenset[str]:
        """The media of those clips, as far as they are known (`classify.taught.media_of`)."""
        return frozenset()

    def second_probabilities(self, features: Features) -> list[Floats] | None:
        """Class probabilities of every second, [seconds, classes] a sample, NaN where none.

        None for estimators that say something of the whole only.
        """
        return None

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
            "settings": None if self.settings is None else asdict(self.settings),
            "dims": self.dims_,
            "rates_hz": self.rates_,
            "shapes": self.shapes_,
        }
        (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2))
        self._save(folder)

    @classmethod
    def load(cls, folder: Path, facts: Mapping[str, Any]) -> Self:
        """What `save` wrote, its facts read already."""
        options = EstimatorOptions(**facts["options"])
        stored, settings = facts.get("settings"), cls.defaults(options.preset)
        if stored is not None:
            settings = restored(settings, stored, folder / FACTS_FILE)
        estimator = cls(options, settings)
        estimator.dims_, estimator.rates_ = facts["dims"], facts["rates_hz"]
        shapes = facts.get("shapes") or {m: (dim,) for m, dim in facts["dims"].items()}
        estimator.shapes_ = {m: tuple(shape) for m, shape in shapes.items()}
        estimator._load(folder)
        return estimator

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


@contextmanager
def repeatable() -> Iterator[None]:
    """One BLAS thread: sums are then added in the same order whatever the machine's load."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


_REGISTRY: dict[str, type[Estimator]] = {}
_ALIASES: dict[str, str] = {}


def register(name: str, also: str | None = None) -> Callable[[type[Estimator]], type[Estimator]]:
    """Class decorator that files an estimator under its name; a duplicate is a bug.

    Args:
        name: what it is asked for by, and what its saved models bear.
        also: another name by which it can be asked for.
    """

    def add(kind: type[Estimator]) -> type[Estimator]:
        for each in filter(None, (name, also)):
            if each in _REGISTRY or each in _ALIASES:
                raise KeyError(f"estimator {each!r} is registered twice")
        kind.name = name
        _REGISTRY[name] = kind
        if also is not None:
            _ALIASES[also] = name
        return kind

    return add


def registered() -> dict[str, type[Estimator]]:
    """Name → class of every estimator registered so far; each once, by its own name."""
    return dict(sorted(_REGISTRY.items()))


def kind_of(name: str) -> type[Estimator]:
    """The class of that name, its own or another; an unknown name lists the known ones."""
    own = _ALIASES.get(name, name)
    if own not in _REGISTRY:
        known = sorted([*_REGISTRY, *_ALIASES])
        raise MissingError(
            "no such model",
            where=name,
            accepted=", ".join(known),
            next_step=did_you_mean(name, known),
        )
    return _REGISTRY[own]


def read_facts(folder: Path) -> dict[str, Any]:
    """What `save` wrote beside the model; an unknown format version is refused."""
    path = folder / FACTS_FILE
    if not path.is_file():
        raise MissingError(
            "no saved model here", where=folder, accepted=f"a folder with {FACTS_FILE}"
        )
    facts: dict[str, Any] = json.loads(path.read_text())
    if facts.get("format_version") not in READ_VERSIONS:
        raise InputError(
            "unknown format version of a saved model",
            where=path,
            found=facts.get("format_version"),
            accepted=READ_VERSIONS,
            next_step="use the avfd version that wrote it",
        )
    return facts
