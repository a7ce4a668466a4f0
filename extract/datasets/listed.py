"""What the two data sets that list their clips as JSON records share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from avfd.clips import Clip
from avfd.errors import InputError
from extract.datasets import labels
from extract.datasets.base import Notes, Source
from extract.datasets.labels import Segments, malformed

SIDES = {"train": "train", "dev": "val", "val": "val", "test": "test"}
REPEATED = "records that say again what one before them said"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `list_path` names the JSON file for error messages, any field may lack."""

    list_path: Path
    file: str
    original: str | None
    fields: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The list and the record in it."""
        return f"{self.list_path}: {self.file}"

    def segments(self, name: str) -> Segments | None:
        """Fake segments in seconds; None where the record does not state them."""
        stated = self.fields.get(name)
        return None if stated is None else labels.stretches(stated, name, self.where)


def records(source: Source, path: str) -> Iterator[Record]:
    """The records of a JSON file, each an object that names its file."""
    where = source.root / path
    content = source.json(path)
    for stated in content if isinstance(content, list) else [content]:
        if not isinstance(stated, dict) or not _names_files(stated):
            accepted = 'objects with a text "file" and, where there is one, a text "original"'
            raise malformed("not a record of a clip", where, stated, accepted)
        yield Record(where, stated["file"], stated.get("original") or None, stated)


def _names_files(stated: Mapping[str, Any]) -> bool:
    return isinstance(stated.get("file"), str) and isinstance(stated.get("original"), str | None)


@dataclass(frozen=True)
class Listed:
    """The clips of the records so far: one a file, whatever repeats it."""

    notes: Notes
    clips: dict[str, Clip] = field(default_factory=dict)

    def is_new(self, clip: Clip, record: Record) -> bool:
        """Whether the file is met for the first time; an equal repeat is counted.

        Raises:
            InputError: another record says something else of the file.
        """
        first = self.clips.setdefault(clip.key, clip)
        if first is clip:
            return True
        if first != clip:
            raise InputError(
                "two records of one file contradict each other",
                where=record.where,
                found=_differences(first, clip),
                next_step="leave one of them in the list",
            )
        self.notes.count(REPEATED, record.file)
        return False


def _differences(first: Clip, other: Clip) -> str:
    pairs = ((f.name, getattr(first, f.name), getattr(other, f.name)) for f in fields(Clip))
    return "; ".join(f"{name} {one} and {two}" for name, one, two in pairs if one != two)
