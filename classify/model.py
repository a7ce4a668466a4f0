"""What a run has learnt: one estimator, or several and how their verdicts are joined."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from avfd.asks import parse
from avfd.errors import InputError
from classify import estimators
from classify.estimators.base import Estimator, EstimatorOptions, Validation
from classify.features import Features, Samples
from classify.fusion import LEARNING, Fusion
from classify.windows import Floats, Scores, Windows, cut, joined, training_windows

MODEL_FILE = "model.json"

Starts = Mapping[str, Mapping[str, Path]]
"""Member → setting → weight file that training begins with."""


@runtime_checkable
class JudgesTracks(Protocol):
    """An estimator that has verdicts on the sound and on the picture alone."""

    def track_probabilities(self, features: Features) -> dict[str, Floats]:
        """ "audio", "video" → P(fake), [samples]; NaN where the sample lacks the track."""


@dataclass(frozen=True)
class MemberOptions:
    """One estimator of a model: how it is asked for, and the columns it sees.

    Attributes:
        model: registered name, options after a colon: see `avfd.asks`.
        modalities: the columns' keys (`classify.keys`) in the order in which it gets them.
    """

    model: str
    modalities: tuple[str, ...]

    @property
    def name(self) -> str:
        """The registered name alone."""
        return parse(self.model).name


@dataclass(frozen=True)
class ModelOptions:
    """What a model is made of.

    Attributes:
        members: name → estimator; with one member there is no decision fusion.
        rule: of decision fusion.
        estimator: what every member is told.
        windows: how clips are cut.
    """

    members: Mapping[str, MemberOptions]
    rule: str = "mean"
    estimator: EstimatorOptions = field(default_factory=EstimatorOptions)
    windows: Windows = field(default_factory=Windows)

    @property
    def needs_validation(self) -> bool:
        """Whether a validation side decides anything: an epoch, a choice, the fusion."""
        built = (estimators.build(m.model, self.estimator) for m in self.members.values())
        return self.joins or any(estimator.needs_validation for estimator in built)

    @property
    def settings(self) -> dict[str, dict[str, Any] | None]:
        """Member → everything that its estimator can be told, as it will be used."""
        built = {n: estimators.build(m.model, self.estimator) for n, m in self.members.items()}
        return {n: None if e.settings is None else asdict(e.settings) for n, e in built.items()}

    @property
    def joins(self) -> bool:
        """Whether the fusion learns from validation samples."""
        return len(self.members) > 1 and self.rule in LEARNING


class Model:
    """Fits and scores clips; see `ModelOptions`.

    Args:
        starts: member → setting → the weight file that the setting means (`classify.starts`).
    """

    def __init__(self, options: ModelOptions, starts: Starts | None = None) -> None:
        self.options = options
        self.starts = starts or {}
        self.members_: dict[str, Estimator] = {}
        self.fusion_ = Fusion(options.rule, options.estimator.classes)

    def fit(self, training: Samples, validation: Samples | None) -> Model:
        """Learn from labelled samples; `validation` as `needs_validation` says."""
        for name, member in self.options.members.items():
            estimator = estimators.build(member.model, self.options.estimator)
            if name in self.starts:
                files = {setting: str(path) for setting, path in self.starts[name].items()}
                estimator.settings = replace(estimator.settings, **files)
            seen = self._cut(training.only(member.modalities))
            if not any(track.covered.any() for track in seen.features.values()):
                raise InputError(
                    "no training clip is covered by the columns of a model",
                    where=", ".join(member.modalities),
                    found=f"{len(training)} training clips, none covered",
                    next_step="extract the column for more clips, or fit without it: "
                    "name the others by --audio or --video",
                )
            held = None
            if validation is not None and estimator.stops_early:
                apart = self._cut(validation.only(member.modalities))
                held = Validation(apart.features, apart.y, apart.part_labels)
            estimator.fit(
                seen.features,
                seen.y,
                groups=seen.groups,
                validation=held,
                parts=seen.part_labels,
            )
            self.members_[name] = estimator
        if self.options.joins:
            self._fit_fusion(validation)
        return self

    def _fit_fusion(self, validation: Samples | None) -> None:
        if validation is None or not len(validation):
            raise InputError(
                "the rule needs validation clips, and this protocol has none",
                where=f"--rule {self.options.rule}",
                next_step="take --rule mean, or a protocol with a validation side",
            )
        scores = {name: s.probabilities for name, s in self._by_member(validation).items()}
        self.fusion_.fit(scores, validation.y)

    def _cut(self, samples: Samples) -> Samples:
        if self.options.windows.window_seconds is None:
            return samples
        return training_windows(samples, self.options.windows)

    def score(self, samples: Samples) -> Scores:
        """The verdict on each sample, and on each second of it.

        Of the seconds where clips are cut into windows or every member has scores of its own.
        """
        by_member = self._by_member(samples)
        if len(by_member) == 1:
            return next(iter(by_member.values()))
        fused = self.fusion_.combine({n: s.probabilities for n, s in by_member.items()})
        seconds = {n: s.seconds for n, s in by_member.items() if s.seconds is not None}
        if len(seconds) < len(by_member):
            return Scores(fused)
        return Scores(
            fused,
            [
                self.fusion_.combine({n: s[i] for n, s in seconds.items()})
                for i in range(len(samples))
            ],
        )

    def _by_member(self, samples: Samples) -> dict[str, Scores]:
        return {
            name: self._score_member(self.members_[name], samples.only(member.modalities))
            for name, member in self.options.members.items()
        }

    def _score_member(self, estimator: Estimator, samples: Samples) -> Scores:
        if self.options.windows.window_seconds is None:
            p = estimator.predict_proba(samples.features)
            seconds = estimator.second_probabilities(samples.features)
            tracks = {}
            if isinstance(estimator, JudgesTracks) and self.options.estimator.classes == 2:
                tracks = estimator.track_probabilities(samples.features)
            return Scores(p, seconds, tracks)
        windows = cut(samples, self.options.windows)
        p = estimator.predict_proba(windows.samples.features)
        return joined(p, windows, self.options.windows.aggregate)

    def save(self, folder: Path) -> None:
        """Write every member and the fusion below a folder; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_text(json.dumps(asdict(self.options), indent=2))
        for name, estimator in self.members_.items():
            estimator.save(folder / name)
        self.fusion_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """What `save` wrote; runs no stored code."""
        facts = json.loads((folder / MODEL_FILE).read_text())
        members = {
            name: MemberOptions(m["model"], tuple(m["modalities"]))
            for name, m in facts["members"].items()
        }
        options = ModelOptions(
            members,
            facts["rule"],
            EstimatorOptions(**facts["estimator"]),
            Windows(**facts["windows"]),
        )
        model = cls(options)
        model.members_ = {name: estimators.load(folder / name) for name in members}
        model.fusion_ = Fusion.load(folder)
        return model
