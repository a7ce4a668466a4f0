"""Clips and the clip table: what gets one verdict, and where its media lie.

A clip key is `<dataset>/<path below the root, suffix kept>`, in NFC, with `@start-end` for a part
of a file. It is unique in a data set and never a bare file stem.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

REAL, FAKE = "real", "fake"
LABELS = (REAL, FAKE)


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the clip table.

    Paths are POSIX, relative to the data set's root (`audio_path` to its audio root where one was
    given), never outside it. Times are seconds on the file's presentation-time line.

    Attributes:
        key: unique name, see the module's text.
        video_path, audio_path: the media; equal where one file carries both; None where there is
            no such file. Whether the file really has the track is in has_video, has_audio.
            video_path may be a folder of numbered JPEG frames (docs/media.md).
        start_seconds, end_seconds: the part of the file that is the clip; None means to the end.
        audio_offset_seconds: added to the audio's times to align it with the video's.
        crop: left, top, right, bottom as fractions of the frame, before face detection.
        label, video_label, audio_label: "real", "fake" or None (unlabelled).
        method, emotion, subject, donor, source: as the data set states them, None where it does
            not; donor is the second person of a swap, source the original of a fake, or a name
            that an original and its fakes share.
        more_donors: whose face or voice came in besides the donor's.
        group: clips of one group never stand on two sides of a split (see `grouped`).
        split: the side that the data set itself ships (train, val, test), None where none.
        fake_segments: where the fake parts are, (start, end) from the clip's start, None: unknown.
        extra: what a protocol of this data set needs beyond the above (part, session, …).
        width, height, fps, seconds, has_audio, has_video, bytes, mtime_ns: from the scan at index.
        problem: why the media, or the clip's part of them, cannot be read; None where they can.
    """

    key: str
    video_path: str | None = None
    audio_path: str | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    audio_offset_seconds: float = 0.0
    crop: tuple[float, float, float, float] | None = None
    label: str | None = None
    video_label: str | None = None
    audio_label: str | None = None
    method: str | None = None
    emotion: str | None = None
    subject: str | None = None
    donor: str | None = None
    more_donors: tuple[str, ...] = ()
    source: str | None = None
    group: str | None = None
    split: str | None = None
    fake_segments: tuple[tuple[float, float], ...] | None = None
    extra: dict[str, str] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    fps: float = 0.0
    seconds: float = 0.0
    has_audio: bool = False
    has_video: bool = False
    bytes: int = 0
    mtime_ns: int = 0
    problem: str | None = None

    def __post_init__(self) -> None:
        for name in ("label", "video_label", "audio_label"):
            value = getattr(self, name)
            if value not in (None, REAL, FAKE):
                raise InputError(
                    f"{name} is not a label", where=self.key, found=value, accepted=LABELS
                )
        for path in (self.video_path, self.audio_path):
            if path is not None:
                check_inside(path, self.key)

    @property
    def paths(self) -> list[str]:
        """The distinct media paths, video first."""
        return list(dict.fromkeys(p for p in (self.video_path, self.audio_path) if p))

    @property
    def donors(self) -> tuple[str, ...]:
        """Everybody whose face or voice came in."""
        return (self.donor, *self.more_donors) if self.donor else self.more_donors

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who is in the clip: its subject, then its donors."""
        return (self.subject, *self.donors) if self.subject else self.donors


def check_inside(path: str, where: str) -> None:
    """Refuse an absolute path and one that climbs out of the root."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise InputError(
            "a media path must stay below the data set's root",
            where=where,
            found=path,
            accepted="a relative path without '..'",
        )


def clip_key(
    dataset: str, path: str, start_seconds: float | None = None, end_seconds: float | None = None
) -> str:
    """The key of a file, or of a part of it.

    >>> clip_key("dfdc", "dfdc_train_part_0/a b#.mp4")
    'dfdc/dfdc_train_part_0/a b#.mp4'
    >>> clip_key("iemocap", "Session1/x.avi", 1.5, 4.25)
    'iemocap/Session1/x.avi@1.500-4.250'
    """
    key = unicodedata.normalize("NFC", f"{dataset}/{path}")
    if start_seconds is None and end_seconds is None:
        return key
    end = "end" if end_seconds is None else f"{end_seconds:.3f}"
    return f"{key}@{start_seconds or 0.0:.3f}-{end}"


def check_unique(clips: Sequence[Clip]) -> None:
    """Two files that give one key are an error that names both."""
    seen: dict[str, Clip] = {}
    for clip in clips:
        other = seen.setdefault(clip.key, clip)
        if other is not clip:
            raise InputError(
                "two files give one clip key",
                where=clip.key,
                found=f"{other.paths} and {clip.paths}",
                next_step="rename one of the two files and index again",
            )


def grouped(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with `group` set: those that share a person, a file or a source, transitively.

    A person is a subject or any of a clip's donors. Parts of one file share it, and clips that are
    heard with one sound. A `source` names the key of a clip or a whole file, or is a name that
    several clips share; either way equal names join. A clip with none of these is its own group.
    """
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        root = name
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[name] != root:
            parent[name], name = root, parent[name]
        return root

    def links(clip: Clip) -> list[str]:
        people = [f"person {p}" for p in clip.people]
        dataset = clip.key.split("/", 1)[0]
        files = [f"clip {clip_key(dataset, path)}" for path in clip.paths]
        # A source that is itself a clip of the table joins that clip.
        sources = [f"clip {clip.source}"] if clip.source else []
        return [f"clip {clip.key}", *people, *files, *sources]

    for clip in clips:
        first, *rest = links(clip)
        for other in rest:
            a, b = find(first), find(other)
            if a != b:
                parent[max(a, b)] = min(a, b)
    return [replace(clip, group=find(f"clip {clip.key}").split(" ", 1)[1]) for clip in clips]


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "crop": tuple,
    "more_donors": tuple,
    "fake_segments": lambda pairs: tuple((float(a), float(b)) for a, b in pairs),
    "extra": dict,
}
"""What the table holds as JSON → what a clip makes of it."""
_READ_AT_ONCE = 1024
"""Rows; the table's row groups hold as many, so that reading it takes little memory."""


def write_table(clips: Iterable[Clip], path: Path) -> None:
    """Write the clip table as Parquet; complete or not at all."""
    import json

    import pandas as pd

    rows = list(clips)
    columns = {f.name: [getattr(clip, f.name) for clip in rows] for f in fields(Clip)}
    for name in _FROM_JSON:
        columns[name] = [None if v is None else json.dumps(v) for v in columns[name]]
    frame = pd.DataFrame(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    frame.to_parquet(partial, index=False, row_group_size=_READ_AT_ONCE)
    partial.replace(path)


def read_frame(path: Path) -> pd.DataFrame:
    """The clip table as a data frame, a row a clip, columns as in `Clip`."""
    import pandas as pd

    return pd.read_parquet(path)


def read_table(path: Path) -> list[Clip]:
    """The clip table as clips, in the order written."""
    from pyarrow import default_memory_pool
    from pyarrow.parquet import ParquetFile

    clips: list[Clip] = []
    once: dict[str, str] = {}
    with ParquetFile(path, pre_buffer=False) as table:
        for batch in table.iter_batches(_READ_AT_ONCE, use_threads=False):
            columns = {n: _values(n, raw, once) for n, raw in batch.to_pydict().items()}
            rows = zip(*columns.values(), strict=True)
            clips += [Clip(**dict(zip(columns, row, strict=True))) for row in rows]
    default_memory_pool().release_unused()
    return clips


def _values(name: str, raw: list[Any], once: dict[str, str]) -> list[Any]:
    """A column's values; missing ones, which pandas may have written as NaN, as None.

    Equal texts become one: most of them stand in many clips, and a clip's path in several columns.
    So do equal numbers of a column.
    """
    import json

    numbers: dict[Any, Any] = {}
    present = [_present(value, once if isinstance(value, str) else numbers) for value in raw]
    if (make := _FROM_JSON.get(name)) is None:
        return present
    return [None if text is None else make(json.loads(text)) for text in present]


def _present(value: Any, once: dict[Any, Any]) -> Any:
    return None if value is None or value != value else once.setdefault(value, value)
