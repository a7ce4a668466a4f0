"""Arrays and attributes of a cache repository, as FORMAT.md states them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from avfd.errors import CacheError, InputError, MissingError
from avfd.specs import BackboneSpec

FORMAT, VERSION = "avfd-cache", 1
CHUNK_BYTES = 2 << 20
# A commit rewrites the chunks it touches, so the small arrays have small chunks: 64 KiB of
# validity, and the statuses of 16,384 clips (16 KiB), which is still only 62 chunks at a million.
VALID_CHUNK_BYTES = 1 << 16
CLIPS_PER_CHUNK = 1 << 14
TEXT_LEVEL = 1
# Of face crops level 1 makes 3 % less than level -5, writes a fifth and reads a fifth as fast.
PICTURE_LEVEL = -5
SHA256_BYTES = 32

# name → dtype and shape of one clip's value
CLIP_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "clip": ("string", ()),
    "start": ("int64", ()),
    "rows": ("int64", ()),
    "alive": ("bool", ()),
    "bytes": ("int64", ()),
    "mtime_ns": ("int64", ()),
    "sha256": ("uint8", (SHA256_BYTES,)),
}


class StoredArray(Protocol):
    """The part of `zarr.Array` that we use; zarr's own types allow scalars everywhere."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def chunks(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def fill_value(self) -> Any: ...
    @property
    def async_array(self) -> Any: ...
    def __getitem__(self, selection: Any, /) -> Any: ...
    def __setitem__(self, selection: Any, value: Any, /) -> None: ...
    def resize(self, new_shape: Any) -> None: ...
    def with_config(self, config: Any) -> StoredArray: ...


def chunk_length(item_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Items in a chunk: the power of two that comes nearest to `chunk_bytes`, at least one.

    >>> chunk_length(768 * 2), chunk_length(224 * 224 * 3 * 30)
    (1024, 1)
    """
    return 1 << max(0, round(math.log2(chunk_bytes / max(1, item_bytes))))


def create_root(store: Any) -> None:
    """Lay out an empty cache."""
    root = zarr.create_group(store, attributes={"format": FORMAT, "version": VERSION})
    for name, (dtype, shape) in CLIP_ARRAYS.items():
        _create_array(root, name, (0, *shape), (CLIPS_PER_CHUNK, *shape), dtype)


def open_root(store: Any, *, writable: bool = False, where: str = "") -> zarr.Group:
    """The root group; a format or version that is not ours is refused."""
    root = zarr.open_group(store, mode="r+" if writable else "r", zarr_format=3)
    found = (root.attrs.get("format"), root.attrs.get("version"))
    if found != (FORMAT, VERSION):
        raise CacheError(
            "this is not a cache that this avfd reads",
            where=where,
            found=f"{found[0]} version {found[1]}",
            accepted=f"{FORMAT} version {VERSION}",
            next_step="use the avfd that wrote it, or move it away and extract again",
        )
    return root


def array(group: zarr.Group, name: str) -> StoredArray:
    """The group's array of that name."""
    return cast("StoredArray", group[name])


def column_names(root: zarr.Group) -> list[str]:
    """Every column of the cache, sorted."""
    return sorted(root.group_keys())


def column_group(root: zarr.Group, column: str) -> zarr.Group:
    """The column's group; a missing one lists those there are."""
    found = root.get(column)
    if not isinstance(found, zarr.Group):
        raise MissingError(
            "no such column in the cache",
            where=column,
            accepted=", ".join(column_names(root)) or "none is extracted yet",
            next_step=f"run `avfd extract --backbone {column}`",
        )
    return found


@dataclass(frozen=True)
class ColumnFacts:
    """The part of a column's attributes that reading and writing need."""

    rate_hz: int
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, group: zarr.Group) -> ColumnFacts:
        spec = cast("dict[str, Any]", group.attrs["spec"])
        return cls(int(spec["rate_hz"]), tuple(spec["shape"]), str(spec["dtype"]))

    @property
    def clip_level(self) -> bool:
        return self.rate_hz == 0

    def values_shape(self, rows: int) -> tuple[int, ...]:
        """Shape of the values of a clip of that many rows."""
        return self.shape if self.clip_level else (rows, self.rate_hz, *self.shape)


def create_column(
    root: zarr.Group, column: str, spec: BackboneSpec, attributes: dict[str, Any]
) -> None:
    """An empty column: all clips pending."""
    if (
        column in CLIP_ARRAYS
        or not column.strip()
        or "/" in column
        or column.startswith((".", "_"))
    ):
        raise InputError(
            "not a name for a column",
            found=repr(column),
            accepted="letters and digits, none of the cache's own: " + ", ".join(CLIP_ARRAYS),
        )
    clips = array(root, "clip").shape[0]
    group = root.create_group(column, attributes={"spec": asdict(spec), **attributes})
    item = spec.shape if spec.clip_level else (spec.rate_hz, *spec.shape)
    length = chunk_length(math.prod(item) * np.dtype(spec.dtype).itemsize)
    _create_array(group, "embedding", (0, *item), (length, *item), spec.dtype, spec.compress)
    if not spec.clip_level:
        length = chunk_length(spec.rate_hz, VALID_CHUNK_BYTES)
        _create_array(group, "valid", (0, spec.rate_hz), (length, spec.rate_hz), "bool")
    _create_array(group, "status", (clips,), (CLIPS_PER_CHUNK,), "uint8")
    _create_array(group, "reason", (clips,), (CLIPS_PER_CHUNK,), "string")


TEACHERS = ("training_keys", "training_media")
"""Attributes of a column that list the clips which trained its network."""


def learn_teachers(known: MutableMapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Add the clips that trained a column's network to those that its attributes list.

    With them come the weights' facts and the licence of their data. Nothing is forgotten: the
    same file without its card knows less of itself than it did with it.
    """
    listed = {name: set(known.get(name) or ()) for name in TEACHERS}
    new = {name: set(facts.get(name) or ()) - listed[name] for name in TEACHERS}
    learnt = {name: sorted(listed[name] | new[name]) for name in TEACHERS if new[name]}
    if learnt:
        stands = {name: facts[name] for name in ("licence", "weights") if name in facts}
        known.update({**stands, **learnt})


def _create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: str,
    compress: bool = False,
) -> None:
    text = dtype == "string"
    level = TEXT_LEVEL if text else PICTURE_LEVEL
    zstd = [ZstdCodec(level=level)] if compress or text else []
    group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=cast("Any", dtype),
        compressors=cast("Any", [*zstd, Crc32cCodec()]),
        fill_value="" if text else 0,
    )


def renew(group: zarr.Group, name: str) -> None:
    """Make the array anew with the fill value all over, without looking at what it holds.

    Icechunk cannot change an array whose list of chunks (a manifest) it cannot read, but it can
    replace it.
    """
    old = cast("zarr.Array[Any]", group[name])
    group.create_array(
        name,
        shape=old.shape,
        chunks=old.chunks,
        dtype=cast("Any", old.dtype if old.dtype.kind in "biuf" else "string"),
        compressors=cast("Any", old.compressors),
        fill_value=old.fill_value,
        overwrite=True,
    )


def grow(target: StoredArray, length: int) -> None:
    """Lengthen the array along its first axis; never shorten it."""
    if target.shape[0] < length:
        target.resize((length, *target.shape[1:]))


def texts(values: Any) -> NDArray[np.object_]:
    """Strings as a one-dimensional object array, which is cheap to index and to change."""
    return np.array(values, dtype=object).reshape(-1)


def digests(sha256: Iterable[str]) -> NDArray[np.uint8]:
    """Hex digests as uint8 [n, 32]; zeros where "" (unknown)."""
    raw = b"".join(bytes.fromhex(text).rjust(SHA256_BYTES, b"\0") for text in sha256)
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, SHA256_BYTES)


@dataclass(frozen=True)
class ClipArrays:
    """The clip arrays, or the window [first, first + n) of them, in memory; all [n].

    Attributes:
        first: entry of element 0.
        key: clip keys (object array of str).
        start, rows: the clip's rows are [start, start + rows) of every column.
        alive: False for retired entries.
    """

    first: int
    key: NDArray[np.object_]
    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    alive: NDArray[np.bool_]

    @classmethod
    def load(cls, root: zarr.Group, first: int = 0, stop: int | None = None) -> ClipArrays:
        window = slice(first, stop)
        loaded = {n: array(root, n)[window] for n in ("start", "rows", "alive")}
        return cls(first, texts(array(root, "clip")[window]), **loaded)


def total_rows(root: zarr.Group) -> int:
    """Rows of all entries of the cache."""
    starts = array(root, "start")
    last = starts.shape[0] - 1
    return 0 if last < 0 else int(starts[last] + array(root, "rows")[last])
