"""Reading every chunk of the last commit, naming the bad ones, and setting them pending."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import icechunk
import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache.layout import (
    CLIP_ARRAYS,
    CLIPS_PER_CHUNK,
    ColumnFacts,
    StoredArray,
    array,
    column_group,
    column_names,
    renew,
    texts,
)
from avfd.cache.reader import Reader
from avfd.cache.records import BadChunk
from avfd.cache.store import Store, store_errors
from avfd.cache.writer import reset_entries
from avfd.errors import CacheError
from avfd.specs import DONE, PENDING

BLOCK_BYTES = 32 << 20
# A chunk's checksum differs; its object is missing or cut short.
DAMAGE = (ValueError, RuntimeError, icechunk.IcechunkError)


def find_bad_chunks(store: Store) -> list[BadChunk]:
    """Every chunk of the last commit that cannot be read."""
    reader = Reader(store)
    root = store.read(reader.snapshot_id)
    places = [(path, i) for path in _paths(root) for i in _bad_indices(_array(root, path))]
    # A store that went away makes every chunk look bad: then this raises.
    store.head()
    if not places:
        return []
    index = _Salvage.load(root)
    return [_named(root, index, path, chunk) for path, chunk in places]


def _paths(root: zarr.Group) -> Iterator[str]:
    yield from CLIP_ARRAYS
    for column in column_names(root):
        for name in sorted(column_group(root, column).array_keys()):
            yield f"{column}/{name}"


def _array(root: zarr.Group, path: str) -> StoredArray:
    return cast("StoredArray", root[path])


def _bad_indices(source: StoredArray) -> Iterator[int]:
    """Indices along the first axis; many chunks at once, singly where that fails."""
    length = source.chunks[0]
    chunk_bytes = max(1, math.prod(source.chunks) * source.dtype.itemsize)
    step = max(1, BLOCK_BYTES // chunk_bytes)
    count = math.ceil(source.shape[0] / length)
    for at in range(0, count, step):
        if not _readable(source, at, at + step):
            yield from (i for i in range(at, min(at + step, count)) if not _readable(source, i))


def _readable(source: StoredArray, chunk: int, stop: int | None = None) -> bool:
    length = source.chunks[0]
    try:
        source[chunk * length : (chunk + 1 if stop is None else stop) * length]
    except DAMAGE:
        return False
    return True


def _salvaged(source: StoredArray) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The array with its fill value where it cannot be read, and where that is [n]."""
    values = np.zeros(source.shape, dtype=source.dtype)
    if source.dtype.kind not in "biuf":
        values = np.full(source.shape, "", dtype=object)
    lost = np.zeros(source.shape[0], dtype=bool)
    length = source.chunks[0]
    for at in range(0, source.shape[0], length):
        try:
            values[at : at + length] = source[at : at + length]
        except DAMAGE:
            lost[at : at + length] = True
    return values, lost


@dataclass(frozen=True)
class _Salvage:
    """What can be read of the clip arrays; `lost[name]` says where an array cannot."""

    values: dict[str, NDArray[Any]]
    lost: dict[str, NDArray[np.bool_]]

    @classmethod
    def load(cls, root: zarr.Group) -> _Salvage:
        both = {name: _salvaged(array(root, name)) for name in CLIP_ARRAYS}
        return cls(
            {n: pair[0] for n, pair in both.items()}, {n: pair[1] for n, pair in both.items()}
        )


def _named(root: zarr.Group, index: _Salvage, path: str, chunk: int) -> BadChunk:
    column, _, name = path.rpartition("/")
    entries = _concerned(root, index, column, name, chunk)
    keys = texts(index.values["clip"][entries[index.values["alive"][entries]]])
    return BadChunk(column, name, chunk, tuple(str(key) for key in keys if key))


def _concerned(
    root: zarr.Group, index: _Salvage, column: str, name: str, chunk: int
) -> NDArray[np.intp]:
    """Entries with data in the chunk."""
    count = len(index.values["alive"])
    in_chunk = np.arange(chunk * CLIPS_PER_CHUNK, min((chunk + 1) * CLIPS_PER_CHUNK, count))
    if not column or name == "status":
        return in_chunk
    group = column_group(root, column)
    status = _status(group, count)
    if name == "reason":
        return in_chunk[~np.isin(status[in_chunk], (PENDING, DONE))]
    length = array(group, name).chunks[0]
    start, rows = index.values["start"], index.values["rows"]
    if ColumnFacts.of(group).clip_level:
        start, rows = np.arange(count), np.ones(count, dtype=np.int64)
    inside = (start < (chunk + 1) * length) & (start + rows > chunk * length)
    return np.flatnonzero(inside & (status == DONE))


def _status(group: zarr.Group, count: int) -> NDArray[np.uint8]:
    stored = _salvaged(array(group, "status"))[0]
    return np.pad(stored, (0, max(0, count - len(stored))), constant_values=PENDING)


def repair_chunks(store: Store, bad: list[BadChunk]) -> None:
    """Empty the chunks that are still bad; their clips become pending, in one commit."""

    def body(root: zarr.Group) -> None:
        # Another process may have written some of them since they were found.
        still = [b for b in bad if not _readable(_array(root, b.path), b.chunk)]
        if any(not b.column for b in still):
            _mend_clip_arrays(root, store.url)
        index = _Salvage.load(root)
        for b in [b for b in still if b.column]:
            entries = _concerned(root, index, b.column, b.array, b.chunk)
            _empty(root, b.path, b.chunk)
            _repair_column(root, b.column, entries)

    with store_errors(store.url):
        store.change("repair", body)


def _repair_column(root: zarr.Group, column: str, entries: NDArray[np.intp]) -> None:
    """Set the entries pending; what else cannot be read of status and reason goes first."""
    group = column_group(root, column)
    for name in ("status", "reason"):
        target = array(group, name)
        for chunk in list(_bad_indices(target)):
            _empty(root, f"{column}/{name}", chunk)
    reset_entries(group, entries)


def _empty(root: zarr.Group, path: str, chunk: int) -> None:
    """Replace a column's chunk by the fill value unread; the array where nothing is readable."""
    target = _array(root, path)
    length = target.chunks[0]
    if _wholly_lost(target):
        column, _, name = path.rpartition("/")
        renew(column_group(root, column), name)
        return
    stop = min((chunk + 1) * length, target.shape[0])
    target[chunk * length : stop] = target.fill_value


def _wholly_lost(target: StoredArray) -> bool:
    """Whether no chunk can be read, as where the list of chunks is damaged."""
    count = math.ceil(target.shape[0] / target.chunks[0])
    return count > 0 and not any(_readable(target, i) for i in range(count))


def _mend_clip_arrays(root: zarr.Group, url: str) -> None:
    """Write the clip arrays anew: derived where another array tells, unknown where none does.

    `start` follows from `rows` and the reverse, `alive` from the order of equal keys. Size, time
    and sha256 become 0, so the next index looks at those files. Entries whose key is lost, and
    the last one if its row count is, are retired: the next index adds them anew.
    """
    index = _Salvage.load(root)
    values, lost = index.values, index.lost
    if (lost["start"] & lost["rows"]).any():
        raise CacheError(
            "start and rows of the same clips are damaged, nothing tells where their rows lie",
            where=url,
            next_step="move the cache away, then index and extract again",
        )
    gone = lost["clip"].copy()
    if lost["rows"].any():
        ends = np.append(values["start"][1:], max(_column_rows(root), values["start"][-1] + 1))
        values["rows"] = np.where(lost["rows"], ends - values["start"], values["rows"])
        gone[-1] |= lost["rows"][-1]
    if lost["start"].any():
        values["start"] = np.cumsum(values["rows"]) - values["rows"]
    if lost["alive"].any():
        values["alive"] = np.where(lost["alive"], _newest(values["clip"]), values["alive"])
    values["alive"] &= ~gone
    for name in CLIP_ARRAYS:
        if _wholly_lost(array(root, name)):
            renew(root, name)
        array(root, name)[:] = values[name]


def _column_rows(root: zarr.Group) -> int:
    """The largest number of rows that a column has."""
    groups = [column_group(root, column) for column in column_names(root)]
    return max(
        (array(g, "valid").shape[0] for g in groups if not ColumnFacts.of(g).clip_level), default=0
    )


def _newest(keys: NDArray[np.object_]) -> NDArray[np.bool_]:
    """True at the last entry of each key; lost keys are nobody's."""
    last = {key: i for i, key in enumerate(keys.tolist())}
    newest = np.zeros(len(keys), dtype=bool)
    newest[[i for key, i in last.items() if key]] = True
    return newest
