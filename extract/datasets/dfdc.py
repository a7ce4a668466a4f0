"""DFDC: train parts, each with its `metadata.json`, the sample set, and label lists of test sets.

People are not named: a fake's group is its original, by its file's name, which is the same in
every folder of the data set: the sample set repeats files of the train parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from avfd.clips import FAKE, REAL, Clip, check_inside
from extract.datasets.base import MISSING, Notes, Source, reader
from extract.datasets.files import beside, file_name, nfc, suffix
from extract.datasets.labels import malformed, read_rows

_PART = re.compile(r"dfdc_train_part_0*(\d+)", re.IGNORECASE)
_LABELS = {"fake": FAKE, "real": REAL, "1": FAKE, "0": REAL, "true": FAKE, "false": REAL}
_SAMPLES = {"train_sample_videos": "sample", "test_videos": "sample-test"}


@dataclass(frozen=True)
class Entry:
    """What a label file says of one file."""

    label: str | None
    original: str | None = None


@reader("dfdc")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a media file; its label from the label file in its own folder."""
    listed = {path: entry for folder in _label_files(source) for path, entry in folder}
    for path in listed:
        if source.files.find(path) is None:
            notes.count(MISSING, path)
    for path in source.files.media():
        entry = listed.get(nfc(path))
        if entry is None or entry.label is None:
            clip = source.unlabelled(path, notes)
        else:
            clip = source.clip(path, label=entry.label)
        original = entry.original if entry else None
        yield replace(clip, source=file_name(nfc(original or path)), extra=_extra(path))


def _extra(path: str) -> dict[str, str]:
    part = part_of(path)
    return {"part": part} if part else {}


def part_of(path: str) -> str | None:
    """The part that a path lies in; of nested folders the innermost says.

    >>> part_of("dfdc_train_part_05/dfdc_train_part_5/a.mp4"), part_of("test_videos/a.mp4")
    ('5', 'sample-test')
    """
    for folder in reversed(path.split("/")[:-1]):
        match = _PART.fullmatch(folder)
        if match or folder in _SAMPLES:
            return match[1] if match else _SAMPLES[folder]
    return None


def _label_files(source: Source) -> Iterator[list[tuple[str, Entry]]]:
    for path in source.files.paths:
        name = file_name(path)
        if name == "metadata.json":
            yield _from_metadata(source, path)
        elif name == "labels.csv":
            yield _from_csv(source, path)


def _from_metadata(source: Source, path: str) -> list[tuple[str, Entry]]:
    where = source.root / path
    entries = source.json(path)
    if not isinstance(entries, dict):
        raise malformed("not a DFDC label file", where, entries, "an object keyed by file name")
    return [
        (_beside(path, where, name), _entry(where, name, facts)) for name, facts in entries.items()
    ]


def _entry(where: Path, name: str, facts: object) -> Entry:
    """One file's facts; `is_fake` is how the public test set is said to spell the label."""
    if not isinstance(facts, dict):
        raise malformed(f"{name} has not a DFDC label", where, facts, '{"label": "REAL", …}')
    original = facts.get("original")
    if not isinstance(original, str | None):
        raise malformed(f"the original of {name} is no file name", where, original, "a text")
    return Entry(_label(where, facts.get("label", facts.get("is_fake"))), original or None)


def _from_csv(source: Source, path: str) -> list[tuple[str, Entry]]:
    header, rows = read_rows(source.root / path)
    if not {"filename", "label"} <= set(header):
        raise malformed(
            "not a DFDC label file",
            source.root / path,
            ", ".join(header),
            "the columns filename and label",
        )
    return [
        (_beside(path, where, row["filename"]), Entry(_label(where, row["label"])))
        for where, row in rows
    ]


def _beside(path: str, where: str | Path, name: str) -> str:
    """A file named in a label file, which lies in the same folder."""
    if not suffix(name):
        raise malformed("not a file name", where, name, "a name with its suffix, such as a.mp4")
    listed = beside(path, name)
    check_inside(listed, str(where))
    return nfc(listed)


def _label(where: str | Path, word: object) -> str | None:
    if word is None:
        return None
    label = _LABELS.get(str(word).lower())
    if label is None:
        raise malformed("not a DFDC label", where, word, "FAKE, REAL, 0, 1")
    return label
