"""LAV-DF: one list of records; a clip is fake where parts of it were replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from extract.datasets.base import MISSING, Notes, Source, reader
from extract.datasets.listed import SIDES, Record, records, segments

LISTS = ("metadata.min.json", "metadata.json")  # the first that is there


@reader("lavdf")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a record whose file is there; media that no record names have no label."""
    used: set[str] = set()
    table = _list(source)
    if table is None:
        notes.say(f"neither {LISTS[0]} nor {LISTS[1]} is here")
    for record in records(source, table) if table else []:
        home = PurePosixPath(table or "").parent
        path = source.files.find(str(home / record["file"]))
        if path is None:
            notes.count(MISSING, record["file"])
            continue
        used.add(path)
        yield _clip(source, path, home, record)
    for path in source.files.media():
        if path not in used:
            yield source.unlabelled(path, notes)


def _list(source: Source) -> str | None:
    by_name = {PurePosixPath(path).name: path for path in reversed(source.files.paths)}
    return next((by_name[name] for name in LISTS if name in by_name), None)


def _clip(source: Source, path: str, home: PurePosixPath, record: Record) -> Clip:
    original = record.get("original")
    parts = segments(record, "fake_periods")
    video, audio = (_label(record.get(f"modify_{kind}")) for kind in ("video", "audio"))
    return source.clip(
        path,
        label=FAKE if _fakes(record) else REAL,
        video_label=video,
        audio_label=audio,
        method=_method(video, audio),
        source=source.key(str(home / original)) if original else None,
        split=SIDES.get(str(record.get("split"))),
        fake_segments=parts,
    )


def _fakes(record: Record) -> int:
    """Number of replaced parts; a mirror may have dropped the count and kept the parts."""
    return int(record.get("n_fakes", len(record.get("fake_periods") or [])))


def _label(modified: object) -> str | None:
    return None if modified is None else FAKE if modified else REAL


def _method(video: str | None, audio: str | None) -> str | None:
    """Which of the two was changed, in words."""
    changed = [name for name, label in (("video", video), ("audio", audio)) if label == FAKE]
    return "+".join(changed) or None
