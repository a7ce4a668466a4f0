"""What goes into the cache and what its operations report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Entry:
    """What index tells the cache of one clip.

    Attributes:
        key: the clip key, unique among the entries given together.
        seconds: length from a scan of packet times; decides the rows, once and for all.
        bytes, mtime_ns: of the media; what differs later marks a changed file.
    """

    key: str
    seconds: float
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class IndexChange:
    """What `update_clips` found, as lists of keys.

    Attributes:
        added: new to the cache.
        changed: the media differ; the old entry is retired, a new one stands under the same key.
        kept: as they were.
        unlisted: in the cache but not in this index; they stay (a disk may be unmounted).
    """

    added: list[str]
    changed: list[str]
    kept: list[str]
    unlisted: list[str]


@dataclass(frozen=True)
class ClipResult:
    """What one backbone made of one clip.

    Attributes:
        entry: index into the clip arrays, from the snapshot on which the work was planned.
        key: the clip key that stood there.
        status: DONE, FAILED or ABSENT of `avfd.specs`.
        reason: why, for FAILED and ABSENT.
        values: DONE only: [rows, rate, *shape], clip-level [*shape], in the spec's dtype.
        valid: DONE only: bool [rows, rate]; None where clip-level.
        sha256: hex digest of the media that were read, "" where not taken.
    """

    entry: int
    key: str
    status: int
    reason: str = ""
    values: NDArray[np.generic] | None = None
    valid: NDArray[np.bool_] | None = None
    sha256: str = ""


@dataclass(frozen=True)
class WriteReport:
    """What a write did.

    Attributes:
        written: results stored.
        skipped: results dropped: the clip was done already, or its entry is no longer alive.
        snapshot_id: the commit; the current snapshot where nothing was left to write.
    """

    written: int
    skipped: int
    snapshot_id: str


@dataclass(frozen=True)
class Dropped:
    """What was taken out of one column.

    Attributes:
        column: its name.
        clips: clips that were done there.
        bytes: of the whole column as stored; None where single clips were taken out of it.
    """

    column: str
    clips: int
    bytes: int | None


@dataclass(frozen=True)
class BadChunk:
    """A chunk that is missing or fails its checksum.

    Attributes:
        column: the column, "" for the clip arrays.
        array: name of the array.
        chunk: the chunk's index along the first axis.
        keys: keys of the clips with data in it.
    """

    column: str
    array: str
    chunk: int
    keys: tuple[str, ...]

    @property
    def path(self) -> str:
        """The array's path in the repository."""
        return f"{self.column}/{self.array}" if self.column else self.array


@dataclass(frozen=True)
class GcReport:
    """What garbage collection freed or, in a dry run, would free.

    Attributes:
        dry_run: whether nothing was deleted.
        bytes_freed, chunks_freed: None where a dry run cannot tell (object stores).
        snapshots_expired: commits dropped from the history.
        retired_clips: retired entries whose rows were emptied.
        tags: tag → bytes that only this tag holds; None where not counted.
        readers: snapshots kept because a reader has them open.
    """

    dry_run: bool
    bytes_freed: int | None
    chunks_freed: int | None
    snapshots_expired: int
    retired_clips: int
    tags: dict[str, int | None] = field(default_factory=dict)
    readers: tuple[str, ...] = ()
