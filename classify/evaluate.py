"""`avfd evaluate` and `avfd compare`: what finished runs say of clips, their own or others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from avfd import runs
from avfd.clips import Clip, read_table
from avfd.errors import InputError, MissingError
from avfd.home import Home
from avfd.manifest import SIDES
from avfd.runs import Run
from classify.apply import check_columns, columns_of, score_units
from classify.columns import PictureOptions, Unit
from classify.data import Opened, coverage_notes, samples_of, status_counts
from classify.metrics import BootstrapOptions, ClipScores
from classify.protocols import as_test
from classify.protocols.lineage import kin_of
from classify.run_facts import units_digest
from classify.scoring import clip_scores, metrics_of, scores_frame, seconds_frame
from classify.sides import assigned, protocol_of, side_units, unlabelled_units
from classify.since import own_dataset, sides_now, since_notes
from classify.taught import Taught, check_unseen

if TYPE_CHECKING:
    import pandas as pd

    from classify.compare import Comparison

SplitName = Literal["train", "val", "test", "unlabelled", "all"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(frozen=True)
class EvaluateReport:
    """What a run says of some clips.

    Attributes:
        run: name of the run.
        dataset: the data set evaluated; None: all of the run's own.
        split: as asked for.
        clips, labelled: how many were scored, and how many of them have a label.
        coverage: key of the column → pending, done, failed, absent → clips; of stored scores empty.
        metrics: the metrics' report as JSON; None where no clip has a label.
        scores_path: the table of scores.
        notes: sentences that must stand beside the results.
    """

    run: str
    dataset: str | None
    split: str
    clips: int
    labelled: int
    coverage: Mapping[str, Mapping[str, int]]
    metrics: Mapping[str, Any] | None
    scores_path: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Clips to score: their units, and sentences on how they were chosen."""

    units: Sequence[Unit]
    notes: Sequence[str] = ()


def evaluate(
    home: Home,
    run: str | Path,
    dataset: str | None = None,
    split: str | None = None,
    *,
    protocol: str | None = None,
    replicates: int = 2000,
) -> EvaluateReport:
    """Metrics of a run on a side of its own split, or on another data set.

    Args:
        run: name or folder.
        dataset: None or one of the run's own: the scores it wrote when it was fitted. Another:
            its clips are scored now; of a run with folds the mean of the folds' models counts.
        split: train, val or test of the run's own split, or of the other data set's default
            protocol; "unlabelled": clips without a label, scored without metrics; "all": every
            clip. Default: test of the own split, all of another data set.
        protocol: of the other data set, instead of its default; with train, val or test.
        replicates: of the bootstrap.

    Raises:
        InputError: an unknown split or protocol, or a protocol where none chooses the clips.
        FingerprintError: a column was not written as the run's was; what differs is named.
        MissingError: no such run, data set, column or side.
    """
    loaded = runs.load(home, run)
    own = dataset is None or dataset in loaded.facts["datasets"]
    wanted = _checked(split or ("test" if own else "all"))
    if protocol is not None:
        _check_protocol(home, loaded, dataset if not own else None, wanted, protocol)
    if own and wanted != "unlabelled":
        lacking = wanted in SIDES and wanted not in set(loaded.scores()["split"])
        if lacking and (mine := own_dataset(home, loaded)):
            return _held_back(home, loaded, mine, dataset, wanted, replicates)
        return _stored(home, loaded, dataset, wanted, replicates)
    name = home.one_dataset(dataset or str(loaded.facts["datasets"][0]))
    return _scored(home, loaded, name, wanted, protocol, replicates)


def compare_runs(
    home: Home,
    names: Sequence[str | Path],
    *,
    split: str = "test",
    common: bool = False,
    replicates: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Paired differences between finished runs on one side; see `classify.compare`.

    Args:
        common: compare on the clips that all runs scored instead of refusing other ones.
    """
    from classify.compare import compare

    loaded = [runs.load(home, name) for name in names]
    scores = {run.name: stored_scores(run, _checked(split)) for run in loaded}
    return compare(scores, common=common, bootstrap=BootstrapOptions(replicates, seed))


def stored_scores(run: Run, split: SplitName = "test") -> ClipScores:
    """The scores that a run wrote, of the labelled clips of one side."""
    return clip_scores(_side(run, None, split), run.facts["base_rates"])


def _checked(split: str) -> SplitName:
    for known in SPLITS:
        if split == known:
            return known
    raise InputError("no such split", where="--split", found=split, accepted=", ".join(SPLITS))


def _check_protocol(
    home: Home, run: Run, other: str | None, split: SplitName, protocol: str
) -> None:
    """Refuse a protocol that is not there, or that would choose nothing."""
    if other is not None:
        protocol_of(home, [home.one_dataset(other)], protocol)
    if other is None or split in ("all", "unlabelled"):
        raise InputError(
            "a protocol chooses among another data set's clips",
            where=f"--protocol {protocol}",
            found=f"--split {split}" if other else f"the clips of {run.name} itself",
            accepted="--dataset D of another data set, with --split train, val or test",
        )


def _side(run: Run, dataset: str | None, split: SplitName) -> pd.DataFrame:
    """The rows of a run's table on one side, each clip once."""
    whole = run.scores()
    frame = whole if dataset is None else whole[whole["dataset"] == dataset]
    if split != "all":
        frame = frame[frame["split"] == split]
    if not len(frame):
        raise MissingError(
            "the run has no scores of this side",
            where=run.name,
            found=split,
            accepted=", ".join(sorted(set(whole["split"]))),
        )
    if frame["key"].duplicated().any():
        raise InputError(
            "some clips stand on several sides or folds",
            where=run.name,
            found=f"--split {split}",
            accepted="--split test",
        )
    return frame


def _held_back(
    home: Home, run: Run, mine: str, dataset: str | None, split: SplitName, replicates: int
) -> EvaluateReport:
    """A side of the run's own protocol of which there was no clip when it was fitted."""
    opened = Opened.at(home, [mine])
    units = sides_now(home, run, mine, opened)[split]
    if not units:
        _side(run, dataset, split)  # says that there is none
    if seen := Taught.of(run.facts).among(units, opened):
        raise InputError(
            f"the run was trained on {len(seen)} of the clips that would {split}",
            where=run.name,
            found=", ".join(seen[:3]),
            next_step="fit again: the clips' sides are not those of the fit any more",
        )
    said = (
        f"Side {split} of the run's own protocol {run.facts['protocol']['name']}, by the clips "
        "that are indexed now: the run had none of it."
    )
    report = _report(home, run, mine, split, None, Wanted(units, [said]), opened, replicates)
    return replace(report, dataset=dataset)


def _stored(
    home: Home, run: Run, dataset: str | None, split: SplitName, replicates: int
) -> EvaluateReport:
    """From the scores that the run wrote."""
    frame = _side(run, dataset, split)
    notes = [*run.facts["notes"], *since_notes(home, run, split, frame["key"].tolist())]
    if split != "test":
        notes.append(f"{split}: the model knows some of these clips from training.")
    return EvaluateReport(
        run=run.name,
        dataset=dataset,
        split=split,
        clips=len(frame),
        labelled=int(frame["label"].notna().sum()),
        coverage={},
        metrics=metrics_of(frame, run.facts["base_rates"], replicates),
        scores_path=run.path / runs.SCORES_FILE,
        notes=tuple(notes),
    )


def _scored(
    home: Home, run: Run, dataset: str, split: SplitName, protocol: str | None, replicates: int
) -> EvaluateReport:
    """By scoring the clips now, or from an evaluation of the same clips and columns."""
    opened = Opened.at(home, [dataset])
    wanted = _wanted(home, run, opened, dataset, split, protocol)
    return _report(home, run, dataset, split, protocol, wanted, opened, replicates)


def _report(
    home: Home,
    run: Run,
    dataset: str,
    split: SplitName,
    protocol: str | None,
    wanted: Wanted,
    opened: Opened,
    replicates: int,
) -> EvaluateReport:
    """Of these units of a data set, scored now or before."""
    columns = check_columns(home, run, opened)
    check_unseen(wanted.units, columns, opened)
    name = "-".join([dataset, split, *([protocol] if protocol else [])])
    content = units_digest(wanted.units, columns, opened)
    frame, path = _known(run, name, content) or _write(
        home, run, wanted.units, opened, name, content, replicates
    )
    coverage = status_counts(wanted.units, columns, opened)
    return EvaluateReport(
        run=run.name,
        dataset=dataset,
        split=split,
        clips=len(frame),
        labelled=int(frame["label"].notna().sum()),
        coverage=coverage,
        metrics=metrics_of(frame, run.facts["base_rates"], replicates),
        scores_path=path,
        notes=(
            *wanted.notes,
            *_known_clips(run, wanted, opened),
            *_kin_notes(home, run, wanted, dataset),
            *coverage_notes(coverage, columns),
        ),
    )


def _known_clips(run: Run, wanted: Wanted, opened: Opened) -> list[str]:
    """A sentence where the clips trained or chose the run itself, under these or other names."""
    seen = Taught.of(run.facts).among(wanted.units, opened)
    if not seen:
        return []
    return [
        f"{len(seen)} of these clips trained the run itself or chose it: {', '.join(seen[:3])}."
    ]


def _kin_notes(home: Home, run: Run, wanted: Wanted, dataset: str) -> list[str]:
    """A sentence where clips are forged from what trained the run, or that from them."""
    theirs = [name for name in run.facts["datasets"] if home.clip_table(name).is_file()]
    if dataset in theirs:
        return []
    clips = [clip for name in (*theirs, dataset) for clip in read_table(home.clip_table(name))]
    keys = [key for unit in wanted.units for key in unit.keys]
    kin = kin_of(keys, Taught.of(run.facts).keys, clips)
    if not kin:
        return []
    return [
        f"{len(kin)} of these clips are of people who trained the run itself or chose it (one is "
        f"forged from the other): {', '.join(kin[:3])}."
    ]


def _wanted(
    home: Home, run: Run, opened: Opened, dataset: str, split: SplitName, name: str | None
) -> Wanted:
    """The units of the data set that were asked for."""
    clips = read_table(home.clip_table(dataset))
    target = run.facts["target"]
    bare = [clip for clip in clips if _label(clip, target) is None]
    if split == "unlabelled":
        return _some(Wanted(unlabelled_units(bare)), run, dataset, split)
    if split == "all":
        labelled = [clip for clip in clips if _label(clip, target) is not None]
        units = side_units(as_test(labelled, target=target), "test") if labelled else []
        known = _known_classes(units, run)
        every = [*known.units, *unlabelled_units(bare)]
        return _some(Wanted(every, known.notes), run, dataset, split)
    protocol = protocol_of(home, [dataset], name)
    chosen = assigned(home, opened.readers, clips, protocol, target=target)
    known = _known_classes(side_units(chosen, split), run)
    notes = (f"Side {split} of protocol {protocol.name}.", *chosen.notes, *known.notes)
    return _some(Wanted(known.units, notes), run, dataset, split)


def _label(clip: Clip, target: str) -> str | None:
    return clip.label if target == "deepfake" else clip.emotion


def _known_classes(units: Sequence[Unit], run: Run) -> Wanted:
    """The units whose class the run knows; the others are left out, and said to be."""
    classes = set(run.facts["classes"])
    known = [unit for unit in units if unit.label in classes]
    if len(known) == len(units):
        return Wanted(known)
    strange = ", ".join(sorted({str(u.label) for u in units} - classes))
    left = len(units) - len(known)
    return Wanted(known, [f"{left} clips are of classes that the run does not know: {strange}."])


def _some(wanted: Wanted, run: Run, dataset: str, split: str) -> Wanted:
    if not wanted.units:
        raise MissingError(
            "the data set has no such clips",
            where=dataset,
            found=" ".join([split, *(f"({note})" for note in wanted.notes)]),
            accepted=", ".join(run.facts["classes"]),
        )
    return wanted


def _known(run: Run, name: str, content: str) -> tuple[pd.DataFrame, Path] | None:
    """Scores that an earlier evaluation wrote, if clips and columns are still the same."""
    import pandas as pd

    folder = run.path / runs.EVALUATIONS_FOLDER / name
    facts = folder / runs.EVALUATION_FILE
    if not facts.is_file() or json.loads(facts.read_text())["content"] != content:
        return None
    return pd.read_parquet(folder / runs.SCORES_FILE), folder / runs.SCORES_FILE


def _write(
    home: Home,
    run: Run,
    units: Sequence[Unit],
    opened: Opened,
    name: str,
    content: str,
    replicates: int,
) -> tuple[pd.DataFrame, Path]:
    """Score the units and keep tables and metrics in the run's folder."""
    classes, rates = run.facts["classes"], run.facts["base_rates"]
    columns = {key: str(facts["name"]) for key, facts in columns_of(home, run).items()}
    samples = samples_of(units, classes, opened, columns, PictureOptions())
    scores = score_units(home, run, units, opened)
    frame = scores_frame(samples, scores, classes, np.array(rates), split="test", fold=0)
    with runs.evaluation(run, name) as folder:
        frame.to_parquet(folder / runs.SCORES_FILE, index=False)
        if scores.seconds is not None:
            seconds = seconds_frame(samples, scores, classes, split="test", fold=0)
            seconds.to_parquet(folder / runs.SECONDS_FILE, index=False)
        runs.write_json(folder / runs.METRICS_FILE, metrics_of(frame, rates, replicates))
        runs.write_json(folder / runs.EVALUATION_FILE, {"content": content})
    return frame, run.path / runs.EVALUATIONS_FOLDER / name / runs.SCORES_FILE
