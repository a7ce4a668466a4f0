"""`avfd fit`: train on a split or on folds, score every clip, write a run.

from avfd.home import Home
from classify.fit import FitOptions, fit

report = fit(Home.at(), FitOptions(audio="compare2016", folds=5))
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avfd import runs
from avfd.home import Home
from avfd.manifest import Side
from classify.choice import FitOptions, check_options, choose_columns, model_options
from classify.columns import PictureOptions
from classify.data import Opened, check_covered, samples_of, status_counts
from classify.features import Samples
from classify.metrics import BootstrapOptions
from classify.model import Model, ModelOptions, Starts
from classify.provenance import columns_facts
from classify.run_facts import facts_of, notes_of, side_counts
from classify.run_figures import write_figures
from classify.scoring import metrics_by_side, scores_frame, seconds_frame
from classify.sides import Fold, Plan, plan_of
from classify.starts import stamps, starts_of
from classify.taught import check_unseen
from classify.trained_weights import card_of, unread_notes, write_taught, write_weights
from classify.trials import Found, Search, searched
from classify.twins import without_twins
from classify.windows import Floats

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FitOptions", "FitReport", "fit"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitReport:
    """What a fit made.

    Attributes:
        run, path: name and folder of the run.
        datasets, protocol, target: what it rests on.
        columns: key (`classify.keys`) → column; of fused runs empty.
        models: member → estimator; of fused runs run → "run".
        fusion, rule: as asked for; the rule matters with decision fusion only.
        leaky: the protocol lets one group stand on two sides.
        classes: class names.
        clips: side → samples, each counted once.
        coverage: key of the column → pending, done, failed, absent → clips.
        metrics: side → the metrics' report as JSON (`classify.metrics.Report`).
        notes: sentences that must stand beside the results.
    """

    run: str
    path: Path
    datasets: tuple[str, ...]
    protocol: str
    target: str
    columns: Mapping[str, str]
    models: Mapping[str, str]
    fusion: str
    rule: str
    leaky: bool
    classes: tuple[str, ...]
    clips: Mapping[str, int]
    coverage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs, looked up and checked.

    Attributes:
        starts: weights that each fold begins with; none at all, or one a fold.
    """

    datasets: tuple[str, ...]
    opened: Opened
    columns: Mapping[str, str]
    model: ModelOptions
    plan: Plan
    samples: Samples
    search: Search | None = None
    starts: Sequence[Starts] = ()


@dataclass(frozen=True)
class Fitted:
    """The models of a run and what they say.

    Attributes:
        models: one, or one a fold.
        base_rates: training class frequencies, the mean over the folds, [classes].
        scores, seconds: tables as in `classify.scoring`.
        found: what a search for settings found, member → settings, of each fold.
    """

    models: Sequence[Model]
    base_rates: Floats
    scores: pd.DataFrame
    seconds: pd.DataFrame | None
    found: Sequence[Mapping[str, Found]] = ()


def fit(home: Home, options: FitOptions) -> FitReport:
    """Train what is asked for, or fuse finished runs, and write the run.

    Raises:
        InputError: options that contradict each other, one class only in training, test clips
            that trained a backbone.
        MissingError: a data set, protocol or column that is not there; what to run is said.
        FingerprintError: pooled data sets whose columns differ.
    """
    if options.runs:
        from classify.fuse import fuse_runs

        return fuse_runs(home, options)
    check_options(options)
    prepared = prepare(home, options)
    fitted = _fitted(prepared)
    return _write(home, options, prepared, fitted)


def prepare(home: Home, options: FitOptions) -> Prepared:
    """Look up and check all that training needs; reads no column's values."""
    trained = tuple(home.one_dataset(name) for name in options.datasets or (None,))
    unseen = tuple(home.one_dataset(name) for name in options.test_datasets)
    datasets = tuple(dict.fromkeys((*trained, *unseen)))
    opened = Opened.at(home, datasets)
    columns = choose_columns(options, opened.readers)
    # The number of classes is known with the plan only; what needs validation does not need it.
    asked = model_options(options, tuple(columns), classes=2)
    validate = options.validate or asked.needs_validation or options.trials is not None
    plan = without_twins(plan_of(home, opened.readers, options, validate=validate), opened)
    model = model_options(options, tuple(columns), classes=len(plan.classes))
    pictures = PictureOptions(options.picture_px, options.picture_gray)
    samples = samples_of(plan.units, plan.classes, opened, columns, pictures)
    check_covered(samples)
    tested = [plan.units[i] for fold in plan.folds for i in fold.sides["test"].tolist()]
    check_unseen(tested, columns, opened)
    starts = starts_of(home, model, plan, opened)
    search = _search(home, options, columns, opened)
    return Prepared(datasets, opened, columns, model, plan, samples, search, starts)


def _search(
    home: Home, options: FitOptions, columns: Mapping[str, str], opened: Opened
) -> Search | None:
    """What a search for settings is told, where one was asked for."""
    if options.trials is None:
        return None
    fingerprints = {m: opened.column(name).fingerprint for m, name in columns.items()}
    seen = {"columns": fingerprints, "picture": [options.picture_px, options.picture_gray]}
    return Search(options.trials, home.trials_dir, seen)


def _fitted(prepared: Prepared) -> Fitted:
    """A model a fold, and its scores of every side; of folds validation and test only."""
    plan, samples = prepared.plan, prepared.samples
    base_rates = np.mean([_frequencies(prepared, fold) for fold in plan.folds], axis=0)
    models, scores, seconds, found = [], [], [], []
    sides: tuple[Side, ...] = ("val", "test") if plan.crossed else ("train", "val", "test")
    for fold in plan.folds:
        logger.info("fitting fold %d of %d", fold.number + 1, len(plan.folds))
        model, best = _fit_fold(prepared, fold)
        models.append(model)
        found.append(best)
        for side in sides:
            if not len(fold.sides[side]):
                continue
            part = samples.take(fold.sides[side])
            said = model.score(part)
            scores.append(
                scores_frame(part, said, plan.classes, base_rates, split=side, fold=fold.number)
            )
            if said.seconds is not None:
                seconds.append(
                    seconds_frame(part, said, plan.classes, split=side, fold=fold.number)
                )
    by_second = _stacked(seconds) if seconds else None
    return Fitted(models, base_rates, _stacked(scores), by_second, found)


def _fit_fold(prepared: Prepared, fold: Fold) -> tuple[Model, Mapping[str, Found]]:
    """The fold's model, and the settings that a search found for it."""
    training = prepared.samples.take(fold.sides["train"])
    held = fold.sides["val"]
    validation = prepared.samples.take(held) if len(held) else None
    options, found = prepared.model, dict[str, Found]()
    starts = prepared.starts[fold.number]
    if prepared.search is not None:
        search = replace(prepared.search, starts=starts)
        if starts:
            search = replace(search, data={**search.data, "starts": stamps(starts)})
        options, found = searched(options, training, validation, search)
    return Model(options, starts).fit(training, validation), found


def _frequencies(prepared: Prepared, fold: Fold) -> Floats:
    """Share of each class among a fold's training samples, covered or not."""
    y = prepared.samples.y[fold.sides["train"]]
    counts = np.bincount(y, minlength=len(prepared.plan.classes))
    return np.asarray(counts / max(1, len(y)), dtype=np.float64)


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)


def _write(home: Home, options: FitOptions, prepared: Prepared, fitted: Fitted) -> FitReport:
    rates = fitted.base_rates.tolist()
    metrics = metrics_by_side(fitted.scores, rates, options.replicates, options.seed)
    coverage = status_counts(prepared.plan.units, prepared.columns, prepared.opened)
    notes = (
        *notes_of(options, prepared, fitted, coverage),
        *unread_notes(fitted.models, columns_facts(prepared.columns, prepared.opened)),
    )
    with runs.writing(home, _stem(options, prepared)) as partial:
        tag = f"run-{partial.id}"
        for number, model in enumerate(fitted.models):
            folder = partial.model_dir / f"fold-{number}"
            model.save(folder)
            if prepared.plan.crossed:
                fold = prepared.plan.folds[number]
                write_taught(folder, model, prepared.plan, fold, prepared.opened)
        partial.write_scores(fitted.scores)
        if fitted.seconds is not None:
            partial.write_seconds(fitted.seconds)
        partial.write_metrics(metrics)
        drawn = BootstrapOptions(options.replicates, options.seed)
        write_figures(partial.figures_dir, fitted.scores, rates, metrics, drawn)
        facts = facts_of(options, prepared, fitted, coverage, notes, tag)
        partial.write_facts(facts)
        if len(fitted.models) == 1:  # of folds none has seen more than the others
            trained = [d for d in prepared.datasets if d not in options.test_datasets]
            card = card_of(home, trained, facts, metrics)
            write_weights(partial.weights_dir, fitted.models[0], card)
        # The tag keeps the snapshot from garbage collection, so it comes before the run does.
        for cache in prepared.opened.caches.values():
            cache.tag(tag, prepared.opened.snapshots[cache.dataset])
    return FitReport(
        run=partial.run().name,
        path=partial.run().path,
        datasets=prepared.datasets,
        protocol=prepared.plan.protocol,
        target=options.target,
        columns=prepared.columns,
        models={name: member.model for name, member in prepared.model.members.items()},
        fusion=options.fusion,
        rule=options.rule,
        leaky=prepared.plan.leaky,
        classes=prepared.plan.classes,
        clips=side_counts(fitted.scores, prepared.plan),
        coverage=coverage,
        metrics=metrics,
        notes=notes,
    )


def _stem(options: FitOptions, prepared: Prepared) -> str:
    """What the run is called, but for its number: data set, fusion or column, models."""
    what = options.fusion if options.fusion != "none" else "+".join(prepared.columns.values())
    models = dict.fromkeys(member.name for member in prepared.model.members.values())
    return runs.stem_of("+".join(prepared.datasets), what, "+".join(models))
