"""Numbers that an option may have; beyond them something was mistyped."""

from __future__ import annotations

from collections.abc import Mapping

from avfd.errors import InputError

MAX_DIM = 4096
"""Numbers in a vector of a network trained here."""
MAX_WINDOW_ROWS = 360_000
"""Rows of a window: an hour at 100 a second."""

Range = tuple[float, float]


def check_ranges(name: str, options: object, ranges: Mapping[str, Range]) -> None:
    """Refuse options that are out of range; None is as the default has it.

    Args:
        name: of the backbone, for the error.
        options: has the options as attributes.
        ranges: option → least and greatest value.
    """
    for option, (low, high) in ranges.items():
        value = getattr(options, option)
        if value is not None and not low <= value <= high:
            raise InputError(
                "out of range",
                where=f"{name}:{option}",
                found=value,
                accepted=f"{low:,} to {high:,}",
            )
