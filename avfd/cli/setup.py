"""`avfd weights` and `avfd doctor`: what is here, what is missing, what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avfd.cli.options import HomeOption, JsonOption
from avfd.cli.output import emit_json, say, size, table
from avfd.errors import AvfdError, InputError, MissingError
from avfd.home import Home

if TYPE_CHECKING:
    from avfd.doctor import Section, WeightsState
    from extract.weights import Weights

weights = typer.Typer(help="Model files: what is needed, where it is.", no_args_is_help=True)


@weights.command("ls")
def weights_ls(
    every: Annotated[
        bool, typer.Option("--all", help="Those of the small presets for tests, too.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List every model file: licence, size, sha256, who needs it, where it was found."""
    from extract.backbones import load_all
    from extract.weights import TABLE

    load_all()
    rows = [_weights_row(n, Home.at(home)) for n in TABLE if every or not TABLE[n].for_tests]
    if json:
        emit_json(rows)
        return
    columns = ["name", "licence", "size", "sha256", "needed by", "found", "source"]
    table(columns, [_weights_cells(row) for row in rows])
    for row in rows:
        if row["found"] is None and "problem" in row:
            say(f"{row['name']} is not accepted: {row['problem']}")
        elif row["found"] is None:
            say(f"{row['name']} is missing: {row['next']}")


def _weights_cells(row: dict[str, Any]) -> list[object]:
    digests = ", ".join(digest[:12] for digest in row["sha256"]) or "not published"
    if row["found"]:
        digests = f"{row['found_sha256'][:12]} ({_facts(row['name']).said_of(row['origin'])})"
    found = row["found"] or ("not accepted" if "problem" in row else "missing")
    facts = [row["name"], row["licence"], size(row["bytes"]), digests]
    return [*facts, ", ".join(row["needed_by"]), found, row["source"]]


def _facts(name: str) -> Weights:
    """Of a model file, those of plugins too."""
    from extract import weights as files
    from extract.backbones import load_all

    load_all()
    return files.facts(name)


def _weights_row(name: str, home: Home) -> dict[str, Any]:
    from extract import weights as files

    facts = files.facts(name)
    row = {
        "name": name,
        "licence": facts.licence,
        "bytes": facts.size_bytes,
        "sha256": list(facts.sha256),
        "needed_by": list(facts.needed_by),
        "source": facts.source,
    }
    try:
        found = files.found_and_checked(name, home)
    except MissingError:
        return {**row, "found": None, "next": facts.next_step}
    except InputError as error:
        problem = {"problem": str(error), "details": error.details}
        return {**row, "found": None, **problem, "next": error.next_step or facts.next_step}
    return {
        **row,
        "found": str(found.path),
        "found_sha256": found.sha256,
        "origin": found.origin,
    }


@weights.command("pull")
def weights_pull(
    name: Annotated[str, typer.Argument(help="Name in `avfd weights ls`.", metavar="NAME")],
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch a model file; the only command that opens a connection."""
    from extract.weights import pull

    _facts(name)
    found = pull(name, Home.at(home).writable())
    fetched = found.made_from_sha256
    if json:
        stored = {"path": found.path, "sha256": found.sha256, "origin": found.origin}
        emit_json({"name": name, **stored, "fetched_sha256": fetched})
        return
    say(f"{name}: {found.path} (sha256 {found.sha256}, {_facts(name).said_of(found.origin)})")
    if fetched is None:
        say("of the file that it was made from nothing is known")
    elif fetched != found.sha256:
        say(f"made from the file of sha256 {fetched}")


@weights.command("add")
def weights_add(
    file: Annotated[
        str, typer.Argument(help="The file, as published or as a run wrote it.", metavar="FILE")
    ],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="See `avfd weights ls`.")],
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Take a checkpoint in: check every tensor, convert it to safetensors, run nothing in it."""
    from pathlib import Path

    from extract.weights import add

    _facts(name)
    found = add(Path(file), name, Home.at(home).writable())
    if json:
        stored = {"path": found.path, "sha256": found.sha256, "origin": found.origin}
        emit_json({"name": name, **stored, "replaced_sha256": found.replaced_sha256})
        return
    if found.replaced_sha256:
        say(f"replaced the file that was there (sha256 {found.replaced_sha256})")
    say(f"{name}: {found.path} (sha256 {found.sha256}, {_facts(name).said_of(found.origin)})")


def doctor(home: HomeOption = None, json: JsonOption = False) -> None:
    """Say what is installed, found and missing here, and what to do about each gap."""
    from avfd.doctor import diagnose
    from extract.weights import TABLE

    place = Home.at(home)
    broken = _broken_plugin()
    known = [name for name in TABLE if not TABLE[name].for_tests]
    report = diagnose(place, [_weights_state(name, place) for name in known])
    if broken is not None:
        report = replace(report, sections=(*report.sections, broken))
    if json:
        emit_json({"sections": report.sections, "gaps": report.gaps})
        return
    rows = [(s.title, f.name, f.state, f.detail) for s in report.sections for f in s.findings]
    table(["section", "what", "state", "found"], rows)
    for gap in report.gaps:
        say(f"{gap.state}: {gap.name}: {gap.next_step or gap.detail}")


def _broken_plugin() -> Section | None:
    """What keeps a backbone of another package from loading; the others may be there."""
    from avfd.doctor import Finding, Section
    from extract.backbones import load_all

    try:
        load_all()
    except AvfdError as error:
        finding = Finding(str(error.where), "missing", str(error.found), error.next_step or "")
        return Section("backbones", (finding,))
    return None


def _weights_state(name: str, home: Home) -> WeightsState:
    from avfd.doctor import WeightsState
    from extract import weights as files

    facts = files.facts(name)
    known = (name, facts.file_name, facts.licence, facts.needed_by, facts.next_step)
    try:
        return WeightsState(*known, path=files.found_and_checked(name, home).path)
    except MissingError:
        return WeightsState(*known)
    except InputError as error:
        return WeightsState(*known, problem=str(error))
