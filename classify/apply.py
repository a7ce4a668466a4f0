"""A finished run applied to clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avfd import runs
from avfd.differences import check_alike
from avfd.home import Home
from avfd.runs import Run
from classify.choice import check_column
from classify.columns import PictureOptions, Unit
from classify.data import Opened, samples_of
from classify.features import Samples
from classify.fusion import Fusion
from classify.keys import keyed
from classify.model import Model
from classify.windows import Floats, Scores

FUSED = "fused"


def members_of(home: Home, run: Run) -> list[Run]:
    """The runs whose scores a fused run joins; none for a run that was fitted."""
    if run.facts["kind"] != FUSED:
        return []
    return [runs.load(home, name) for name in run.facts["runs"]]


def fitted_runs(home: Home, run: Run) -> Iterator[Run]:
    """The run itself, or the fitted runs below a fused one."""
    members = members_of(home, run)
    for member in members:
        yield from fitted_runs(home, member)
    if not members:
        yield run


def columns_of(home: Home, run: Run) -> dict[str, dict[str, Any]]:
    """Key (`classify.keys`) → facts of every column that the run reads, each once."""
    known: dict[str, dict[str, Any]] = {}
    for fitted in fitted_runs(home, run):
        for facts in fitted.facts["columns"].values():
            known.setdefault(facts["name"], facts)
    keys = keyed((facts["spec"]["modality"], name) for name, facts in known.items())
    return {key: known[name] for key, name in keys.items()}


def check_columns(home: Home, run: Run, opened: Opened) -> dict[str, str]:
    """Key → column, after making sure that they were written as the run's were."""
    columns = columns_of(home, run)
    for facts in columns.values():
        check_column(facts["spec"]["modality"], facts["name"], opened.readers)
        check_alike(
            f"the column was written with other settings or weights than run {run.name} knows",
            where=facts["name"],
            found=opened.column(facts["name"]).spec_facts,
            accepted=facts,
            next_step="extract it again with the run's settings, under another name or home",
        )
    return {key: facts["name"] for key, facts in columns.items()}


def score_units(home: Home, run: Run, units: Sequence[Unit], opened: Opened) -> Scores:
    """What the run says of these units; of a run with folds the mean of the folds' models."""
    members = members_of(home, run)
    if members:
        said = {member.name: score_units(home, member, units, opened) for member in members}
        return _fused(run, said)
    samples = run_samples(run, units, opened)
    return _mean([Model.load(folder).score(samples) for folder in fold_dirs(run)])


def run_samples(run: Run, units: Sequence[Unit], opened: Opened) -> Samples:
    """The units with the columns of a fitted run."""
    columns = {key: facts["name"] for key, facts in run.facts["columns"].items()}
    told = run.facts["options"]
    pictures = PictureOptions(told["picture_px"], told["picture_gray"])
    return samples_of(units, run.facts["classes"], opened, columns, pictures)


def fold_dirs(run: Run) -> list[Path]:
    """Where the run keeps its models, a folder a fold."""
    return [run.model_dir / f"fold-{number}" for number in range(run.facts["folds"])]


def _fused(run: Run, said: Mapping[str, Scores]) -> Scores:
    p = {name: scores.probabilities for name, scores in said.items()}
    return _mean([Scores(Fusion.load(folder).combine(p)) for folder in fold_dirs(run)])


def _mean(scores: Sequence[Scores]) -> Scores:
    """The mean of several models' scores; a clip that one of them cannot score has none."""
    tracks = {part: _average([s.tracks[part] for s in scores]) for part in scores[0].tracks}
    mean = Scores(_average([s.probabilities for s in scores]), tracks=tracks)
    seconds = [s.seconds for s in scores if s.seconds is not None]
    if not seconds:
        return mean
    return replace(mean, seconds=[_average(parts) for parts in zip(*seconds, strict=True)])


def _average(parts: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(parts, axis=0), dtype=np.float64)
