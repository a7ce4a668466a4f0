"""Which file of a folder holds which chunk of a snapshot, so that chunks can be read directly.

Icechunk copies a chunk several times before Python has it, which costs more than the disk does,
and does not tell where a chunk lies. A chunk file is the stored chunk and nothing else; its name
stands in the array's manifest, which is read here: version 1 of the format, in its schema's words
(icechunk.io/en/stable/reference/spec, manifest.fbs; FlatBuffers: flatbuffers.dev/internals).

Nothing here is the last word. Whatever is not found, not understood or not whole is left to
Icechunk, which then reads it or says what is wrong.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.zstd import decompress
from numpy.typing import NDArray

HEADER_BYTES = 39
# The header's last bytes: version 1, a manifest, compressed by zstd.
KIND = b"\x01\x02\x01"
CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)
# Linux fetches what the first read of a file asks for into its smallest pages and reads ahead into
# ever larger ones: after a first read of one page, a third less work and fewer waits in all.
FIRST_BYTES = 4096
# What a file that is gone, damaged or of another make leads to while it is taken apart.
UNREADABLE = (OSError, RuntimeError, ValueError, IndexError)

# Fields by their number in the schema: of Manifest, ArrayManifest and ChunkRef.
ARRAYS = 1
NODE_ID, REFS = 0, 1
INDEX, OFFSET, LENGTH, CHUNK_ID = 0, 2, 3, 4

Places = NDArray[np.int64]


class SnapshotFiles:
    """The arrays of one snapshot of a repository in a folder.

    Args:
        folder: the repository.
        description: of the snapshot, as Icechunk's `inspect_snapshot` gives it (JSON).
    """

    def __init__(self, folder: Path, description: str) -> None:
        self._folder = folder
        nodes = json.loads(description).get("nodes", ())
        self._nodes: dict[str, Any] = {node["path"]: node for node in nodes}

    def array(self, path: str) -> ChunkFiles:
        """The chunk files of the array at that path of the repository."""
        node = self._nodes.get(f"/{path}", {})
        manifests = [
            self._folder / "manifests" / ref["id"] for ref in node.get("manifest_refs", ())
        ]
        return ChunkFiles(self._folder / "chunks", node.get("id", ""), manifests)


class ChunkFiles:
    """The chunk files of one array that is cut along its first axis only.

    Args:
        folder: of the chunk files.
        node: Icechunk's id of the array.
        manifests: the files that name its chunks.
    """

    def __init__(self, folder: Path, node: str, manifests: Sequence[Path]) -> None:
        self._folder, self._node, self._manifests = folder, node, manifests

    def read(self, index: int, payload: NDArray[np.uint8], checksum: NDArray[np.uint8]) -> bool:
        """Fill both with the chunk: what it holds, and the codec's checksum behind that.

        Returns:
            whether they hold it all now; False too where it has no file of just that length.
        """
        size = len(payload) + len(checksum)
        name, length = self._chunks.get(index, (b"", -1))
        if length != size:
            return False
        try:
            descriptor = os.open(self._folder / _text(name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)  # reads further ahead
                done = os.preadv(descriptor, [payload[:FIRST_BYTES].data], 0)
                rest = [payload[FIRST_BYTES:].data, checksum.data]
                done += os.preadv(descriptor, rest, done)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return done == size

    @cached_property
    def _chunks(self) -> dict[int, tuple[bytes, int]]:
        """Index along the first axis → id and bytes of each chunk that is a file of its own."""
        chunks: dict[int, tuple[bytes, int]] = {}
        for path in self._manifests:
            try:
                chunks.update(_chunks_of(path.read_bytes(), self._node))
            except UNREADABLE:
                continue
        return chunks


def _text(identifier: bytes) -> str:
    """An id as Icechunk writes it: Crockford's base 32.

    >>> _text(bytes(8)), _text(bytes([255] * 12))
    ('0000000000000', 'ZZZZZZZZZZZZZZZZZZZG')
    """
    return base64.b32encode(identifier).rstrip(b"=").translate(CROCKFORD).decode()


def _chunks_of(manifest: bytes, node: str) -> Iterator[tuple[int, tuple[bytes, int]]]:
    """What a manifest file says of one array's chunks."""
    if manifest[HEADER_BYTES - len(KIND) : HEADER_BYTES] != KIND:
        return
    data = np.frombuffer(decompress(manifest[HEADER_BYTES:]), dtype=np.uint8)
    arrays = _root(data).elements(ARRAYS)
    for number, identifier in enumerate(arrays.identifiers(NODE_ID, 8)):
        if _text(identifier) == node:
            refs = arrays[[number]].elements(REFS)
            refs = refs[refs.has(CHUNK_ID) & (refs.numbers(OFFSET) == 0)]
            names, lengths = refs.identifiers(CHUNK_ID, 12), refs.numbers(LENGTH).tolist()
            yield from zip(refs.first(INDEX), zip(names, lengths, strict=True), strict=True)


class _Tables:
    """FlatBuffers tables of one kind [n], whose fields are read for all of them at once.

    Args:
        data: the whole buffer.
        at: where the tables begin [n].
    """

    def __init__(self, data: NDArray[np.uint8], at: Places) -> None:
        self._data, self._at = data, at

    def __getitem__(self, which: Any) -> _Tables:
        return _Tables(self._data, self._at[which])

    def has(self, field: int) -> NDArray[np.bool_]:
        """Whether the field is stored [n]; else it has its default: 0 or nothing."""
        return self._places(field) > 0

    def numbers(self, field: int) -> Places:
        """The field, a uint64 [n]."""
        return np.where(self.has(field), _numbers(self._data, self._places(field), "<u8"), 0)

    def identifiers(self, field: int, size: int) -> list[bytes]:
        """The field, bytes [n][size], stored in every table."""
        return [raw.tobytes() for raw in _windows(self._data, self._places(field), size)]

    def elements(self, field: int) -> _Tables:
        """The tables of the vector that the first table's field is."""
        vector = self._follow(self._places(field)[:1])
        count = int(_numbers(self._data, vector, "<u4")[0])
        return _Tables(self._data, self._follow(vector + 4 + 4 * np.arange(count)))

    def first(self, field: int) -> list[int]:
        """The first element of the field, a vector of uint32 [n]."""
        vectors = self._follow(self._places(field))
        first: list[int] = _numbers(self._data, vectors + 4, "<u4").tolist()
        return first

    def _follow(self, at: Places) -> Places:
        """Where the pointers at those places lead."""
        return at + _numbers(self._data, at, "<u4")

    def _places(self, field: int) -> Places:
        """Where the field lies in each table [n]; 0 where it is not stored."""
        vtables = self._at - _numbers(self._data, self._at, "<i4")
        slot = 4 + 2 * field
        known = _numbers(self._data, vtables, "<u2") > slot
        offsets = _numbers(self._data, np.where(known, vtables + slot, 0), "<u2")
        return np.where(known & (offsets > 0), self._at + offsets, 0)


def _root(data: NDArray[np.uint8]) -> _Tables:
    return _Tables(data, _numbers(data, np.zeros(1, dtype=np.int64), "<u4"))


def _numbers(data: NDArray[np.uint8], at: Places, dtype: str) -> Places:
    """The numbers at those places, aligned or not."""
    windows = _windows(data, at, np.dtype(dtype).itemsize)
    numbers: Places = windows.view(dtype)[:, 0].astype(np.int64)
    return numbers


def _windows(data: NDArray[np.uint8], at: Places, size: int) -> NDArray[np.uint8]:
    """The bytes at those places [n, size]."""
    windows: NDArray[np.uint8] = data[at[:, np.newaxis] + np.arange(size)]
    return windows
