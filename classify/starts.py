"""Weights that a fit begins with: found in its home, one file a fold, kept from its test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avfd import runs
from avfd.errors import InputError
from avfd.home import Home
from classify import estimators
from classify.columns import Unit
from classify.data import Opened
from classify.estimators.starting import STARTS, card_beside, fold_of, found_by_fold
from classify.model import ModelOptions, Starts
from classify.sides import Fold, Plan
from classify.taught import Taught, check_apart


def starts_of(home: Home, model: ModelOptions, plan: Plan, opened: Opened) -> list[Starts]:
    """What each fold begins with; empty where nothing is asked for.

    Raises:
        MissingError: no such weights or run.
        InputError: a run in other folds, or weights that clips of the test trained.
    """
    starts: list[dict[str, dict[str, Path]]] = [{} for _ in plan.folds]
    for name, member in model.members.items():
        estimator = estimators.build(member.model, model.estimator)
        for setting, names in STARTS.get(estimator.name, {}).items():
            asked = getattr(estimator.settings, setting)
            if not asked:
                continue
            files = found_by_fold(asked, names, home.runs_dir, len(plan.folds))
            _check(files, f"{name}: {setting}={asked}", plan, opened)
            for of_fold, file in zip(starts, files, strict=True):
                of_fold.setdefault(name, {})[setting] = file
    return list(starts)


def _check(files: Sequence[Path], where: str, plan: Plan, opened: Opened) -> None:
    """Refuse weights that a clip trained which their fold tests."""
    for fold, file in zip(plan.folds, files, strict=True):
        tested = tested_units(plan, fold)
        taught = taught_by(file, tested)
        if len(set(files)) > 1 and (seen := taught.among(tested, opened)):
            raise InputError(
                "the weights to begin with were trained in other folds",
                where=where,
                found=f"fold {fold.number} there was trained on {len(seen)} of the clips that "
                f"fold {fold.number} here would test: {', '.join(seen[:10])}",
                accepted="the same folds, of which each begins with the weights of its own",
                next_step="fit with the data sets and the folds of that run",
            )
        check_apart(tested, taught, "the weights it began with were", where, opened)


def taught_by(file: Path, tested: Sequence[Unit]) -> Taught:
    """The clips that trained a weight file, as far as anything says so.

    Of a run in folds that does not know them by fold: none where its fold tested all of `tested`,
    else those of all folds.
    """
    card = card_beside(file)
    fold = fold_of(file)
    if fold is not None and card.get("folds", 1) > 1:
        own = _tested_there(file, fold)
        if own is not None and all(unit.keys[0] in own for unit in tested):
            return Taught()
    return Taught.of(card)


def _tested_there(file: Path, fold: int) -> set[str] | None:
    """Keys that a fold of the file's run tested; None without its scores."""
    import pandas as pd

    for folder in file.parents[:4]:
        path = folder / runs.SCORES_FILE
        if path.is_file():
            table = pd.read_parquet(path, columns=["key", "split", "fold"])
            return set(table[(table["split"] == "test") & (table["fold"] == fold)]["key"])
    return None


def tested_units(plan: Plan, fold: Fold) -> list[Unit]:
    """The units that a fold tests."""
    return [plan.units[i] for i in fold.sides["test"].tolist()]


def stamps(starts: Starts) -> dict[str, dict[str, list[int]]]:
    """Size and time of each file, which tell one training's weights from another's."""
    return {
        member: {s: [p.stat().st_size, p.stat().st_mtime_ns] for s, p in files.items()}
        for member, files in starts.items()
    }
