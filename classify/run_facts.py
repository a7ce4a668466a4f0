"""What a run says of itself: notes for people, facts for those who repeat it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from avfd.manifest import Side
from classify.choice import FitOptions
from classify.columns import Unit
from classify.data import Opened, coverage_notes, partial_notes, telling_notes
from classify.provenance import columns_facts, restricted_notes, versions, weights_notes
from classify.sides import Plan
from classify.taught import chosen_notes, known_media

if TYPE_CHECKING:
    import pandas as pd

    from classify.fit import Fitted, Prepared
    from classify.model import Model


def side_counts(scores: pd.DataFrame, plan: Plan) -> dict[str, int]:
    """Side → samples; with folds every sample is tested and trains the other folds."""
    if plan.crossed:
        return {"train": len(plan.units), "test": int((scores["split"] == "test").sum())}
    return {side: len(index) for side, index in plan.folds[0].sides.items()}


def notes_of(
    options: FitOptions,
    prepared: Prepared,
    fitted: Fitted,
    coverage: Mapping[str, Mapping[str, int]],
) -> tuple[str, ...]:
    """What must stand beside the results, the choices made for the user first."""
    taken = {m: name for m, name in prepared.columns.items() if m not in options.columns}
    chosen = [f"{modality} column taken: {name}." for modality, name in taken.items()]
    plan = prepared.plan
    excluded = [f"{n} clips stand on no side: {why}." for why, n in plan.excluded.items()]
    return (
        *chosen,
        *plan.notes,
        *excluded,
        *coverage_notes(coverage, prepared.columns),
        *partial_notes(prepared.samples),
        *telling_notes(prepared.samples, plan.classes),
        *restricted_notes(prepared.columns, prepared.opened),
        *weights_notes(prepared.columns, prepared.opened),
        *chosen_notes(units_on(plan, "val"), prepared.columns, prepared.opened),
        *_search_notes(fitted),
        *_own_notes(fitted),
        *_idle_notes(options, fitted),
    )


def _search_notes(fitted: Fitted) -> list[str]:
    """A sentence for every search."""
    folds = len(fitted.found) > 1
    return [
        f"{member}{f' of fold {number}' if folds else ''}: {found.model}, the best of "
        f"{found.tried} trials on validation ({found.quality:.3f})"
        + (f"; {found.failed} did not work." if found.failed else ".")
        for number, fold in enumerate(fitted.found)
        for member, found in fold.items()
    ]


def _idle_notes(options: FitOptions, fitted: Fitted) -> list[str]:
    """A sentence where options of networks were given and there is none."""
    given = {"--epochs": options.epochs, "--minutes": options.minutes}
    named = [name for name, value in given.items() if value is not None]
    members = [estimator for model in fitted.models for estimator in model.members_.values()]
    if not named or any(hasattr(getattr(m, "settings", None), "epochs") for m in members):
        return []
    return [f"{' and '.join(named)}: no model here trains by epochs, so nothing took them."]


def _own_notes(fitted: Fitted) -> list[str]:
    """What estimators say of themselves."""
    folds = len(fitted.models) > 1
    return [
        f"{member}{f' of fold {number}' if folds else ''}: {sentence}"
        for number, model in enumerate(fitted.models)
        for member, estimator in model.members_.items()
        for sentence in getattr(estimator, "notes_", ())
    ]


def facts_of(
    options: FitOptions,
    prepared: Prepared,
    fitted: Fitted,
    coverage: Mapping[str, Mapping[str, int]],
    notes: Sequence[str],
    tag: str,
) -> dict[str, Any]:
    """All that is needed to repeat the run, as JSON."""
    plan = prepared.plan
    return {
        "kind": "fit",
        "tag": tag,
        "options": asdict(options),
        "datasets": list(prepared.datasets),
        "snapshots": prepared.opened.snapshots,
        "columns": columns_facts(prepared.columns, prepared.opened),
        "model": asdict(prepared.model),
        "settings": prepared.model.settings,
        "trials": [{m: asdict(f) for m, f in fold.items()} for fold in fitted.found],
        "protocol": {
            "name": plan.protocol,
            "text": plan.text,
            "leaky": plan.leaky,
            "leaking": list(plan.leaking),
            "excluded": dict(plan.excluded),
        },
        "target": options.target,
        "classes": list(plan.classes),
        "base_rates": fitted.base_rates.tolist(),
        "folds": len(plan.folds),
        "coverage": coverage,
        "notes": list(notes),
        "training_keys": sorted({*training_keys(plan), *started_keys(fitted.models)}),
        "training_media": sorted(
            {
                *known_media(units_on(plan, "train", "val"), prepared.opened),
                *started_media(fitted.models),
            }
        ),
        "content": content_of(prepared),
        "versions": versions(),
    }


def training_keys(plan: Plan) -> list[str]:
    """Clips that trained a model or told it when to stop, sorted."""
    return sorted({key for unit in units_on(plan, "train", "val") for key in unit.keys})


def units_on(plan: Plan, *sides: Side) -> list[Unit]:
    """The units that stand on one of these sides in any fold, each once."""
    places = {i for f in plan.folds for side in sides for i in f.sides[side].tolist()}
    return [plan.units[i] for i in sorted(places)]


def started_keys(models: Sequence[Model]) -> set[str]:
    """Clips that trained the weights which the models' training began with."""
    return {
        key for model in models for each in model.members_.values() for key in each.started_keys()
    }


def started_media(models: Sequence[Model]) -> set[str]:
    """The media of those clips, as far as they are known (`classify.taught`)."""
    return {
        each
        for model in models
        for member in model.members_.values()
        for each in member.started_media()
    }


def content_of(prepared: Prepared) -> str:
    """sha256 over clips, labels, sides and what the columns hold of them.

    Other columns that come to the cache, and clips on no side, change nothing in it.
    """
    plan = prepared.plan
    folds = [[(s, index.tolist()) for s, index in fold.sides.items()] for fold in plan.folds]
    lines = [repr(plan.classes), repr(folds)]
    if prepared.model.windows.labels == "segments":
        lines += [repr(unit.segments) for unit in plan.units]
    return _digest([*lines, *_units_lines(plan.units, prepared.columns, prepared.opened)])


def units_digest(units: Sequence[Unit], columns: Mapping[str, str], opened: Opened) -> str:
    """sha256 over clips, labels and what the columns hold of them."""
    return _digest(_units_lines(units, columns, opened))


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _units_lines(
    units: Sequence[Unit], columns: Mapping[str, str], opened: Opened
) -> Iterator[str]:
    for unit in units:
        yield repr((unit.keys, unit.group, unit.label, unit.audio_label, unit.video_label))
    for key, name in columns.items():
        for dataset, reader in opened.readers.items():
            clips = [clip for unit in units if unit.dataset == dataset for clip in unit.keys]
            column = reader.column(name)
            held = (reader.entries(clips).tolist(), column.statuses(clips).tolist())
            yield repr((key, name, dataset, column.fingerprint, held))
