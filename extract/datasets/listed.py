"""What the two data sets that list their clips as JSON records share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avfd.errors import InputError
from extract.datasets.base import Source

Record = Mapping[str, Any]
Segments = tuple[tuple[float, float], ...]
SIDES = {"train": "train", "dev": "val", "val": "val", "test": "test"}


def records(source: Source, path: str) -> list[Record]:
    """The records of a JSON file, each an object that names its file; other fields may lack."""
    content = source.json(path)
    found = content if isinstance(content, list) else [content]
    for record in found:
        if not isinstance(record, dict) or not _names_files(record):
            raise InputError(
                "not a record of a clip",
                where=source.root / path,
                found=str(record)[:80],
                accepted='objects with a text "file" and, where there is one, a text "original"',
            )
    return found


def _names_files(record: Record) -> bool:
    return isinstance(record.get("file"), str) and isinstance(record.get("original"), str | None)


def segments(record: Record, field: str) -> Segments | None:
    """Fake segments in seconds; None where the record does not state them."""
    stated = record.get(field)
    if stated is None:
        return None
    try:
        return tuple((float(start), float(end)) for start, end in stated)
    except (TypeError, ValueError):
        raise InputError(
            f"{field} is not a list of pairs", where=record["file"], found=str(stated)[:80]
        ) from None
