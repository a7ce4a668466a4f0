"""`avfd cache`: look at, verify, clean and export what was extracted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avfd.cli.options import DatasetOption, HomeOption, JsonOption
from avfd.cli.output import emit_json, say, size, table
from avfd.errors import AvfdError, InputError, MissingError
from avfd.home import Home
from avfd.specs import STATUS_NAMES

if TYPE_CHECKING:
    from avfd.cache import Cache, Dropped, GcReport, Reader

app = typer.Typer(
    help="Look at, verify, clean and export what was extracted.", no_args_is_help=True
)


def open_cache(home: Home, dataset: str | None) -> tuple[str, Cache]:
    """The data set's name, settled, and its cache."""
    from avfd.cache import Cache

    name = home.one_dataset(dataset)
    return name, Cache.open(home.cache_url(name), dataset=name, lock_path=home.lock_path(name))


@app.command("ls")
def ls(dataset: DatasetOption = None, home: HomeOption = None, json: JsonOption = False) -> None:
    """List the columns of one data set, or of all: clips by status."""
    place = Home.at(home)
    names = [place.one_dataset(dataset)] if dataset else place.datasets()
    if not names:
        place.one_dataset(None)
    rows = [
        row
        for name in names
        for row in _columns(name, open_cache(place, name)[1].snapshot(), _listed(place, name))
    ]
    if json:
        emit_json(rows)
        return
    for name in sorted(set(names) - {row["dataset"] for row in rows}):
        say(f"{name}: no column yet; run `avfd extract --dataset {name} --backbone NAME`")
    fields = ["dataset", "column", "rate", "shape", "dtype", *STATUS_NAMES.values()]
    if any(row["gone"] for row in rows):
        fields.append("gone")
    if rows:
        table(fields, [[row[field] for field in fields] for row in rows])


def _columns(dataset: str, reader: Reader, listed: Collection[str]) -> list[dict[str, Any]]:
    return [_column(dataset, reader, name, listed) for name in reader.columns]


def _column(dataset: str, reader: Reader, name: str, listed: Collection[str]) -> dict[str, Any]:
    """Facts of a column; `gone` counts clips that a later index did not find any more."""
    column = reader.column(name)
    keys = [key for key in reader.keys if key in listed]
    counts = Counter(column.statuses(keys).tolist())
    return {
        "dataset": dataset,
        "column": name,
        "rate": "clip" if column.clip_level else column.rate_hz,
        "shape": "×".join(map(str, column.shape)) or "1",
        "dtype": str(column.dtype),
        "fingerprint": column.fingerprint,
        **{word: counts[status] for status, word in STATUS_NAMES.items()},
        "gone": len(reader.keys) - len(keys),
    }


@app.command("show")
def show(
    column: Annotated[str, typer.Argument(help="Column to look at.", metavar="COLUMN")],
    dataset: DatasetOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show one column: its facts, and the reason of every clip that has no data."""
    place = Home.at(home)
    name, cache = open_cache(place, dataset)
    reader, listed = cache.snapshot(), _listed(place, name)
    facts = {**_column(name, reader, column, listed), "facts": reader.column(column).spec_facts}
    facts["snapshot"] = reader.snapshot_id
    facts["reasons"] = _reasons(reader, column, listed)
    if json:
        emit_json(facts)
        return
    reasons = facts.pop("reasons")
    table(
        ["what", "value"],
        _flat({**facts.pop("facts"), **facts}),
    )
    if reasons:
        table(["clip", "status", "reason"], [tuple(r.values()) for r in reasons])


def _flat(facts: Mapping[str, Any], before: str = "") -> list[tuple[str, object]]:
    """Nested facts as lines: `spec.audio.sample_rate_hz` and its value."""
    lines: list[tuple[str, object]] = []
    for name, value in facts.items():
        nested = isinstance(value, dict)
        lines += _flat(value, f"{before}{name}.") if nested else [(before + name, value)]
    return lines


def _reasons(reader: Reader, name: str, listed: Collection[str]) -> list[dict[str, str]]:
    column = reader.column(name)
    keys = [key for key in reader.keys if key in listed]
    rows = zip(keys, column.statuses(keys), column.reasons(keys), strict=True)
    return [
        {"clip": key, "status": STATUS_NAMES[int(status)], "reason": reason}
        for key, status, reason in rows
        if reason
    ]


@app.command("verify")
def verify(
    dataset: DatasetOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set the clips of bad chunks pending again.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Read every chunk and name the clips of each that is missing or damaged."""
    name, cache = open_cache(Home.at(home), dataset)
    bad = cache.verify(repair=repair)
    if json:
        emit_json({"dataset": name, "repaired": repair, "bad": bad})
    else:
        table(
            ["array", "chunk", "clips"], [(b.path, b.chunk, ", ".join(b.keys)) for b in bad]
        ) if bad else say(f"{name}: every chunk is sound")
    if not bad:
        return
    index = f"`avfd index {name}`, then " if any(not b.column for b in bad) else ""
    say(f"run {'' if repair else '`avfd cache verify --repair`, then '}{index}`avfd extract`")
    if not repair:
        raise typer.Exit(2)


@app.command("gc")
def gc(
    dataset: DatasetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and what tags hold.")
    ] = False,
    untag: Annotated[
        list[str] | None,
        typer.Option("--untag", metavar="TAG", help="Give up a tag, of a deleted run; repeat it."),
    ] = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Delete what no run, no open reader and not the last commit needs."""
    place = Home.at(home)
    _, cache = open_cache(place, dataset)
    if untag and dry_run:
        raise InputError("a dry run gives no tag up", where="--untag", found=", ".join(untag))
    runs_by_tag = _runs_by_tag(place)
    for tag in untag or ():
        if tag in runs_by_tag:
            raise InputError(
                "a run needs what the tag holds",
                where=tag,
                found=runs_by_tag[tag],
                next_step="delete the run's folder first, if it is to go",
            )
    cache.untag(*untag or ())
    report = cache.gc(dry_run=dry_run)
    holders = {tag: run for tag, run in runs_by_tag.items() if tag in report.tags}
    if json:
        emit_json({**asdict(report), "runs": {tag: holders.get(tag) for tag in report.tags}})
    else:
        _tell_gc(report, holders)


def _runs_by_tag(home: Home) -> dict[str, str]:
    """Tag → the run of this home that holds it; one that cannot be read holds none."""
    from avfd import runs

    held: dict[str, str] = {}
    for name in runs.names(home):
        with suppress(AvfdError, ValueError):
            held[str(runs.load(home, name).facts.get("tag"))] = name
    return held


def _tell_gc(report: GcReport, holders: Mapping[str, str]) -> None:
    freed = "an unknown amount" if report.bytes_freed is None else size(report.bytes_freed)
    verb = "would be freed" if report.dry_run else "freed"
    say(
        f"{freed} {verb}: {report.snapshots_expired} old snapshots, "
        f"{report.retired_clips} retired clips"
    )
    if report.tags:
        held = [
            (tag, holders.get(tag, "none in this home"), None if b is None else size(b))
            for tag, b in report.tags.items()
        ]
        table(["tag", "run", "bytes that only it holds"], held)
    if report.tags.keys() - holders.keys():
        say("if no other home holds those runs: `avfd cache gc --untag TAG`")


@app.command("drop")
def drop(
    columns: Annotated[
        list[str] | None,
        typer.Argument(help="Columns to remove, or to take clips out of.", metavar="COLUMN..."),
    ] = None,
    clips: Annotated[
        Path | None,
        typer.Option(
            "--clips",
            metavar="FILE",
            help="Take only these clips out (keys, one a line), of all columns if none is named.",
        ),
    ] = None,
    dataset: DatasetOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Remove columns, or single clips out of columns; `avfd cache gc` then frees them."""
    place = Home.at(home)
    name, cache = open_cache(place, dataset)
    if clips is not None:
        keys = _keys(clips)
        dropped = cache.drop_clips(keys, columns or ())
    elif columns:
        keys, dropped = [], cache.drop(columns)
    else:
        raise InputError(
            "nothing is named that should go",
            where="avfd cache drop",
            accepted="columns, or --clips FILE",
            next_step="`avfd cache ls` lists the columns",
        )
    tags, listed = sorted(cache.tags()), sorted(set(keys) & _listed(place, name))
    if json:
        emit_json({"dataset": name, "dropped": dropped, "tags": tags, "still_listed": listed})
    else:
        _tell_drop(dropped, tags, listed)


def _keys(path: Path) -> list[str]:
    """Clip keys of a text file, a key a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the list of clips cannot be read",
            where=path,
            found=getattr(error, "strerror", None) or "no text in UTF-8",
            accepted="a text file with a clip key a line",
        ) from error
    if not (keys := [line.strip() for line in lines if line.strip()]):
        raise InputError("the list of clips is empty", where=path, accepted="a clip key a line")
    return keys


def _tell_drop(dropped: Sequence[Dropped], tags: Sequence[str], listed: Sequence[str]) -> None:
    for each in dropped:
        held = "" if each.bytes is None else f", {size(each.bytes)}"
        verb = "taken out of" if each.bytes is None else "dropped"
        say(f"{verb} {each.column}: {each.clips} clips that were done{held}")
    say("run `avfd cache gc` to free what nothing holds")
    if tags:
        say(
            f"held as it was for runs that used it: {', '.join(tags)}; "
            "gc frees that once the run is deleted and its tag given up (--untag)"
        )
    if listed:
        say(
            f"{len(listed)} of these clips are still in the clip table, so the next extract reads "
            "them again: take their files away, then run `avfd index`"
        )


@app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="New file or folder.")],
    format: Annotated[str, typer.Option("--format", help="zarr, h5 or parquet.")] = "zarr",
    backbone: Annotated[
        list[str] | None, typer.Option("--backbone", help="A column; repeat it (default: all).")
    ] = None,
    dataset: DatasetOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Write columns as plain Zarr, HDF5 or Parquet, readable without avfd."""
    from avfd.cache.export import export as write

    place = Home.at(home)
    name, cache = open_cache(place, dataset)
    reader = cache.snapshot()
    columns = list(dict.fromkeys(backbone or reader.columns))
    if not columns:
        raise MissingError(
            "no column to export",
            where=name,
            next_step=f"run `avfd extract --dataset {name} --backbone NAME`",
        )
    listed = _listed(place, name)
    gone = sum(key not in listed for key in reader.keys)
    write(reader, columns, format, out, listed)
    if json:
        emit_json({"out": out, "format": format, "columns": columns, "gone": gone})
        return
    say(f"wrote {', '.join(columns)} to {out}")
    if gone:
        say(f"left out: {gone} clips that the last index did not find any more")


def _listed(home: Home, dataset: str) -> set[str]:
    """Keys of the clip table; the cache may have more, of clips that are gone."""
    from avfd.clips import read_table

    return {clip.key for clip in read_table(home.clip_table(dataset))}
