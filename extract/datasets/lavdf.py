"""LAV-DF: one list of records; a clip is fake where parts of it were replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED, Notes, Source, reader
from extract.datasets.listed import SIDES, Record, Segments, records, segments

LISTS = ("metadata.min.json", "metadata.json")  # the first that is there


@reader("lavdf")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a record whose file is there; media that no record labels have none."""
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
        yield _clip(source, notes, path, home, record)
    for path in source.files.media():
        if path not in used:
            yield source.unlabelled(path, notes)


def _list(source: Source) -> str | None:
    by_name = {PurePosixPath(path).name: path for path in reversed(source.files.paths)}
    return next((by_name[name] for name in LISTS if name in by_name), None)


def _clip(source: Source, notes: Notes, path: str, home: PurePosixPath, record: Record) -> Clip:
    original = record.get("original")
    parts = segments(record, "fake_periods")
    video, audio = (_changed(record, f"modify_{kind}") for kind in ("video", "audio"))
    return source.clip(
        path,
        label=_label(notes, path, [_counted(record), _listed(parts), _either(video, audio)]),
        video_label=video,
        audio_label=audio,
        method=_method(video, audio),
        source=source.key(str(home / original)) if original else None,
        split=SIDES.get(str(record.get("split"))),
        fake_segments=parts,
    )


def _label(notes: Notes, path: str, said: Iterable[str | None]) -> str | None:
    """The clip's label by those fields that its record has: fake where one says so.

    A mirror may have dropped any of them. A record without a usable one is a clip without a label.
    """
    labels = {label for label in said if label}
    if not labels:
        notes.count(UNLISTED, path)
    elif len(labels) > 1:
        notes.count("whose fields contradict each other: taken as fake", path)
    return FAKE if FAKE in labels else REAL if labels else None


def _counted(record: Record) -> str | None:
    """What the number of replaced parts says."""
    count = record.get("n_fakes")
    if count is None:
        return None
    if not isinstance(count, int | float) or not (count >= 0 and count % 1 == 0):
        raise InputError(
            "n_fakes is no count",
            where=record["file"],
            found=str(count)[:80],
            accepted="0 or a larger whole number",
        )
    return FAKE if count else REAL


def _listed(parts: Segments | None) -> str | None:
    """What the replaced parts themselves say."""
    return None if parts is None else FAKE if parts else REAL


def _either(video: str | None, audio: str | None) -> str | None:
    """What the labels of picture and sound say; one real one leaves the other open."""
    if FAKE in (video, audio):
        return FAKE
    return REAL if video and audio else None


def _changed(record: Record, field: str) -> str | None:
    """The label of the picture or of the sound."""
    changed = record.get(field)
    if changed not in (None, True, False):
        raise InputError(
            f"{field} is neither true nor false",
            where=record["file"],
            found=str(changed)[:80],
            accepted="true, false",
        )
    return None if changed is None else FAKE if changed else REAL


def _method(video: str | None, audio: str | None) -> str | None:
    """Which of the two was changed, in words."""
    changed = [name for name, label in (("video", video), ("audio", audio)) if label == FAKE]
    return "+".join(changed) or None
