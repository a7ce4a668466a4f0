"""LAV-DF: one list of records; a clip is fake where parts of it were replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from extract.datasets.base import MISSING, UNLISTED, Notes, Source, reader
from extract.datasets.labels import Segments, malformed
from extract.datasets.listed import SIDES, Listed, Record, records

LISTS = ("metadata.min.json", "metadata.json")  # the first that is there


@reader("lavdf")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a record whose file is there; media that no record labels have none."""
    listed = Listed(notes)
    used: set[str] = set()
    table = _list(source)
    if table is None:
        notes.say(f"neither {LISTS[0]} nor {LISTS[1]} is here")
    for record in records(source, table) if table else []:
        home = PurePosixPath(table or "").parent
        path = source.files.find(str(home / record.file), record.where)
        if path is None:
            notes.count(MISSING, record.file)
            continue
        used.add(path)
        clip = _clip(source, path, home, record)
        if listed.is_new(clip, record):
            _count(notes, path, record)
            yield clip
    for path in source.files.media():
        if path not in used:
            yield source.unlabelled(path, notes)


def _list(source: Source) -> str | None:
    by_name = {PurePosixPath(path).name: path for path in reversed(source.files.paths)}
    return next((by_name[name] for name in LISTS if name in by_name), None)


def _clip(source: Source, path: str, home: PurePosixPath, record: Record) -> Clip:
    labels = _labels(record)
    video, audio = _changed(record, "video"), _changed(record, "audio")
    return source.clip(
        path,
        label=FAKE if FAKE in labels else REAL if labels else None,
        video_label=video,
        audio_label=audio,
        method=_method(video, audio),
        source=source.key(str(home / record.original)) if record.original else None,
        split=SIDES.get(str(record.fields.get("split"))),
        fake_segments=record.segments("fake_periods"),
    )


def _count(notes: Notes, path: str, record: Record) -> None:
    """A clip without a label, and one whose labels differ."""
    labels = _labels(record)
    if not labels:
        notes.count(UNLISTED, path)
    elif len(labels) > 1:
        notes.count("whose fields contradict each other: taken as fake", path)


def _labels(record: Record) -> set[str]:
    """What those fields say that the record has; a mirror may have dropped any of them."""
    video, audio = _changed(record, "video"), _changed(record, "audio")
    parts = _listed(record.segments("fake_periods"))
    return {label for label in (_counted(record), parts, _either(video, audio)) if label}


def _counted(record: Record) -> str | None:
    """What the number of replaced parts says."""
    count = record.fields.get("n_fakes")
    if count is None:
        return None
    if not isinstance(count, int | float) or not (count >= 0 and count % 1 == 0):
        raise malformed("n_fakes is no count", record.where, count, "0 or a larger whole number")
    return FAKE if count else REAL


def _listed(parts: Segments | None) -> str | None:
    """What the replaced parts themselves say."""
    return None if parts is None else FAKE if parts else REAL


def _either(video: str | None, audio: str | None) -> str | None:
    """What the labels of picture and sound say; one real one leaves the other open."""
    if FAKE in (video, audio):
        return FAKE
    return REAL if video and audio else None


def _changed(record: Record, kind: str) -> str | None:
    """The label of the picture or of the sound."""
    changed = record.fields.get(f"modify_{kind}")
    if changed not in (None, True, False):
        problem = f"modify_{kind} is neither true nor false"
        raise malformed(problem, record.where, changed, "true, false")
    return None if changed is None else FAKE if changed else REAL


def _method(video: str | None, audio: str | None) -> str | None:
    """Which of the two was changed, in words."""
    changed = [name for name, label in (("video", video), ("audio", audio)) if label == FAKE]
    return "+".join(changed) or None
