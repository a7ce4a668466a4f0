"""`avfd fit --fusion decision RUN RUN …`: one verdict from the scores of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from avfd import runs
from avfd.errors import InputError
from avfd.home import Home
from avfd.runs import Run
from classify.apply import FUSED, columns_of, fitted_runs
from classify.choice import FitOptions
from classify.data import lacking_notes
from classify.fusion import Fusion, check_rule
from classify.keys import MODALITIES, keyed, modality_of, titles
from classify.metrics import BootstrapOptions
from classify.provenance import versions
from classify.run_figures import write_figures
from classify.scoring import PREFIX, metrics_by_side

if TYPE_CHECKING:
    import pandas as pd

    from classify.features import Index
    from classify.fit import FitReport
    from classify.windows import Floats

COVERED = "covered_"
_PLACE = ["key", "split", "fold"]
_SAME = ("classes", "target", "folds", "datasets")
_OF_FUSING = ("runs", "fusion", "rule", "seed", "replicates")
_WORDS = {"datasets": "dataset", "test_datasets": "test-dataset"}  # where the option has another


def fuse_runs(home: Home, options: FitOptions) -> FitReport:
    """Fuse the runs' scores clip by clip and write the result as a run of its own.

    The runs must have tested the same clips in the same folds. `weighted` and `stack` learn from
    validation clips that all runs scored and none trained on.
    """
    check_fusing(options)
    members = [runs.load(home, name) for name in options.runs]
    _check(members, options)
    classes = members[0].facts["classes"]
    columns = _columns(home, members)
    frame = _aligned(members, columns)
    parts = {run.name: _probabilities(frame, i, classes) for i, run in enumerate(members)}
    rates = np.mean([run.facts["base_rates"] for run in members], axis=0)
    fusions, fused = [], np.full((len(frame), len(classes)), np.nan)
    for fold in range(members[0].facts["folds"]):
        here = np.flatnonzero(frame["fold"] == fold)
        fusions.append(_fusion(options.rule, parts, frame, here, classes))
        fused[here] = fusions[-1].combine({name: p[here] for name, p in parts.items()})
    scores = _table(frame, fused, classes, rates)
    lacking = _lacking(scores, titles({k: n for own in columns for k, n in own.values()}))
    return _write(home, options, members, fusions, scores, rates.tolist(), lacking)


def check_fusing(options: FitOptions) -> None:
    """Refuse options that finished runs cannot follow any more."""
    told = [field for field in fields(options) if field.name not in _OF_FUSING]
    idle = [field.name for field in told if getattr(options, field.name) != field.default]
    if idle:
        raise InputError(
            "finished runs are fused as they are",
            where=", ".join(f"--{_WORDS.get(n, n.replace('_', '-'))}" for n in idle),
            accepted="--fusion decision RUN RUN … with --rule and --seed",
            next_step="leave it out, or give it to the fits that make the runs",
        )


def _check(members: Sequence[Run], options: FitOptions) -> None:
    """Refuse what cannot be fused."""
    if len(members) < 2 or len({run.name for run in members}) < len(members):
        raise InputError(
            "fusing takes two or more different runs", where="RUN", found=", ".join(options.runs)
        )
    if options.fusion != "decision":
        raise InputError(
            "finished runs can only be fused by their decisions",
            where="--fusion",
            found=options.fusion,
            accepted="--fusion decision RUN RUN …",
        )
    check_rule(options.rule, len(members[0].facts["classes"]))
    for name in _SAME:
        found = [run.facts[name] for run in members]
        if any(value != found[0] for value in found):
            said = "; ".join(f"{run.name}: {run.facts[name]}" for run in members)
            raise InputError(
                f"the runs do not have the same {name}",
                where=", ".join(run.name for run in members),
                found=said,
                next_step="fit them with the same data sets, protocol and target",
            )


def _columns(home: Home, members: Sequence[Run]) -> list[dict[str, tuple[str, str]]]:
    """Of each run: a column's key there → its key among the columns of all runs, and its name.

    Nothing where no run reads several columns of a modality: keys are the modalities then, and a
    clip has a modality where any run had it.
    """
    fitted = [one for run in members for one in fitted_runs(home, run)]
    if all(set(one.facts["columns"]) <= set(MODALITIES) for one in fitted):
        return [{} for _ in members]
    every = [columns_of(home, run) for run in members]
    pairs = [(modality_of(key), c["name"]) for own in every for key, c in own.items()]
    keys = {name: key for key, name in keyed(dict.fromkeys(pairs)).items()}
    return [{key: (keys[c["name"]], c["name"]) for key, c in own.items()} for own in every]


def _aligned(
    members: Sequence[Run], columns: Sequence[Mapping[str, tuple[str, str]]]
) -> pd.DataFrame:
    """The runs' tables side by side, a row a clip, side and fold that all of them scored."""
    named = [{COVERED + key: COVERED + to for key, (to, _) in own.items()} for own in columns]
    tables = [run.scores().rename(columns=n) for run, n in zip(members, named, strict=True)]
    tested = [_tested(table) for table in tables]
    for run, places in zip(members[1:], tested[1:], strict=True):
        if places != tested[0]:
            odd = sorted(key for key, _ in places ^ tested[0])
            raise InputError(
                f"the runs tested different clips, or in different folds ({len(odd)})",
                where=f"{members[0].name}, {run.name}",
                found=", ".join(dict.fromkeys(odd[:10])),
                next_step="fit them with the same protocol or the same folds",
            )
    numbered = [_numbered(table, i) for i, table in enumerate(tables)]
    joined = reduce(lambda a, b: a.merge(b, on=_PLACE, how="inner"), numbered)
    facts = tables[0][[*_PLACE, "dataset", "group", "label"]]
    return facts.merge(joined, on=_PLACE, how="inner")


def _tested(table: pd.DataFrame) -> set[tuple[str, int]]:
    rows = table[table["split"] == "test"]
    return set(zip(rows["key"], rows["fold"], strict=True))


def _numbered(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Scores and coverage of one run, named apart from the other runs'."""
    mine = [c for c in table.columns if c.startswith((PREFIX, "covered"))]
    return table[[*_PLACE, *mine]].rename(columns={c: f"{number}:{c}" for c in mine})


def _probabilities(frame: pd.DataFrame, number: int, classes: Sequence[str]) -> Floats:
    """One run's probabilities, NaN where it did not cover the clip."""
    p = frame[[f"{number}:{PREFIX}{name}" for name in classes]].to_numpy(dtype=np.float64)
    covered = frame[f"{number}:covered"].to_numpy(dtype=bool)
    return np.where(covered[:, None], p, np.nan)


def _fusion(
    rule: str, parts: dict[str, Floats], frame: pd.DataFrame, here: Index, classes: Sequence[str]
) -> Fusion:
    """The fusion of one fold, fitted on that fold's validation rows where it learns."""
    fusion = Fusion(rule, len(classes))
    held = here[(frame["split"].to_numpy()[here] == "val")]
    if fusion.learns and not len(held):
        raise InputError(
            "the rule needs validation clips that all runs scored, and there are none",
            where=f"--rule {rule}",
            next_step="take --rule mean, or name the columns to one fit with --fusion decision",
        )
    y = frame["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()[held]
    return fusion.fit({name: p[held] for name, p in parts.items()}, y.astype(np.intp))


def _table(
    frame: pd.DataFrame, fused: Floats, classes: Sequence[str], rates: Floats
) -> pd.DataFrame:
    """The scores table of the fused run."""
    covered = ~np.asarray(np.isnan(fused).any(axis=1))
    filled = np.where(covered[:, None], fused, rates)
    out = frame[["key", "dataset", "split", "fold", "group", "label"]].copy()
    for i, name in enumerate(classes):
        out[PREFIX + name] = filled[:, i]
    out["covered"] = covered
    parts = [c for c in frame.columns if ":covered_" in c]
    for key in dict.fromkeys(c.split(":covered_")[1] for c in parts):
        mine = [c for c in parts if c.endswith(f":covered_{key}")]
        out[f"covered_{key}"] = frame[mine].any(axis=1)
    return out


def _lacking(scores: pd.DataFrame, said: Mapping[str, str]) -> list[str]:
    """How many clips were decided without a column; each is counted once.

    Args:
        said: key → what people call it, where that is not the key.
    """
    clips = scores.drop_duplicates("key")
    own = [c[len(COVERED) :] for c in clips.columns if c.startswith(COVERED)]
    return lacking_notes({said.get(k, k): clips[COVERED + k].to_numpy(dtype=bool) for k in own})


def _write(
    home: Home,
    options: FitOptions,
    members: Sequence[Run],
    fusions: Sequence[Fusion],
    scores: pd.DataFrame,
    rates: list[float],
    lacking: Sequence[str],
) -> FitReport:
    from classify.fit import FitReport

    first = members[0].facts
    metrics = metrics_by_side(scores, rates, options.replicates, options.seed)
    said = (note for run in members for note in run.facts["notes"])
    notes = tuple(dict.fromkeys((*lacking, *said)))
    stem = runs.stem_of("+".join(first["datasets"]), "fused", options.rule)
    with runs.writing(home, stem) as partial:
        for number, fusion in enumerate(fusions):
            folder = partial.model_dir / f"fold-{number}"
            folder.mkdir()
            fusion.save(folder)
        partial.write_scores(scores)
        partial.write_metrics(metrics)
        drawn = BootstrapOptions(options.replicates, options.seed)
        write_figures(partial.figures_dir, scores, rates, metrics, drawn)
        partial.write_facts(_facts(home, options, members, rates, notes))
    return FitReport(
        run=partial.run().name,
        path=partial.run().path,
        datasets=tuple(first["datasets"]),
        protocol=first["protocol"]["name"],
        target=first["target"],
        columns={},
        models={run.name: "run" for run in members},
        fusion="decision",
        rule=options.rule,
        leaky=any(run.facts["protocol"]["leaky"] for run in members),
        classes=tuple(first["classes"]),
        clips={str(side): int(n) for side, n in scores["split"].value_counts().items()},
        metrics=metrics,
        notes=notes,
    )


def _facts(
    home: Home,
    options: FitOptions,
    members: Sequence[Run],
    rates: list[float],
    notes: Sequence[str],
) -> dict[str, Any]:
    first = members[0].facts
    keys = {key for run in members for key in run.facts["training_keys"]}
    media = {each for run in members for each in run.facts.get("training_media", ())}
    columns: dict[str, Any] = {}
    for run in members:
        for key, facts in columns_of(home, run).items():
            columns.setdefault(f"{run.name}:{key}", facts)
    return {
        "kind": FUSED,
        "runs": [run.name for run in members],
        "run_ids": [run.facts["id"] for run in members],
        "options": asdict(options),
        "datasets": first["datasets"],
        "columns": columns,
        "protocol": first["protocol"],
        "target": first["target"],
        "classes": first["classes"],
        "base_rates": rates,
        "folds": first["folds"],
        "notes": list(notes),
        "training_keys": sorted(keys),
        "training_media": sorted(media),
        "versions": versions(),
    }
