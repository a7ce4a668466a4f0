"""`avfd index` and `avfd extract`: media → clip table → cache."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from avfd.cli.options import DatasetOption, HomeOption, JsonOption, VerboseOption
from avfd.cli.output import announced, emit_json, progress, say, set_up_logging, size, table
from avfd.errors import InputError, StoreError
from avfd.home import Home

if TYPE_CHECKING:
    from extract.batching import Work
    from extract.index import IndexReport
    from extract.run import ExtractReport

log = logging.getLogger(__name__)

SHOWN_FAILURES = 20
SHOWN_NOTES = 5
WORTH_FREEING_BYTES = 1 << 20


def index(
    dataset: Annotated[
        str,
        typer.Argument(help="Name of the data set: a layout or your own.", metavar="DATASET"),
    ],
    root: Annotated[str, typer.Option("--root", metavar="DIR", help="Folder of its media.")],
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout", help="How the folder is laid out (default: DATASET if known, else folder)."
        ),
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--table", metavar="CSV", help="Take clips from a CSV instead.")
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(help="CSV column of paths below --root (default: path).")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="CSV column of labels.")] = None,
    subject_column: Annotated[str | None, typer.Option(help="CSV column of people.")] = None,
    audio_root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the sound lies, if apart (FF++).")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Protocol that fit takes if none is named.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the layout, see docs/datasets.md."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes (default: cores).")] = None,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Find the clips of a data set, scan their media and write the clip table."""
    from extract.index import index_dataset

    set_up_logging(verbose)
    with progress("indexing") as update:
        report = index_dataset(
            Home.at(home).writable(),
            dataset,
            root,
            layout=layout,
            table=csv,
            path_column=path_column,
            label_column=label_column,
            subject_column=subject_column,
            audio_root=audio_root,
            protocol=protocol,
            options=dict(_option(words) for words in option or ()),
            workers=workers,
            progress=update,
        )
    if json:
        emit_json(report)
        return
    _tell_index(report)


def _option(words: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    if not (name and equals):
        raise InputError("not an option", where="--option", found=words, accepted="NAME=VALUE")
    return name, value


def _tell_index(report: IndexReport) -> None:
    for note in report.notes:
        say(f"note: {note}")
    for key, why in list(report.problems.items())[:SHOWN_FAILURES]:
        say(f"cannot be read: {key}: {why}")
    say(
        f"{report.clips} clips in {report.groups} groups, {report.hours:.2f} hours; "
        f"{report.added} new, {report.changed} changed, {report.kept} as before, "
        f"{report.unlisted} no longer found; layout {report.layout}, protocol {report.protocol}"
    )
    counts = {"label": report.labels, "method": report.methods, "emotion": report.emotions}
    rows = [(kind, name, n) for kind, these in counts.items() for name, n in these.items()]
    table(["kind", "name", "clips"], rows)


def extract(
    backbone: Annotated[
        list[str],
        typer.Option(
            "--backbone",
            metavar="B[:KEY=VALUE,…]",
            help="A column to fill, with options; repeat it for several.",
        ),
    ],
    dataset: DatasetOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda (all GPUs) or cuda:N.")] = "auto",
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile networks first: minutes once, then each clip is faster."
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes (default: cores).")] = None,
    limit: Annotated[int | None, typer.Option(help="Take at most so many clips now.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Take clips that failed before, too.")
    ] = False,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="Only the K-th of N shares of the clips.")
    ] = None,
    as_name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Column name, if B's is taken.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights", metavar="[NAME=]PATH", help="A model file, or the run that trained it."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a clip stands as failed.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Turn every pending clip into numbers, once; several backbones share one decode."""
    from extract.media.decoding import decode_threads
    from extract.run import extract_columns

    set_up_logging(verbose)
    decode_threads()  # said once here, not as every clip's failure
    at = Home.at(home).writable()
    with progress("extracting") as update:
        report = extract_columns(
            at,
            dataset,
            backbone,
            device=device,
            compiled=compiled,
            workers=workers,
            limit=limit,
            retry_failed=retry_failed,
            part=part,
            as_name=as_name,
            weights=weights or (),
            progress=announced(update),
        )
    emit_json(report) if json else _tell_extract(report)
    if report.clips and not json:
        _tell_replaced(at, report.dataset)
    if strict and report.failures:
        raise typer.Exit(3)


def _tell_replaced(home: Home, dataset: str) -> None:
    """How much `avfd cache gc` would free; nothing where that is not known at once."""
    from avfd.cli.cache import open_cache

    try:
        replaced = open_cache(home, dataset)[1].replaced_bytes() or 0
    except StoreError as error:
        log.debug("what a collection would free is not known: %s", error)
        return
    if replaced >= WORTH_FREEING_BYTES:
        say(f"`avfd cache gc` would free {size(replaced)} that commits have replaced")


def _tell_extract(report: ExtractReport) -> None:
    for failure in report.failures[:SHOWN_FAILURES]:
        say(f"failed: {failure.key} [{failure.column}]: {failure.reason}")
    if len(report.failures) > SHOWN_FAILURES:
        say(f"… {len(report.failures)} failures in all: `avfd cache show COLUMN` lists them")
    _tell_losses(report)
    cpu = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in report.cpu_seconds.items())
    say(
        f"{report.clips} clips, {report.media_seconds:.0f} s of media in "
        f"{report.wall_seconds:.1f} s; CPU: {cpu or 'none'}"
    )
    for number, work in enumerate(report.devices, 1):
        say(f"device {number} of {len(report.devices)}: {_device(work)}")
    columns = ["column", "done", "absent", "failed", "pending"]
    rows = [(n, c.done, c.absent, c.failed, c.pending) for n, c in report.columns.items()]
    table(columns, rows, title=f"{report.dataset}: clips")


def _tell_losses(report: ExtractReport) -> None:
    """What was lost on the way of clips that are done all the same."""
    for note in report.notes[:SHOWN_NOTES]:
        say(f"note: {note.key}: {note.text}")
    if clips := len({note.key for note in report.notes}):
        say(f"{clips} clips were read with losses: --json lists them all")
    if report.cut:
        say(f"{report.cut} vectors lay beyond the end that the index found, and were left out")
    if report.skipped:
        say(f"{report.skipped} results were dropped: another run had stored them first")


def _device(work: Work) -> str:
    """What a device did, in one line."""
    did = f"{work.windows:,} windows in {work.batches:,} batches, {work.halvings} halved"
    seconds = work.busy_seconds + work.waiting_seconds
    if not seconds:
        return f"{did}; never used"
    busy = round(100 * work.busy_seconds / seconds)
    return f"{did}; busy {busy} % of {seconds:.1f} s, waiting {100 - busy} %"
