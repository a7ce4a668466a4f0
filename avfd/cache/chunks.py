"""Rows of stored arrays, moved a chunk at a time between memory and the store.

Zarr copies a chunk several times on its way, which costs more than the disk does. Where an array
has no codecs but `bytes` and crc32c, a chunk is its rows and four bytes of checksum: here those
are put together once, and summed while they are still in the processor's cache; where the chunk is
a file of this machine, it is read straight to where its rows belong. Arrays with other codecs go
through Zarr.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.core.sync import sync

from avfd.cache.chunk_files import ChunkFiles
from avfd.cache.layout import StoredArray
from avfd.cache.mapped import let_go
from avfd.cache.spans import chunk_spans
from avfd.machine import core_count

BLOCK_BYTES = 64 << 20
CHECKSUM_BYTES = 4
PAGE_BYTES = 4096
# Files read at once: enough to keep a disk busy while some are copied and summed; more for each
# core only get in each other's way (measured: 16 on two cores took half as long again as 4).
FILES_AT_ONCE = min(16, max(4, 2 * core_count()))

Rows = NDArray[np.int64]


class RowStore:
    """The rows of one array along its first axis.

    Args:
        source: the Zarr array.
        files: its chunk files, where it is of a snapshot in a folder.

    Attributes:
        source: the Zarr array.
        length: rows in a chunk.
        count: rows in the array.
    """

    def __init__(self, source: StoredArray, files: ChunkFiles | None = None) -> None:
        self.source = source
        self.length, *self._item = source.chunks
        self.count = source.shape[0]
        self.dtype = source.dtype.newbyteorder("<")
        self.chunk_bytes = math.prod(source.chunks) * source.dtype.itemsize
        codecs = source.async_array.metadata.codecs
        self._plain = [type(codec) for codec in codecs] == [BytesCodec, Crc32cCodec]
        self._files = files if self._plain else None

    def read(self, low: int, high: int) -> NDArray[Any]:
        """Rows [low, high), in memory of their own."""
        return fetch_together([self], low, high)[0]

    def from_files(self, low: int, high: int) -> tuple[NDArray[Any], list[int]]:
        """Rows [low, high) as far as files give them, and the chunks that are still missing."""
        high = min(high, self.count)
        out = _room((max(0, high - low), *self._item), self.dtype)
        indices = range(low // self.length, math.ceil(high / self.length))
        if self._files is None:
            return out, list(indices)

        def copy(index: int) -> bool:
            return self._copy_file(index, out, low)

        if len(indices) <= 2:  # as for most clips: quicker than the start of a thread
            return out, [index for index in indices if not copy(index)]
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            copied = pool.map(copy, indices)
            return out, [i for i, done in zip(indices, copied, strict=True) if not done]

    async def from_store(self, out: NDArray[Any], low: int, missing: Sequence[int]) -> None:
        """Complete what `from_files` began, as a task among others."""
        if not self._plain:
            out[:] = await self.source.async_array.getitem(slice(low, low + len(out)))
            return

        async def copy(index: int) -> None:
            stored = await self._load(index)
            part, skipped = self._window(index, out, low)
            part[:] = 0 if stored is None else stored[skipped : skipped + len(part)]

        await _each(copy, missing)

    def write(
        self, starts: Rows, stops: Rows, values: Sequence[NDArray[Any]], *, keep_empty: bool
    ) -> None:
        """Write many clips' rows, each chunk once; of mapped files no more is in memory than that.

        Args:
            starts, stops: rows [start, stop) of the clips, ascending, disjoint.
            values: a block of stop - start rows for each, of the array's data type.
            keep_empty: store chunks that hold nothing but zeros; else they go.
        """
        if not self._plain:
            target = self.source.with_config({"write_empty_chunks": keep_empty})
            _write_blocks(target, starts, stops, values)
            return

        async def put(index: int) -> None:
            await self._put(index, starts, stops, values, keep_empty)

        spans = chunk_spans(starts, stops, self.length, self.count)
        sync(_each(put, (at // self.length for span in spans for at in range(*span, self.length))))

    async def _put(
        self,
        index: int,
        starts: Rows,
        stops: Rows,
        values: Sequence[NDArray[Any]],
        keep_empty: bool,
    ) -> None:
        """Write one chunk; what no clip covers of it stays as it was."""
        low, high = index * self.length, min((index + 1) * self.length, self.count)
        first = int(np.searchsorted(stops, low, side="right"))
        last = int(np.searchsorted(starts, high, side="left"))
        begins = np.maximum(starts[first:last], low)
        covered = int((np.minimum(stops[first:last], high) - begins).sum())
        parts = list(values[first:last])
        parts[-1] = parts[-1][: high - int(starts[last - 1])]
        parts[0] = parts[0][int(begins[0] - starts[first]) :]
        if covered < high - low:
            whole = [await self._patched(index, begins - low, parts)]
        else:
            filling = np.zeros((self.length - covered, *self._item), dtype=self.dtype)
            whole = [*parts, filling] if len(filling) else parts
        await self._save(index, whole, keep_empty)
        for part in parts:
            let_go(part)

    async def _patched(
        self, index: int, places: Rows, parts: Sequence[NDArray[Any]]
    ) -> NDArray[Any]:
        """The stored chunk's rows [length, *item] with each part put at its place."""
        stored = await self._load(index)
        block = np.zeros((self.length, *self._item), dtype=self.dtype)
        if stored is not None:
            block[:] = stored
        for at, part in zip(places.tolist(), parts, strict=True):
            block[at : at + len(part)] = part
        return block

    async def _save(self, index: int, parts: Sequence[NDArray[Any]], keep_empty: bool) -> None:
        """Store a chunk's rows, given in parts, which are copied once."""
        store, key = self._place(index)
        if not keep_empty and not any(part.any() for part in parts):
            await store.delete(key)
            return
        pieces = [np.ascontiguousarray(part, dtype=self.dtype) for part in parts]
        checksum = 0
        for piece in pieces:
            checksum = google_crc32c.extend(checksum, piece)
        await store.set(
            key, _Whole(b"".join([*(piece.data for piece in pieces), _stored(checksum)]))
        )

    async def _load(self, index: int) -> NDArray[Any] | None:
        """The chunk's rows [length, *item], read-only; None where it is not stored.

        Raises:
            ValueError: its checksum is not that of its bytes.
        """
        store, key = self._place(index)
        buffer = await store.get(key, default_buffer_prototype())
        if buffer is None:
            return None
        raw = buffer.as_numpy_array()
        payload = raw[:-CHECKSUM_BYTES]
        if len(payload) != self.chunk_bytes or (_checksum(payload) != raw[-CHECKSUM_BYTES:]).any():
            raise ValueError(f"the checksum of {key} does not match")
        rows: NDArray[Any] = payload.view(self.dtype).reshape(self.length, *self._item)
        return rows

    def _copy_file(self, index: int, out: NDArray[Any], low: int) -> bool:
        """Copy a chunk's file to its rows of `out`; False where that cannot be done."""
        part, skipped = self._window(index, out, low)
        whole = len(part) == self.length
        room = part if whole else _room((self.length, *self._item), self.dtype)
        payload = room.reshape(-1).view(np.uint8)
        checksum = np.empty(CHECKSUM_BYTES, dtype=np.uint8)
        read = self._files is not None and self._files.read(index, payload, checksum)
        if not read or (_checksum(payload) != checksum).any():
            return False
        if not whole:
            part[:] = room[skipped : skipped + len(part)]
        return True

    def _window(self, index: int, out: NDArray[Any], low: int) -> tuple[NDArray[Any], int]:
        """The chunk's part of `out`, whose first row is `low`, and its rows in front of that."""
        at = index * self.length
        part = out[max(at - low, 0) : max(at + self.length - low, 0)]
        return part, max(low - at, 0)

    def _place(self, index: int) -> tuple[Any, str]:
        """Store and key of a chunk."""
        array = self.source.async_array
        name = array.metadata.encode_chunk_key((index, *(0 for _ in self._item)))
        return array.store_path.store, f"{array.store_path.path}/{name}"


def fetch_together(sources: Sequence[RowStore], low: int, high: int) -> list[NDArray[Any]]:
    """Rows [low, high) of several arrays, in memory of their own: one wait instead of many."""
    parts = [source.from_files(low, high) for source in sources]

    async def complete() -> None:
        pairs = zip(sources, parts, strict=True)
        await asyncio.gather(*(s.from_store(out, low, rest) for s, (out, rest) in pairs if rest))

    if any(missing for _, missing in parts):
        sync(complete())
    return [out for out, _ in parts]


class _Whole(cpu.Buffer):
    """Bytes on their way to the store, which asks for bytes: Zarr's own buffer would copy them."""

    def __init__(self, data: bytes) -> None:
        super().__init__(np.frombuffer(data, dtype=np.uint8))
        self._bytes = data

    def to_bytes(self) -> bytes:
        return self._bytes


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An empty array whose first byte begins a page, as a file's does in the page cache.

    NumPy begins large arrays 16 bytes into a page. Processors whose string copy is slow where the
    target lies that little behind its source in their pages (measured on AMD EPYC) then take three
    times as long to read a file.
    """
    count = math.prod(shape) * dtype.itemsize
    raw = np.empty(count + PAGE_BYTES, dtype=np.uint8)
    first = -raw.ctypes.data % PAGE_BYTES
    return raw[first : first + count].view(dtype).reshape(shape)


def _checksum(payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.frombuffer(_stored(google_crc32c.value(payload)), dtype=np.uint8)


def _stored(checksum: int) -> bytes:
    return checksum.to_bytes(CHECKSUM_BYTES, "little")


async def _each(work: Callable[[int], Awaitable[None]], indices: Iterable[int]) -> None:
    """Do the work for every index, as many at once as Zarr would."""
    slots = asyncio.Semaphore(zarr.config.get("async.concurrency"))

    async def one(index: int) -> None:
        async with slots:
            await work(index)

    await asyncio.gather(*(one(index) for index in indices))


def _write_blocks(
    target: StoredArray, starts: Rows, stops: Rows, values: Sequence[NDArray[Any]]
) -> None:
    """Write through Zarr in few slice assignments."""
    chunk = target.chunks[0]
    chunk_bytes = int(np.prod(target.chunks)) * target.dtype.itemsize
    for low, high in chunk_spans(starts, stops, chunk, max(1, BLOCK_BYTES // chunk_bytes)):
        inside = np.flatnonzero((starts < high) & (stops > low))
        low, high = max(low, int(starts[inside[0]])), min(high, int(stops[inside[-1]]))
        parts = [values[i][max(low - starts[i], 0) : high - starts[i]] for i in inside.tolist()]
        if sum(map(len, parts)) == high - low:
            target[low:high] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        else:
            block = target[low:high]
            for i, part in zip(inside.tolist(), parts, strict=True):
                at = max(starts[i], low) - low
                block[at : at + len(part)] = part
            target[low:high] = block
        for part in parts:
            let_go(part)
