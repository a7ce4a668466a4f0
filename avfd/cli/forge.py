"""`avfd forge`: fakes with exact truth, made from a data set's real clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from avfd.cli.options import DatasetOption, HomeOption, JsonOption, SeedOption
from avfd.cli.output import emit_json, progress, say, table
from avfd.errors import InputError
from avfd.home import Home

EXTENTS = ("whole", "local", "both")
SHOWN = 20


def forge(
    into: Annotated[
        str,
        typer.Option(
            "--into",
            metavar="DIR",
            help="Folder for the files: new, empty, or begun by the same command.",
        ),
    ],
    dataset: DatasetOption = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="audio-swap, video-swap, both-swap, vocoder, face-blend, "
            "offset; repeat it for several (default: all).",
        ),
    ] = None,
    extent: Annotated[
        str,
        typer.Option(help="whole, local (a part of the clip) or both; both-swap is always local."),
    ] = "both",
    vocoder: Annotated[
        str,
        typer.Option(
            help="Of the kind vocoder: griffin-lim, griffin-lim-blurred, world, or a plugin's."
        ),
    ] = "griffin-lim",
    longest: Annotated[
        float, typer.Option(help="Seconds of a clip to use at most, 2 or more.")
    ] = 10.0,
    limit: Annotated[int | None, typer.Option(help="Take at most so many real clips.")] = None,
    variants: Annotated[
        int, typer.Option(help="Of every clip and kind, with other donors and segments.")
    ] = 1,
    workers: Annotated[
        int | None, typer.Option(help="Processes, 1 or more (default: cores).")
    ] = None,
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Make fakes of a data set's real clips, each with a real twin of the same joins and codec."""
    from extract.forge import ForgeOptions
    from extract.forge import forge as make
    from extract.media.decoding import decode_threads

    if extent not in EXTENTS:
        raise InputError(
            "not a known word", where="--extent", found=extent, accepted=", ".join(EXTENTS)
        )
    told = ForgeOptions(
        kinds=tuple(dict.fromkeys(kind or ())),
        extent=cast("Literal['whole', 'local', 'both']", extent),
        vocoder=vocoder,
        longest_seconds=longest,
        limit=limit,
        variants=variants,
        seed=seed,
    )
    if extent == "whole" and told.kinds == ("both-swap",):
        say("both-swap is always a part of the clip: --extent whole changes nothing")
    decode_threads()  # refused once here, not clip by clip
    with progress("forging") as update:
        report = make(Home.at(home), dataset, Path(into), told, update, workers)
    if json:
        emit_json(report)
        return
    for what, why in list(report.skipped.items())[:SHOWN]:
        say(f"skipped: {what}: {why}")
    if len(report.skipped) > SHOWN:
        say(f"and {len(report.skipped) - SHOWN} more skipped: --json lists all")
    table(["kind", "fakes"], list(report.kinds.items()))
    say(f"{report.fakes} fakes and {report.reals} real twins, {len(report.skipped)} skipped")
    say(f"next: avfd index NAME --root {into} --table {report.table}")
