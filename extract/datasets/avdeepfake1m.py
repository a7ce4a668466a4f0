"""AV-Deepfake1M: a list of records a side, or one record a clip; test clips have no labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from extract.datasets.base import MISSING, Notes, Source, reader
from extract.datasets.labels import malformed
from extract.datasets.listed import SIDES, Listed, Record, records

TYPES = {
    "real": (REAL, REAL),
    "visual_modified": (FAKE, REAL),
    "audio_modified": (REAL, FAKE),
    "both_modified": (FAKE, FAKE),
}  # modify_type → labels of picture and sound
TEST_LIST = "test_files.txt"
_LIST = re.compile(r"(train|val)_metadata\.json")
_ONE = re.compile(r"(?:.*/)?(train|val)(?:_metadata)?/.+\.json")
_SPEAKER = re.compile(r"id\d+")


@reader("avdeepfake1m")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a record whose file is there; media that no record names have no label."""
    listed = Listed(notes)
    used: set[str] = set()
    for home, side, record in _records(source):
        path = _find(source, home / side, record.file, record.where)
        if path is None:
            notes.count(MISSING, f"{side}/{record.file}")
            continue
        used.add(path)
        clip = _clip(source, path, home, side, record)
        if listed.is_new(clip, record):
            yield clip
    _check_test_list(source, notes)
    for path in source.files.media():
        if path not in used:
            yield _unlabelled(source, notes, path)


def _records(source: Source) -> Iterator[tuple[PurePosixPath, str, Record]]:
    """Every record with the folder that its side's folder lies in; lists go before single files."""
    listed: set[str] = set()
    for path in source.files.paths:
        match = _LIST.fullmatch(PurePosixPath(path).name)
        if match:
            listed.add(match[1])
            for record in records(source, path):
                yield PurePosixPath(path).parent, match[1], record
    for path in source.files.paths:
        match = _ONE.fullmatch(path)
        if match and match[1] not in listed:
            home = PurePosixPath(path[: match.start(1)])
            for record in records(source, path):
                yield home, match[1], record


def _find(source: Source, side: PurePosixPath, file: str, where: str) -> str | None:
    """A file that is listed at `where`, named from its side's folder or from the folder above."""
    places = (str(folder / file) for folder in (side, side.parent))
    return next((found for place in places if (found := source.files.find(place, where))), None)


def _clip(source: Source, path: str, home: PurePosixPath, side: str, record: Record) -> Clip:
    kind = str(record.fields.get("modify_type")).replace("-", "_")
    if kind not in TYPES:
        raise malformed("not a modify_type", record.where, kind, ", ".join(TYPES))
    video, audio = TYPES[kind]
    original = record.original
    found = original and _find(source, home / side, original, record.where)
    model = record.fields.get("audio_model")
    return source.clip(
        path,
        label=FAKE if FAKE in (video, audio) else REAL,
        video_label=video,
        audio_label=audio,
        method=None if kind == "real" else kind,
        subject=speaker_of(path),
        source=source.key(found or str(home / side / original)) if original else None,
        split=SIDES.get(str(record.fields.get("split")), side),
        fake_segments=record.segments("fake_segments"),
        extra={"audio_model": str(model)} if model else {},
    )


def speaker_of(path: str) -> str | None:
    """The speaker's folder, where the tree has one.

    >>> speaker_of("train/id00012/vid/00001/real.mp4"), speaker_of("test/000001.mp4")
    ('id00012', None)
    """
    return next((p for p in PurePosixPath(path).parts if _SPEAKER.fullmatch(p)), None)


def _unlabelled(source: Source, notes: Notes, path: str) -> Clip:
    test = "test" in PurePosixPath(path).parts[:-1]
    return replace(source.unlabelled(path, notes), split="test" if test else None)


def _check_test_list(source: Source, notes: Notes) -> None:
    """Count the test clips that the list names and that are not there."""
    for path in source.files.paths:
        home, name = PurePosixPath(path).parent, PurePosixPath(path).name
        for line in source.text(path).splitlines() if name == TEST_LIST else []:
            file = line.strip()
            if file and _find(source, home / "test", file, str(source.root / path)) is None:
                notes.count(MISSING, f"test/{file}")
