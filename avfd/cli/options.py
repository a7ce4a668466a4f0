"""Options that several commands share, spelled once."""

from __future__ import annotations

from typing import Annotated

import typer

HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Where all that avfd writes goes: else $AVFD_HOME, else ./avfd-home.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="D", help="An indexed data set; left out where there is one only."
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Log every step on stderr.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed, same numbers.")]
