"""`avfd demo`: the whole road, from media that it makes to verdicts on people it never saw."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avfd.cli.models import interval
from avfd.cli.options import HomeOption, JsonOption, SeedOption
from avfd.cli.output import Progress, emit_json, progress, say, table
from avfd.home import Home

if TYPE_CHECKING:
    from classify.fit import FitReport

DATASET = "demo"
AUDIO, VIDEO = "compare2016", "faces"
BACKBONES = (AUDIO, "face_track", VIDEO)
FOLDS = 4
FITS: dict[str, dict[str, Any]] = {
    "voice alone": {"audio": AUDIO},
    "face alone": {"video": VIDEO},
    "feature fusion": {"audio": AUDIO, "video": VIDEO, "fusion": "feature"},
    "decision fusion": {"audio": AUDIO, "video": VIDEO, "fusion": "decision"},
}
SHOWN = ("auc", "equal_error_rate", "balanced_accuracy")


def demo(
    clips: Annotated[int, typer.Option(help="How many clips to make, four a person.")] = 48,
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Make a small corpus, index, extract, fit and evaluate; proves the road, not accuracy."""
    from extract.index import index_dataset
    from extract.run import extract_columns
    from extract.weights import find

    place = Home.at(home)
    find("blazeface", place)  # what is missing is said now, not after minutes of work
    folder = place.path / "demo-corpus"
    with _step("making the corpus") as update:
        corpus = _corpus(folder, clips, seed, update)
    with _step("indexing") as update:
        index_dataset(
            place,
            DATASET,
            folder,
            table=corpus,
            label_column="label",
            subject_column="subject",
            progress=update,
        )
    with _step("extracting") as update:
        extracted = extract_columns(place, DATASET, BACKBONES, progress=update)
    with _step("fitting") as update:
        reports = _fits(place, seed, update)
    if json:
        emit_json({"extract": extracted, "fits": reports})
        return
    _tell(reports, [failure.reason for failure in extracted.failures])


@contextmanager
def _step(words: str) -> Iterator[Progress]:
    start = time.monotonic()
    with progress(words) as update:
        yield update
    say(f"{words}: {time.monotonic() - start:.0f} s")


def _corpus(folder: Path, clips: int, seed: int, update: Progress) -> Path:
    """The corpus of an earlier demo with the same numbers, or a new one."""
    from avfd.demo import make_corpus

    made = folder / f"made-{clips}-{seed}"
    if not made.exists():
        make_corpus(folder, clips, seed, update)
        made.touch()
    return folder / "clips.csv"


def _fits(home: Home, seed: int, update: Progress) -> dict[str, FitReport]:
    from classify.choice import FitOptions
    from classify.fit import fit

    reports = {}
    for done, (name, columns) in enumerate(FITS.items()):
        update(done, len(FITS), name)
        options = FitOptions(datasets=(DATASET,), folds=FOLDS, seed=seed, **columns)
        reports[name] = fit(home, options)
    return reports


def _tell(reports: dict[str, FitReport], failures: list[str]) -> None:
    for reason in failures:
        say(f"failed: {reason}")
    rows = []
    for name, report in reports.items():
        metrics = report.metrics["test"]["all"]["metrics"]
        rows.append((name, *(interval(metrics[metric]) for metric in SHOWN)))
    title = f"{FOLDS} folds, every clip scored by models that never saw its people"
    table(["model", "AUC [95 %]", "EER", "balanced accuracy"], rows, title=title)
    say("The corpus proves the road, not accuracy: one photograph, simple fakes.")
    for name, report in reports.items():
        say(f"run of {name}: {report.path}")
