"""FakeAVCeleb v1.2: labels from the folder, methods and people from `meta_data.csv`.

In that table the column named `path` holds the file's name and an unnamed tenth column its folder;
some files stand in it several times, with different methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from extract.datasets.base import MISSING, SOUND, Notes, Source, reader
from extract.datasets.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, nfc
from extract.datasets.labels import malformed, read_rows

TABLE = "meta_data.csv"
NO_ROW = f"not in {TABLE}: labelled by their folder"
NO_PLACE = f"lines of {TABLE} that name no file of the tree"
REPEATED = f"listed several times in {TABLE}: one clip each, methods joined"
_TYPE = re.compile(r"(Real|Fake)Video-(Real|Fake)Audio")
_COLUMNS = {"source", "method", "type", "race", "gender", "path"}

Row = Mapping[str, str]
Place = tuple[str, ...]  # type, race, gender, person, file


@reader("fakeavceleb")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a video below a type folder; other videos have no label, sound files no clip."""
    rows = _rows(source, notes)
    seen: set[Place] = set()
    for path in source.files.media(VIDEO_SUFFIXES):
        place = place_of(path)
        if place is None:
            yield source.unlabelled(path, notes)
            continue
        seen.add(place)
        if place not in rows:
            notes.count(NO_ROW, path)
        yield _clip(source, path, place, rows.get(place, []))
    for place in rows:
        if place not in seen:
            notes.count(MISSING, "/".join(place))
    for path in source.files.media(AUDIO_SUFFIXES):
        notes.count(SOUND, path)


def place_of(path: str) -> Place | None:
    """Where a path lies below its type folder, spelled alike for every variant of the tree.

    >>> place_of("x/FakeVideo-RealAudio/Asian (East)/men/id1/a.mp4")
    ('FakeVideo-RealAudio', 'asianeast', 'men', 'id1', 'a.mp4')
    >>> place_of("FakeVideo-RealAudio/Asian_East/men/id1/a.mp4") == _
    True
    """
    parts = PurePosixPath(nfc(path)).parts
    top = next((i for i, part in enumerate(parts) if _TYPE.fullmatch(part)), None)
    if top is None or len(parts) != top + 5:
        return None
    kind, race, *rest = parts[top:]
    return (kind, re.sub(r"[^a-z]", "", race.lower()), *rest)


def _rows(source: Source, notes: Notes) -> dict[Place, list[Row]]:
    """The table's rows by the place of their file; none where there is no table."""
    tables = [path for path in source.files.paths if PurePosixPath(path).name == TABLE]
    if not tables:
        notes.say(f"no {TABLE}: labels come from the folders, methods are unknown")
        return {}
    found: dict[Place, list[Row]] = {}
    table = source.root / tables[0]
    header, lines = read_rows(table, ragged=True)
    if not set(header) >= _COLUMNS:
        raise malformed(
            "not the table of FakeAVCeleb", table, ", ".join(header), ", ".join(sorted(_COLUMNS))
        )
    for where, row in lines:
        place = _place_of_row(row)
        if place is None:
            notes.count(NO_PLACE, where.rpartition(":")[2])
        else:
            found.setdefault(place, []).append(row)
    for place, same in found.items():
        if len(same) > 1:
            notes.count(REPEATED, "/".join(place))
    return found


def _place_of_row(row: Row) -> Place | None:
    """The file's name from `path`; its folder from whichever cell holds one, else pieced together.

    A table that someone mended may hold the whole path in `path`.
    """
    name = PurePosixPath(row["path"]).name
    cells = [cell for cell in row.values() if "/" in cell]
    folders = [cell.removesuffix(f"/{name}").rstrip("/") for cell in cells]
    folders.append("/".join(row[column] for column in ("type", "race", "gender", "source")))
    return next((p for folder in folders if (p := place_of(f"{folder}/{name}"))), None)


def _clip(source: Source, path: str, place: Place, rows: Sequence[Row]) -> Clip:
    kind, _, gender, person, _ = place
    video, audio = (word.lower() for word in _type(kind))
    methods = sorted({row["method"] for row in rows} - {"real", ""})
    targets = _targets(rows, person)
    extra = {
        "type": kind,
        "race": PurePosixPath(path).parts[-4],
        "gender": gender,
        "category": next((row.get("category", "") for row in rows), ""),
        "targets": " ".join(targets),
    }
    return source.clip(
        path,
        label=FAKE if FAKE in (video, audio) else REAL,
        video_label=video,
        audio_label=audio,
        method="+".join(methods) or None,
        subject=person,
        donor=targets[0] if targets else None,
        more_donors=tuple(targets[1:]),
        extra={name: value for name, value in extra.items() if value},
    )


def _type(kind: str) -> tuple[str, str]:
    match = _TYPE.fullmatch(kind)
    assert match is not None
    return match[1], match[2]


def _targets(rows: Sequence[Row], person: str) -> list[str]:
    """The other people of a fake, in the table's order; "-" and the person itself are none."""
    named = (row.get(column) for row in rows for column in ("target1", "target2"))
    return list(dict.fromkeys(name for name in named if name and name not in ("-", person)))
