"""Reading one fixed snapshot of a cache, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache.chunk_files import ChunkFiles, SnapshotFiles
from avfd.cache.chunks import RowStore, fetch_together
from avfd.cache.layout import (
    ClipArrays,
    ColumnFacts,
    array,
    column_group,
    column_names,
)
from avfd.cache.lock import pin
from avfd.cache.spans import chunk_spans
from avfd.cache.store import Store, store_errors
from avfd.errors import CacheError, MissingError
from avfd.specs import DONE, PENDING, STATUS_NAMES

BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class ClipColumn:
    """One clip in one column.

    Attributes:
        values: [rows, rate, *shape]; clip-level: [*shape].
        valid: bool [rows, rate], False where the values mean nothing; clip-level: bool [].
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]


class Reader:
    """One snapshot of a cache, read-only; garbage collection spares it while the object lives.

    Args:
        store: the open repository.
        snapshot_id: which commit; None: the last one.
    """

    def __init__(self, store: Store, snapshot_id: str | None = None) -> None:
        self._store = store
        self.snapshot_id = store.head() if snapshot_id is None else snapshot_id
        pin(store.pins, self.snapshot_id, self)
        # A commit and a collection may have come between the two lines above.
        while snapshot_id is None and self.snapshot_id != (head := store.head()):
            self.snapshot_id = head
            pin(store.pins, head, self)
        self._root = store.read(self.snapshot_id)

    @property
    def url(self) -> str:
        """Where the cache lies."""
        return self._store.url

    @property
    def columns(self) -> list[str]:
        """Names of the columns, sorted."""
        return column_names(self._root)

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the clips, retired entries left out, in entry order (which is storage order)."""
        return list(self.clips.key[self.clips.alive])

    def entry(self, key: str) -> int:
        """The clip's index into the clip arrays."""
        try:
            return self._entries[key]
        except KeyError:
            raise self._unknown(key) from None

    def entries(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """The clips' indices into the clip arrays, [keys]."""
        try:
            return np.array([self._entries[key] for key in keys], dtype=np.int64)
        except KeyError as error:
            raise self._unknown(str(error.args[0])) from None

    def sha256(self, keys: Sequence[str]) -> list[str]:
        """Hex digest of each clip's media, "" where no extract has read them yet."""
        found = self._sha256[self.entries(keys)]
        return [row.tobytes().hex() if row.any() else "" for row in found]

    def check_media(self, sizes: Mapping[str, int]) -> None:
        """Refuse clips that are entered here with files of another size.

        A store that two homes share may hold another folder's clips under the same keys.

        Args:
            sizes: key → bytes of its media; keys that are not here are passed over.

        Raises:
            CacheError: some differ; the first is named with both sizes.
        """
        here = {key: size for key, size in sizes.items() if key in self._entries}
        found = self._bytes[self.entries(list(here))].tolist()
        wrong = [
            (k, b, size) for (k, size), b in zip(here.items(), found, strict=True) if b != size
        ]
        if wrong:
            key, there, size = wrong[0]
            raise CacheError(
                f"{len(wrong)} clips of the cache are other files than those of the clip table",
                where=self.url,
                found=f"{key}: {there} bytes in the cache, {size} in the clip table",
                next_step="run `avfd index` again; homes that index other folders must not share "
                "a store, or must name their data sets otherwise",
            )

    def rows(self, key: str) -> int:
        """Rows (seconds) of the clip, the same in every column."""
        return int(self.clips.rows[self.entry(key)])

    def column(self, name: str) -> ColumnReader:
        """The named column; a missing one lists those there are."""
        return ColumnReader(self, name, column_group(self._root, name))

    @cached_property
    def clips(self) -> ClipArrays:
        """The clip arrays, retired entries included."""
        with store_errors(self._store.url):
            return ClipArrays.load(self._root)

    @cached_property
    def _sha256(self) -> NDArray[np.uint8]:
        with store_errors(self._store.url):
            return np.asarray(array(self._root, "sha256")[:])

    @cached_property
    def _bytes(self) -> NDArray[np.int64]:
        with store_errors(self._store.url):
            return np.asarray(array(self._root, "bytes")[:])

    @cached_property
    def _entries(self) -> dict[str, int]:
        alive = np.flatnonzero(self.clips.alive)
        return dict(zip(self.clips.key[alive], alive.tolist(), strict=True))

    def chunk_files(self, path: str) -> ChunkFiles | None:
        """The files with the chunks of an array; None where the cache is in no folder."""
        return None if self._files is None else self._files.array(path)

    @cached_property
    def _files(self) -> SnapshotFiles | None:
        folder = self._store.folder
        if folder is None:
            return None
        with store_errors(self._store.url):
            description = self._store.repository.inspect_snapshot(self.snapshot_id)
        return SnapshotFiles(folder, description)

    def _unknown(self, key: str) -> MissingError:
        return MissingError(
            "no such clip in the cache",
            where=key,
            found=f"{len(self.keys)} clips in {self._store.url}",
            next_step="run `avfd index` if the file is new",
        )


class ColumnReader:
    """One column of a snapshot.

    Attributes:
        name: the column's name.
        fingerprint: of the backbone that wrote it.
        spec_facts: its attributes: spec, licence, source, library versions, ….
        rate_hz: vectors a second; 0: one vector a clip.
        shape, dtype: of one vector.
    """

    def __init__(self, reader: Reader, name: str, group: zarr.Group) -> None:
        self._reader, self._group = reader, group
        facts = ColumnFacts.of(group)
        self.name = name
        self.spec_facts: dict[str, Any] = dict(group.attrs)
        self.fingerprint = str(self.spec_facts["fingerprint"])
        self.rate_hz, self.shape, self.dtype = facts.rate_hz, facts.shape, np.dtype(facts.dtype)
        self.clip_level = facts.clip_level
        self._embedding = self._rows("embedding")
        self._valid = None if self.clip_level else self._rows("valid")

    def statuses(self, keys: Sequence[str]) -> NDArray[np.uint8]:
        """PENDING, DONE, FAILED or ABSENT of each clip, uint8 [keys]."""
        return self._status[self._reader.entries(keys)]

    def reasons(self, keys: Sequence[str]) -> list[str]:
        """Why each clip failed or is absent, "" where it did not and is not."""
        entries = self._reader.entries(keys)
        return [str(reason) for reason in self._reason[entries]]

    def read(self, key: str, first: int = 0, stop: int | None = None) -> ClipColumn:
        """One clip's values, or its rows [first, stop); an error where the clip is not done."""
        entry, low, high = self._place(key, first, stop)
        with store_errors(self._reader.url):
            if self._valid is None:
                return ClipColumn(self._embedding.read(entry, entry + 1)[0], np.array(True))
            return ClipColumn(*fetch_together([self._embedding, self._valid], low, high))

    def valid(self, key: str) -> NDArray[np.bool_]:
        """One clip's mask, as in `read`, without reading its values."""
        _, low, high = self._place(key, 0, None)
        with store_errors(self._reader.url):
            return np.array(True) if self._valid is None else self._valid.read(low, high)

    def _place(self, key: str, first: int, stop: int | None) -> tuple[int, int, int]:
        """Entry of a clip, and where its rows [first, stop) begin and end in the arrays."""
        entry = self._reader.entry(key)
        if self._status[entry] != DONE:
            raise self._not_done(key, entry)
        clips = self._reader.clips
        start, rows = int(clips.start[entry]), int(clips.rows[entry])
        return entry, start + min(first, rows), start + min(rows if stop is None else stop, rows)

    def iterate(self, keys: Sequence[str]) -> Iterator[tuple[str, ClipColumn]]:
        """The clips in storage order, each chunk read once, in bounded memory.

        The arrays may be views of the block that was read: copy what is kept for long.
        """
        entries = np.unique(self._reader.entries(keys))
        for entry in entries[self._status[entries] != DONE][:1].tolist():
            raise self._not_done(str(self._reader.clips.key[entry]), entry)
        starts, stops = self._ranges(entries)
        names = self._reader.clips.key[entries]
        values = _Stream(self._embedding, starts, stops)
        ranges = zip(names.tolist(), starts.tolist(), stops.tolist(), strict=True)
        with store_errors(self._reader.url):
            if self._valid is None:
                for name, start, stop in ranges:
                    yield name, ClipColumn(values.take(start, stop)[0], np.array(True))
                return
            valid = _Stream(self._valid, starts, stops)
            for name, start, stop in ranges:
                yield name, ClipColumn(values.take(start, stop), valid.take(start, stop))

    def arrays(self) -> list[tuple[str, RowStore]]:
        """Name and rows of what has the clips' numbers: `embedding` and, by seconds, `valid`."""
        both = {"embedding": self._embedding, "valid": self._valid}
        return [(name, rows) for name, rows in both.items() if rows is not None]

    def _rows(self, name: str) -> RowStore:
        files = self._reader.chunk_files(f"{self.name}/{name}")
        return RowStore(array(self._group, name), files)

    def _ranges(self, entries: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last-plus-one row of each entry's data along the first axis."""
        if self.clip_level:
            return entries, entries + 1
        starts = self._reader.clips.start[entries]
        return starts, starts + self._reader.clips.rows[entries]

    @cached_property
    def _status(self) -> NDArray[np.uint8]:
        """Status of every entry; a column that its writer has not grown yet is pending there."""
        with store_errors(self._reader.url):
            stored = array(self._group, "status")[:]
        padding = max(0, len(self._reader.clips.alive) - len(stored))
        return np.pad(stored, (0, padding), constant_values=PENDING)

    @cached_property
    def _reason(self) -> NDArray[np.object_]:
        with store_errors(self._reader.url):
            stored = array(self._group, "reason")[:]
        reasons = np.full(len(self._status), "", dtype=object)
        reasons[: len(stored)] = stored
        return reasons

    def _not_done(self, key: str, entry: int) -> CacheError:
        reason = self._reason[entry]
        status = STATUS_NAMES[int(self._status[entry])]
        return CacheError(
            f"the clip has no values in column {self.name}",
            where=key,
            found=f"{status}: {reason}" if reason else status,
            next_step="ask `statuses` first" if reason else "run `avfd extract`",
        )


class _Stream:
    """Row ranges of an array, taken in ascending order, read in chunk-aligned blocks."""

    def __init__(
        self, source: RowStore, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> None:
        most = max(1, BLOCK_BYTES // source.chunk_bytes)
        self._source = source
        self._spans = chunk_spans(starts, stops, source.length, most)
        self._nothing = np.empty((0,), dtype=source.dtype)
        self._blocks: list[tuple[int, NDArray[Any]]] = []

    def take(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop); what lies in front of them is forgotten."""
        low, block = self._blocks[0] if self._blocks else (0, self._nothing)
        if low <= start and stop <= low + len(block):
            return block[start - low : stop - low]
        self._blocks = [(low, block) for low, block in self._blocks if low + len(block) > start]
        while not self._blocks or self._end < stop:
            low, high = next(self._spans)
            self._blocks.append((low, self._source.read(low, high)))
        parts = [block[max(start - low, 0) : stop - low] for low, block in self._blocks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _end(self) -> int:
        low, block = self._blocks[-1]
        return low + len(block)
