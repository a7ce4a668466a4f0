"""`avfd fit`, `avfd evaluate` and `avfd compare`: cache → verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from avfd.cli.options import HomeOption, JsonOption, SeedOption, VerboseOption
from avfd.cli.output import Progress, emit_json, progress, say, set_up_logging, table
from avfd.errors import InputError
from avfd.home import Home

if TYPE_CHECKING:
    from classify.compare import Comparison
    from classify.evaluate import EvaluateReport
    from classify.fit import FitReport
    from classify.watching import Epoch, Trial

Words = Mapping[str, tuple[str, ...]]
CHOICES: Words = {
    "fusion": ("none", "feature", "decision"),
    "rule": ("mean", "weighted", "or", "noisy-or", "stack"),
    "target": ("deepfake", "emotion"),
    "aggregate": ("mean", "max"),
    "window_labels": ("clip", "segments"),
    "balance": ("weights", "repeat", "sample", "none"),
    "device": ("auto", "cpu", "cuda"),
    "cross": ("sides", "whole", "2d3mf"),
}
MOST_LISTED = 20
"""Clips that `evaluate` lists; the rest is in the table of scores."""
PREFERENCE_HELP = (
    "A fusion takes the columns that are named; of fewer than two, also the first cached one of "
    "each modality without a name. Audio: "
    "eat, emotion2vec, xvector, compare2016, emobase2010, compare2016-functionals, mel, mfcc, "
    "waveform, then others by name. "
    "Video: marlin-base, efficientface, faces, face_track, then others by name. "
    "The model is lightgbm on moments (mean, variance, kurtosis) unless one is named."
)


def fit(
    run: Annotated[
        list[str] | None,
        typer.Argument(help="With --fusion decision: finished runs to fuse.", metavar="RUN..."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="D", help="Repeat it to pool several."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="P", help="A split of the manifest."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="K folds by group instead of a protocol.")
    ] = None,
    test_dataset: Annotated[
        list[str] | None,
        typer.Option("--test-dataset", metavar="D", help="Tested alone; none of it trains."),
    ] = None,
    cross: Annotated[
        str,
        typer.Option(help="What the others give with --test-dataset: sides, whole or 2d3mf."),
    ] = "sides",
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="METHOD", help="A manipulation only the test has."),
    ] = None,
    audio: Annotated[
        list[str] | None, typer.Option(metavar="B", help="Audio column; repeat it to fuse several.")
    ] = None,
    video: Annotated[
        list[str] | None, typer.Option(metavar="B", help="Video column; repeat it to fuse several.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="M", help="lightgbm, td3mf, …; options as NAME:key=value,…."),
    ] = None,
    audio_model: Annotated[str | None, typer.Option(metavar="M", help="Model of audio.")] = None,
    video_model: Annotated[str | None, typer.Option(metavar="M", help="Model of video.")] = None,
    fusion: Annotated[str, typer.Option(help="none, feature or decision.")] = "none",
    rule: Annotated[
        str, typer.Option(help="Of decision fusion: mean, weighted, or, noisy-or, stack.")
    ] = "mean",
    target: Annotated[str, typer.Option(help="deepfake or emotion.")] = "deepfake",
    window_seconds: Annotated[int | None, typer.Option(help="Window; else the clip.")] = None,
    hop_seconds: Annotated[int | None, typer.Option(help="Step of the windows.")] = None,
    aggregate: Annotated[str, typer.Option(help="Of windows: mean or max.")] = "mean",
    window_labels: Annotated[
        str, typer.Option(help="Of windows in training: clip, or segments (what is fake there).")
    ] = "clip",
    validate: Annotated[
        bool, typer.Option("--validate", help="Hold a fold out for choosing between runs.")
    ] = False,
    balance: Annotated[
        str, typer.Option(help="Of classes: weights, repeat, sample or none.")
    ] = "weights",
    preset: Annotated[
        str, typer.Option(help="Settings of networks: paper, small, or another they have.")
    ] = "paper",
    epochs: Annotated[int | None, typer.Option(help="The most that a network trains.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="The longest that one network trains.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of networks: auto, cpu or cuda.")] = "auto",
    trials: Annotated[
        int | None, typer.Option(help="Settings tried on validation clips first; goes on.")
    ] = None,
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train on cached columns and score every clip, or fuse finished runs."""
    from classify.choice import FitOptions
    from classify.fit import fit as train
    from classify.watching import watched

    set_up_logging(verbose)
    words = {
        "fusion": fusion,
        "rule": rule,
        "target": target,
        "aggregate": aggregate,
        "window_labels": window_labels,
        "balance": balance,
        "device": device,
        "cross": cross,
    }
    _check_words(words)
    options = FitOptions(
        datasets=tuple(dataset or ()),
        test_datasets=tuple(test_dataset or ()),
        leave_out=tuple(leave_out or ()),
        protocol=protocol,
        folds=folds,
        audio=tuple(audio or ()),
        video=tuple(video or ()),
        model=model,
        audio_model=audio_model,
        video_model=video_model,
        window_seconds=window_seconds,
        hop_seconds=hop_seconds,
        validate=validate,
        preset=preset,
        epochs=epochs,
        minutes=minutes,
        trials=trials,
        seed=seed,
        runs=tuple(run or ()),
        **cast("dict[str, Any]", words),
    )
    with progress("fitting") as update, watched(partial(_show, update)):
        report = train(at := Home.at(home).writable(), options)
    emit_json(report) if json else _tell_fit(at, report)


def _show(update: Progress, news: Epoch | Trial) -> None:
    """How a training or a search goes, on the progress bar."""
    from classify.watching import Trial

    if isinstance(news, Trial):
        words = f"{news.member}: trials, best {_number(news.best)}"
    else:
        monitored = "" if news.monitored is None else f", validation {news.monitored:.3f}"
        words = f"{news.estimator}: epochs, loss {news.train_loss:.3f}{monitored}"
    update(news.number, news.most, words)


def _check_words(words: Mapping[str, str]) -> None:
    for option, word in words.items():
        if word not in CHOICES[option]:
            accepted = ", ".join(CHOICES[option])
            raise InputError(
                "no such choice",
                where=f"--{option.replace('_', '-')}",
                found=word,
                accepted=accepted,
            )


def _tell_fit(home: Home, report: FitReport) -> None:
    from avfd import runs
    from classify.keys import modality_of
    from classify.protocols.split import leak_mark

    took = ", ".join(f"{modality_of(key)} {column}" for key, column in report.columns.items())
    models = ", ".join(f"{member}: {model}" for member, model in report.models.items())
    clips = ", ".join(f"{side} {n}" for side, n in report.clips.items())
    say(f"took {took or 'runs'}; {models}; fusion {report.fusion}; clips: {clips}")
    for note in report.notes:
        say(f"note: {note}")
    leaking = runs.load(home, report.path).facts["protocol"]["leaking"]
    mark = leak_mark(report.leaky, leaking)
    leaky = f"  {mark}" if mark else ""
    for side, metrics in report.metrics.items():
        if side == "train" and len(report.metrics) > 1:
            continue  # how well a model knows its own clips is in metrics.json
        tell_metrics(metrics, f"{report.run}, {report.protocol}, {side}{leaky}")
    say(f"run: {report.path}")


def tell_metrics(report: Mapping[str, Any], title: str) -> None:
    """A table of metrics with their intervals, on covered clips and on all."""
    covered, every = report["covered"]["metrics"], report["all"]["metrics"]
    columns = [
        "metric",
        f"covered clips ({report['covered_clips']})",
        f"all clips ({report['clips']})",
    ]
    rows = [(name, interval(covered[name]), interval(every[name])) for name in covered]
    table(columns, rows, title=title)
    say(f"{title}: confusion matrix {report['classes']}: {report['all']['confusion']}")


def interval(metric: Mapping[str, Any]) -> str:
    """A metric's value with its interval, or why it has none."""
    if metric["value"] is None:
        return f"- ({metric['reason']})"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def evaluate(
    run: Annotated[str, typer.Argument(help="Name or folder of a run.", metavar="RUN")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="D", help="Another data set to score.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="S", help="train, val, test, unlabelled or all.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(metavar="P", help="Split of the other data set.")
    ] = None,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Metrics of a run on a side of its split, or scores of another data set's clips."""
    from classify.evaluate import evaluate as score

    set_up_logging(verbose)
    report = score(Home.at(home), run, dataset, split, protocol=protocol)
    emit_json(report) if json else _tell_evaluate(report)


def _tell_evaluate(report: EvaluateReport) -> None:
    for note in report.notes:
        say(f"note: {note}")
    say(f"{report.clips} clips scored, {report.labelled} of them labelled")
    if report.metrics is not None:
        tell_metrics(
            report.metrics, f"{report.run}, {report.dataset or 'own data'}, {report.split}"
        )
    if report.labelled < report.clips:
        _tell_unlabelled(report)
    say(f"scores: {report.scores_path}")


def _tell_unlabelled(report: EvaluateReport) -> None:
    """What the run says of the clips whose label nobody knows, the first of them."""
    import pandas as pd

    from classify.verdicts import unlabelled_verdicts

    verdicts = unlabelled_verdicts(pd.read_parquet(report.scores_path))
    rows = [(one.key, one.says, one.score) for one in verdicts[:MOST_LISTED]]
    table(["clip", "says", "score"], rows, title=f"{report.run}: clips without a label")
    if len(verdicts) > MOST_LISTED:
        say(f"and {len(verdicts) - MOST_LISTED} more in the table of scores")
    say("A score is a lead for a person who looks further, and no proof.")


def compare(
    run: Annotated[list[str], typer.Argument(help="Two runs or more.", metavar="RUN RUN...")],
    split: Annotated[
        str, typer.Option(metavar="S", help="train, val, test, unlabelled or all.")
    ] = "test",
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the clips that all runs scored.")
    ] = False,
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Paired differences between runs on the same clips, with intervals and p-values."""
    from classify.evaluate import compare_runs

    comparison = compare_runs(Home.at(home), run, split=split, common=common, seed=seed)
    emit_json(comparison) if json else _tell_compare(comparison)


def _tell_compare(comparison: Comparison) -> None:
    for note in comparison.notes:
        say(f"note: {note}")
    columns = ["first", "second", "metric", "test", "values", "difference", "p", "p (Holm)"]
    rows = [
        (
            row.first,
            row.second,
            row.metric,
            row.test,
            " ".join(_number(v) for v in (row.first_value, row.second_value)),
            f"{_number(row.difference)} [{_number(row.low)}, {_number(row.high)}]",
            row.p,
            row.p_adjusted,
        )
        for row in comparison.rows
    ]
    table(columns, rows, title=f"{comparison.clips} clips in {comparison.groups} groups")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
