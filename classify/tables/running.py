"""Runs what of a table can run: fills columns, fits or finds runs, reads the numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avfd import asks, runs
from avfd.errors import AvfdError, InputError, MissingError
from avfd.home import Home
from avfd.runs import Run
from classify.choice import FitOptions
from classify.evaluate import evaluate
from classify.fit import fit, prepare
from classify.protocols.split import leak_mark
from classify.same_run import same_fit, same_fusion
from classify.tables.jobs import PLACEHOLDER, Asked, Job, trainer_of
from classify.tables.report import Ours
from classify.tables.spec import Column, Setting
from classify.tables.stock import Stage1, Stock

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]
_SAME = {  # the mean recall of the classes, of two and of more
    "balanced_accuracy": "unweighted_average_recall",
    "unweighted_average_recall": "balanced_accuracy",
}


@dataclass(frozen=True)
class Done:
    """A finished run.

    Attributes:
        run: with its scores and metrics.
        reused: it was there before.
        notes: what must stand beside its numbers.
    """

    run: Run
    reused: bool
    notes: tuple[str, ...] = ()


class Runner:
    """Runs jobs, each once; a job that cannot run says so every time it is asked for."""

    def __init__(self, home: Home, stage1: Stage1, asked: Asked, tell: Tell) -> None:
        self.home, self.asked, self.tell = home, asked, tell
        self.stock = Stock(home, stage1)
        self.universe: set[str] = set()
        self._known: dict[tuple[Any, ...], Done | AvfdError] = {}

    def run(self, job: Job) -> Done:
        """The job's run, fitted now or found.

        Raises:
            AvfdError: why it cannot run.
        """
        key = (job.table.name, job.row.id, job.setting.datasets, job.options)
        if key not in self._known:
            try:
                self._known[key] = self._fused(job) if job.fuses else self._fitted(job)
            except AvfdError as error:
                logger.info("%s cannot run: %s", job.name, error)
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, AvfdError):
            raise known
        return known

    def _fused(self, job: Job) -> Done:
        members = [self.run(other) for other in job.fuses]
        told = job.options
        options = FitOptions(
            fusion="decision",
            rule=told.rule,
            seed=told.seed,
            replicates=told.replicates,
            runs=tuple(done.run.name for done in members),
        )
        notes = tuple(dict.fromkeys(note for done in members for note in done.notes))
        known = same_fusion(self.home, options, [done.run for done in members])
        if known is not None:
            return Done(known, True, notes)
        self.tell(f"fusing {job.name}")
        return Done(runs.load(self.home, fit(self.home, options).run), False, notes)

    def _fitted(self, job: Job) -> Done:
        datasets, notes = self._datasets(job.setting)
        columns, stood_in = self._columns(job, (*datasets, *job.setting.test_datasets))
        models, without = self._models(job)
        named: dict[str, Any] = {**columns, **models}
        options = replace(job.options, datasets=datasets, **named)
        prepared = prepare(self.home, options)
        known = same_fit(self.home, options, prepared)
        if known is None:
            self.tell(f"fitting {job.name}")
            known, reused = runs.load(self.home, fit(self.home, options).run), False
        else:
            reused = True
        protocol = known.facts["protocol"]
        leaky = filter(None, [leak_mark(protocol["leaky"], protocol["leaking"])])
        return Done(known, reused, (*job.setting.notes, *notes, *stood_in, *without, *leaky))

    def _datasets(self, setting: Setting) -> tuple[tuple[str, ...], list[str]]:
        """Those to train on that are here; optional ones may lack."""
        lacking = [name for name in setting.datasets if not self.stock.indexed(name)]
        for name in lacking:
            if name not in setting.optional:
                self.stock.check_indexed(name)
        for name in setting.test_datasets:
            self.stock.check_indexed(name)
        there = tuple(name for name in setting.datasets if name not in lacking)
        if not there:
            self.stock.check_indexed(lacking[0])
        return there, [f"trained without {', '.join(lacking)}: not indexed"] if lacking else []

    # Columns and weights

    def _columns(self, job: Job, datasets: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Modality → column, and what stands in for what."""
        columns, notes = {}, []
        for modality, ask in job.row.asks.items():
            try:
                columns[modality] = self.column(job, datasets, ask)
            except AvfdError as error:
                other = job.table.stand_ins.get(ask)
                if not (other and self.asked.stand_ins):
                    raise
                columns[modality] = self.column(job, datasets, other)
                notes.append(f"STAND-IN: {other} for {ask}, which cannot be had ({error})")
            notes += self._learnt(datasets[0], columns[modality])
        return columns, notes

    def _learnt(self, dataset: str, column: str) -> list[str]:
        """Whose clips trained the column's own network, where its weights say so."""
        facts = self.stock.reader(dataset).column(column).spec_facts
        teachers = sorted({key.partition("/")[0] for key in facts.get("training_keys") or ()})
        return [f"the network of {column} learnt on {', '.join(teachers)}"] if teachers else []

    def column(self, job: Job, datasets: Sequence[str], ask: str) -> str:
        """The column of that backbone in all of these data sets, filled where it must be."""
        cached = self.stock.column(datasets, ask)
        name = cached or self.stock.name_for(self.universe | set(datasets), ask)
        for dataset in datasets:
            here = name in self.stock.reader(dataset).columns
            if here and not self.stock.pending(dataset, name):
                continue
            if not self.asked.extract:
                if here:
                    continue
                raise MissingError(
                    "the column is not cached",
                    where=f"{ask} of {dataset}",
                    next_step=f"run `avfd extract --dataset {dataset} --backbone {ask}`",
                )
            self._fill(job, dataset, {name: ask}, here)
        return name

    def _fill(self, job: Job, dataset: str, columns: Mapping[str, str], here: bool) -> None:
        try:
            weights = {k: v for ask in columns.values() for k, v in self._weights(job, ask).items()}
            self.tell(f"extracting {', '.join(columns.values())} of {dataset}")
            self.stock.extract(dataset, columns, weights)
        except AvfdError:
            if not here:
                raise
            logger.warning("%s of %s stays as it is, unfinished", ", ".join(columns), dataset)

    def _weights(self, job: Job, ask: str) -> dict[str, Path]:
        """Weights → the run that trained them, of those that lie nowhere else."""
        states = self.stock.stage1.weights(ask)
        return {s.name: self._trained(job, s.name, s.next_step) for s in states if s.path is None}

    def _trained(self, job: Job, weights: str, next_step: str) -> Path:
        trainer = trainer_of(self.stock, job.table, weights, self.asked)
        if trainer is None:
            raise MissingError("the model file was not found", where=weights, next_step=next_step)
        try:
            return self.run(trainer).run.path
        except AvfdError as error:
            raise MissingError(
                "its weights are not here and cannot be trained",
                where=weights,
                found=f"table {trainer.table.name}, row {trainer.row.id}: {error}",
            ) from error

    def fill_at_once(self, jobs: Iterable[Job]) -> None:
        """Fill the columns that lack nothing but work, all of a data set's in one pass."""
        wanted: dict[str, dict[str, str]] = {}
        for job in jobs:
            sets = (*job.setting.datasets, *job.setting.test_datasets, job.setting.elsewhere)
            for ask in job.row.asks.values():
                for dataset in filter(self.stock.indexed, filter(None, sets)):
                    self._want(wanted.setdefault(dataset, {}), dataset, ask)
        for dataset, columns in wanted.items():
            if columns:
                self.tell(f"extracting {', '.join(columns.values())} of {dataset}")
                self.stock.extract(dataset, columns, {})

    def _want(self, wanted: dict[str, str], dataset: str, ask: str) -> None:
        try:
            lacks = self.stock.column([dataset], ask) is None
            if lacks and all(s.path is not None for s in self.stock.stage1.weights(ask)):
                wanted[self.stock.name_for(self.universe, ask)] = ask
        except AvfdError as error:
            logger.info("%s of %s: %s", ask, dataset, error)

    # Models

    def _models(self, job: Job) -> tuple[dict[str, str], list[str]]:
        """Models with their placeholders filled in, and what is left out of them."""
        notes: list[str] = []
        models = {
            field: self._filled(job, ask, notes)
            for field in ("model", "audio_model", "video_model")
            if (ask := getattr(job.row, field))
        }
        return models, notes

    def _filled(self, job: Job, ask: str, notes: list[str]) -> str:
        parsed, kept = asks.parse(ask), {}
        for key, value in parsed.options.items():
            found = PLACEHOLDER.fullmatch(value)
            if found is None:
                kept[key] = value
                continue
            try:
                kept[key] = str(self._start(job, found[1]))
            except AvfdError as error:
                if not (self.asked.stand_ins and job.table.stand_ins.get(value) == ""):
                    raise
                notes.append(f"STAND-IN: without {key}, which cannot be had ({error})")
        return asks.spelled(parsed.name, kept)

    def _start(self, job: Job, name: str) -> Path:
        """The weight file, or the run, that a placeholder stands for."""
        if name.startswith("row:"):
            run = self.run(job.starts[name[4:]]).run
            if run.facts["folds"] > 1:
                raise InputError(
                    "it begins with the model of another row, of which every fold has one",
                    where=name[4:],
                    found=f"{run.facts['folds']} folds",
                    next_step="take a protocol: `avfd table NAME --dataset D --protocol hash`",
                )
            return run.path
        state = self.stock.stage1.found(name)
        return state.path or self._trained(job, name, state.next_step)

    # Numbers

    def number(self, job: Job, column: Column) -> tuple[Ours, Done]:
        """The cell's number, and the run that it is of."""
        done, setting = self.run(job), job.setting
        report = self._report(job, done.run, setting)
        if column.part != "whole":
            report = _of_track(report, column.part)
        known = report["all"]["metrics"]
        metric = column.metric if column.metric in known else _SAME.get(column.metric, "")
        if metric not in known:
            raise InputError(
                "the run has no such metric",
                where=done.run.name,
                found=column.metric,
                accepted=", ".join(known),
            )
        return Ours.of(report, metric), done

    def _report(self, job: Job, run: Run, setting: Setting) -> Mapping[str, Any]:
        """Metrics on the clips that count."""
        if setting.elsewhere:
            self.stock.check_indexed(setting.elsewhere)
            for ask in job.row.asks.values():
                self.column(job, (setting.elsewhere,), ask)
            split = "test" if setting.test_protocol else "all"
            metrics = evaluate(
                self.home,
                run.path,
                setting.elsewhere,
                split,
                protocol=setting.test_protocol or None,
                replicates=self.asked.replicates,
            ).metrics
        elif setting.test and len(run.facts["datasets"]) > 1:
            metrics = evaluate(
                self.home, run.path, setting.test, replicates=self.asked.replicates
            ).metrics
        else:
            metrics = run.metrics.get("test")
        if metrics is None:
            raise MissingError(
                "no labelled clip is tested",
                where=run.name,
                found=", ".join(run.metrics),
                next_step="take a protocol with a test side, or --folds",
            )
        return metrics


def _of_track(report: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """The report on one track's own verdicts."""
    found: Mapping[str, Any] | None = report.get("tracks", {}).get(part)
    if found is None:
        raise MissingError(
            f"no clip of the test has a label of its {part} and a verdict on it",
            where=f"the {part}'s column",
            next_step=f"index clips that say {part}_label",
        )
    return found
