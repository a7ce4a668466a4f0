"""Any CSV with a row a clip: path, label and, so that people stay on one side, subject."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from avfd.clips import FAKE, REAL, Clip
from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED, Notes, Source, reader
from extract.datasets.files import AUDIO_SUFFIXES, nfc, suffix
from extract.datasets.labels import Segments, read_rows, stretches

NOBODY = frozenset(
    {"unlabelled", "unlabeled", "unknown", "none", "nan", "null", "na", "n/a", "-", "?"}
)
"""Words of a cell that name no label, nobody and nothing."""
WORDS: Mapping[str, str | None] = {
    **dict.fromkeys(("real", "0", "0.0", "false", "genuine", "bonafide", "bona-fide"), REAL),
    **dict.fromkeys(("fake", "1", "1.0", "true", "spoof", "deepfake"), FAKE),
    **dict.fromkeys(("", *sorted(NOBODY)), None),
}
# `source` is not here: tables use that word for where a file came from, and would then join
# whole collections into one group. The original of a fake is the column `original`.
TEXTS = ("method", "emotion")
NUMBERS = {
    "start": "start_seconds",
    "end": "end_seconds",
    "start_seconds": "start_seconds",
    "end_seconds": "end_seconds",
    "audio_offset_seconds": "audio_offset_seconds",
}
PART = ("start_seconds", "end_seconds")
SCANNED = ("width", "height", "fps", "seconds", "has_audio", "has_video", "bytes", "sha256")
UNHEARD = "rows whose audio_path is not there: not indexed"
NAMES = "originals that are no files here: they join the clips that name them"
WORDS_OF_SIDES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
UNKNOWN = (
    "rows without a subject: each is its own group unless its file, donor or original joins it, "
    "so one person may stand on two sides"
)
NO_WORDS = "rows whose donor or original is a word such as unknown or none: taken for empty"
MEDIA = ("audio_path", "video_label", "audio_label", "fake_segments")


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, of all names; None: the table has no such column."""

    names: tuple[str, ...]
    path: str
    label: str | None
    subject: str | None


@dataclass(frozen=True)
class Row:
    """One row, by column name, and where it stands for error messages."""

    where: str
    cells: Mapping[str, str]

    def text(self, column: str | None) -> str | None:
        """The cell, stripped; None where it is empty or there is no such column."""
        return (self.cells.get(column or "") or "").strip() or None

    def name(self, column: str | None) -> str | None:
        """The cell as the name of someone or something; None also for words that say there is none.

        Rows that share such a word have nobody in common.
        """
        text = self.text(column)
        return None if text is None or text.lower() in NOBODY else text

    def number(self, column: str) -> float | None:
        """The cell as a finite number."""
        text = self.text(column)
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            raise InputError(
                "not a number", where=self.where, found=text, accepted=f"{column} in seconds"
            ) from None
        if not math.isfinite(found):
            raise _no_time(self.where, text, f"{column} in seconds")
        return found

    def times(self) -> dict[str, float]:
        """Field of a clip → seconds, of the times that the row states.

        A part that starts before the file or that has no length is an error.
        """
        given = {field: name for name, field in NUMBERS.items() if self.text(name)}
        found = {field: self.number(name) or 0.0 for field, name in given.items()}
        for field in PART:
            if found.get(field, 0.0) < 0:
                accepted = f"{given[field]} in seconds, 0 or more"
                raise _no_time(self.where, self.text(given[field]), accepted)
        start, end = found.get("start_seconds", 0.0), found.get("end_seconds", math.inf)
        if end <= start:
            raise InputError(
                "the clip does not end after its start",
                where=self.where,
                found=f"{start:g} to {end:g} s",
                accepted="an end after the start, or an empty cell: to the end of the file",
            )
        return found

    def segments(self, column: str) -> Segments | None:
        """The cell as stretches of time, in order."""
        text = self.text(column)
        if text is None:
            return None
        try:
            stated = json.loads(text)
        except (ValueError, RecursionError):
            stated = text
        return stretches(stated, f"column {column!r}", self.where)

    def label(self, column: str | None) -> str | None:
        """The cell as a label; a word outside `WORDS` is an error."""
        text = self.text(column) or ""
        if text.lower() not in WORDS:
            raise InputError(
                f"column {column!r} holds a word that is no label",
                where=self.where,
                found=text,
                accepted=", ".join(word for word in WORDS if word) + " or an empty cell",
            )
        return WORDS[text.lower()]


def _no_time(where: str, found: str | None, accepted: str) -> InputError:
    return InputError("not a time", where=where, found=found, accepted=accepted)


@reader("table")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a row; media that no row names are counted, not indexed."""
    table = table_path(source)
    columns, rows = _contents(table, source.options)
    used: set[str] = set()
    lines: dict[str, str] = {}
    for row in rows:
        film = _clip(source, notes, columns, row)
        if film is None:
            continue
        used.update(film.paths)
        clip = _heard(source, notes, row, film)
        if clip is None:
            continue
        used.update(clip.paths)
        if clip.key in lines:
            raise InputError(
                "the table lists one clip twice", where=lines[clip.key], found=row.where
            )
        lines[clip.key] = row.where
        if clip.label is None and clip.emotion is None:
            notes.count(UNLISTED, clip.key.removeprefix(f"{source.dataset}/"))
        if columns.subject is not None and clip.subject is None:
            notes.count(UNKNOWN, clip.key.removeprefix(f"{source.dataset}/"))
        yield clip
    if not lines:
        notes.no_clip = _no_clip(source, table, rows, "audio_path" if used else columns.path)
    if columns.label is None:
        among = ", ".join(columns.names)
        notes.say(
            f"no label column among {among}: no clip is real or fake; --label-column mends that"
        )
    if columns.subject is None:
        notes.say("no subject column: every clip is its own group; --subject-column mends that")
    for path in source.files.media():
        if path not in used:
            notes.count("media files that no row names: not indexed", path)


def _no_clip(source: Source, table: Path, rows: list[Row], column: str) -> InputError:
    """The error for a table that gives no clip, as the files in that column are not there."""
    if not rows:
        return InputError(
            "the table has no row",
            where=table,
            found="a line of column names",
            accepted="a line of column names, then a line a clip",
        )
    listed = [(row, text) for row in rows if (text := row.text(column))]
    first = next(_below(source, text) for row, text in listed if not _found(source, row, text))
    check = "check --root and --path-column"
    return InputError(
        "no row names a file that is there"
        + (" in the column audio_path" if column == "audio_path" else ""),
        where=table,
        found=f"{len(rows)} rows, none of them below {source.root}; "
        f"the first path looked for is {source.root}/{first}",
        accepted="paths relative to --root",
        next_step=f"write / for \\ in the paths, else {check}" if "\\" in first else check,
    )


def table_path(source: Source) -> Path:
    """The table that was named with `--table`."""
    name = source.options.get("table")
    if not name:
        raise InputError("the layout 'table' needs a table", next_step="add --table FILE.csv")
    if not Path(name).is_file():
        raise InputError("no such table", where=name, next_step="check --table")
    return Path(name)


def _contents(table: Path, options: Mapping[str, str]) -> tuple[Columns, list[Row]]:
    """The columns and rows of a table separated by commas, semicolons or tabs."""
    header, lines = read_rows(table, delimiters=",;\t")
    return _columns(table, header, options), [Row(where, cells) for where, cells in lines]


def _columns(table: Path, header: list[str], options: Mapping[str, str]) -> Columns:
    def named(kind: str) -> str | None:
        name = options.get(f"{kind}_column")
        if name and name not in header:
            raise InputError(f"no such {kind} column", where=table, found=name, accepted=header)
        return name or (kind if kind in header else None)

    path = named("path")
    if path is None:
        raise InputError(
            "which column holds the paths?", where=table, accepted=header, next_step="--path-column"
        )
    return Columns(tuple(header), path, named("label"), named("subject"))


def _clip(source: Source, notes: Notes, columns: Columns, row: Row) -> Clip | None:
    """The row's clip; None where its file is not there."""
    listed = row.text(columns.path)
    if listed is None:
        raise InputError("the path is empty", where=row.where)
    path = _found(source, row, listed)
    if path is None:
        notes.count(MISSING, nfc(listed))
        return None
    if any(row.text(column) and not row.name(column) for column in ("donor", "original")):
        notes.count(NO_WORDS, path)
    times = row.times()
    clip = source.clip(
        path,
        key=source.key(path, times.get("start_seconds"), times.get("end_seconds")),
        label=row.label(columns.label),
        video_label=row.label("video_label"),
        audio_label=row.label("audio_label"),
        subject=row.name(columns.subject),
        source=_original(source, notes, row),
        fake_segments=row.segments("fake_segments"),
        extra=_extra(columns, row),
        split=_side(row),
        donor=row.name("donor"),
        **{name: row.text(name) for name in TEXTS},
        **times,
    )
    _check_agrees(clip, row)
    return clip


def _check_agrees(clip: Clip, row: Row) -> None:
    """Refuse a row that calls a clip real and a part of it fake, or fake and every track real."""
    tracks = {"video_label": clip.video_label, "audio_label": clip.audio_label}
    fake = [f"{name} {label}" for name, label in tracks.items() if label == FAKE]
    if clip.fake_segments:
        fake.append("fake_segments")
    # Sound and picture may be real and moved against each other: then there are fake segments.
    all_real = set(tracks.values()) == {REAL} and not clip.fake_segments
    if (clip.label == REAL and fake) or (clip.label == FAKE and all_real):
        raise InputError(
            "the row contradicts itself",
            where=row.where,
            found=f"{clip.label}, with {', '.join(fake) or 'both tracks real'}",
            accepted="a clip is fake where a track or a part of it is, else real",
        )


def _heard(source: Source, notes: Notes, row: Row, clip: Clip) -> Clip | None:
    """The clip with the sound that the row names; None where that is not there.

    The film's own sound would be another one than the row means.
    """
    sound = row.text("audio_path")
    if sound is None:
        return clip
    audio = _found(source, row, sound)
    if audio is None:
        notes.count(UNHEARD, clip.paths[0])
        return None
    video = clip.video_path if suffix(clip.paths[0]) not in AUDIO_SUFFIXES else None
    return replace(clip, video_path=video, audio_path=audio)


def _side(row: Row) -> str | None:
    """The side that the row names, as protocols spell it; any other word stays as it is."""
    stated = row.text("split")
    return stated and WORDS_OF_SIDES.get(stated.lower(), stated)


def _original(source: Source, notes: Notes, row: Row) -> str | None:
    """The key of the file that the row's clip was made from; what names no file stays a name."""
    listed = row.name("original")
    if listed is None:
        return None
    below = _below(source, listed)
    is_path = not below.startswith("/") and ".." not in below.split("/")
    path = source.files.find(below, row.where) if is_path else None
    if path is None:
        notes.count(NAMES, listed)
    return listed if path is None else source.key(path)


def _found(source: Source, row: Row, listed: str) -> str | None:
    """A listed path as the disk spells it, relative to the root; None: it is not there."""
    return source.files.find(_below(source, listed), row.where)


def _below(source: Source, listed: str) -> str:
    """A listed path relative to the root, where it is an absolute one below it."""
    if Path(listed).is_absolute() and Path(listed).is_relative_to(source.root):
        return Path(listed).relative_to(source.root).as_posix()
    return listed


def _extra(columns: Columns, row: Row) -> dict[str, str]:
    """The cells of columns that have no meaning of their own here; protocols may ask for them."""
    ours = {columns.path, columns.label, columns.subject, "original", "split"}
    known = ours.union(NUMBERS, TEXTS, ("donor",), SCANNED, MEDIA)
    names = [name for name in columns.names if name and name not in known]
    return {name: text for name in names if (text := row.text(name))}
