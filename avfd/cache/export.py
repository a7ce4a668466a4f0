"""Writing columns out as plain Zarr, HDF5 or Parquet, readable without avfd.

```
zarr     OUT/            clip [clips], rows, start; COLUMN/embedding, valid, status, reason
h5       OUT             a group a clip, named by its key: COLUMN/embedding, valid
parquet  OUT/            clips.parquet, a row a clip; COLUMN.parquet, a row a second
```
Retired entries are left out, and so are clips that the caller did not list; rows are renumbered
without gaps; clips that are not done hold zeros in Zarr and have no data in HDF5 and Parquet.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache.chunks import RowStore
from avfd.cache.layout import StoredArray
from avfd.cache.reader import ClipColumn, ColumnReader, Reader
from avfd.errors import InputError, StoreError
from avfd.specs import DONE, STATUS_NAMES

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 32 << 20
H5_OBJECT_BYTES = 4 << 10  # a group with its two arrays takes 2.5 KiB (measured)
Batch = list[tuple[str, ClipColumn]]


@dataclass(frozen=True)
class Clips:
    """The clips that are written, in storage order: their keys and rows, both [clips]."""

    snapshot_id: str
    keys: list[str]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, reader: Reader, listed: Collection[str] | None) -> Clips:
        keys = reader.keys if listed is None else [k for k in reader.keys if k in listed]
        return cls(reader.snapshot_id, keys, reader.clips.rows[reader.entries(keys)])


def export(
    reader: Reader,
    columns: Sequence[str],
    format: str,
    out: Path,
    listed: Collection[str] | None = None,
) -> None:
    """Write columns of a snapshot to a file or folder that does not exist yet.

    Args:
        reader: the snapshot.
        columns: their names.
        format: "zarr", "h5" or "parquet".
        out: the new file (h5) or folder; it appears when it is complete.
        listed: keys of the clips to write, those of a clip table; None: every clip of the cache,
            those included that a later index did not find any more.
    """
    if format not in FORMATS:
        raise InputError("no such export format", found=format, accepted=" | ".join(FORMATS))
    if out.exists() or out.is_symlink():
        raise InputError(
            "the export would overwrite something", where=out, next_step="choose another --out"
        )
    chosen = [reader.column(name) for name in columns]
    clips = Clips.of(reader, None if listed is None else set(listed))
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        FORMATS[format](clips, chosen, partial)
        partial.rename(out)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError("the export cannot be written", where=out, found=error) from error
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _facts(column: ColumnReader) -> dict[str, Any]:
    """What a reader without avfd needs to make sense of the numbers."""
    shape = list(column.shape)
    return {"rate_hz": column.rate_hz, "shape": shape, **column.spec_facts}


def _batches(clips: Clips, column: ColumnReader) -> Iterator[Batch]:
    """The clips that are done, in storage order, some megabytes at a time."""
    keys = np.array(clips.keys, dtype=object)
    batch: Batch = []
    size = 0
    for key, data in column.iterate(list(keys[column.statuses(clips.keys) == DONE])):
        batch.append((key, data))
        size += data.values.nbytes
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _to_zarr(clips: Clips, columns: Sequence[ColumnReader], out: Path) -> None:
    root = zarr.create_group(out, zarr_format=3, attributes={"snapshot": clips.snapshot_id})
    keys, rows = clips.keys, clips.rows
    starts = np.cumsum(rows) - rows
    _strings(root, "clip", keys)
    root.create_array("rows", data=rows)
    root.create_array("start", data=starts)
    place = {key: i for i, key in enumerate(keys)}
    for column in columns:
        group = root.create_group(column.name, attributes=_facts(column))
        group.create_array("status", data=column.statuses(keys))
        _strings(group, "reason", column.reasons(keys))
        if column.clip_level:
            _zarr_values(group, clips, column, place, np.arange(len(keys)), np.ones_like(rows))
        else:
            _zarr_values(group, clips, column, place, starts, rows)


def _zarr_values(
    group: zarr.Group,
    clips: Clips,
    column: ColumnReader,
    place: dict[str, int],
    starts: np.ndarray[Any, np.dtype[np.int64]],
    rows: np.ndarray[Any, np.dtype[np.int64]],
) -> None:
    """Fill `embedding` and, where the column has seconds, `valid`."""
    targets = {
        name: _like(group, name, each.source, int(rows.sum())) for name, each in column.arrays()
    }
    for batch in _batches(clips, column):
        at = np.array([place[key] for key, _ in batch])
        for name, target in targets.items():
            parts = [data.values if name == "embedding" else data.valid for _, data in batch]
            whole = [part[np.newaxis] for part in parts] if column.clip_level else parts
            RowStore(target).write(starts[at], starts[at] + rows[at], whole, keep_empty=False)


def _like(group: zarr.Group, name: str, source: StoredArray, length: int) -> StoredArray:
    return group.create_array(
        name, shape=(length, *source.shape[1:]), chunks=source.chunks, dtype=source.dtype
    )


def _strings(group: zarr.Group, name: str, values: Sequence[str]) -> None:
    target: StoredArray = group.create_array(
        name, shape=(len(values),), chunks=(1 << 14,), dtype="string"
    )
    target[:] = np.array(values, dtype=object)


def _check_space(clips: Clips, columns: Sequence[ColumnReader], out: Path) -> None:
    """Refuse what does not fit: HDF5 brings the process down where a write finds the disk full."""
    needed = H5_OBJECT_BYTES * len(clips.keys) * (1 + len(columns))
    for column in columns:
        done = column.statuses(clips.keys) == DONE
        rows = clips.rows[done].sum()
        vectors = done.sum() if column.clip_level else rows * column.rate_hz
        needed += int(vectors) * (math.prod(column.shape) * column.dtype.itemsize + 1)
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise StoreError(
            "the export does not fit on the disk",
            where=out.parent,
            found=f"{free / 1e9:.3g} GB free",
            accepted=f"{needed / 1e9:.3g} GB",
            next_step="free some space, choose another --out, or fewer columns with --backbone",
        )


def _to_h5(clips: Clips, columns: Sequence[ColumnReader], out: Path) -> None:
    import h5py

    _check_space(clips, columns, out)
    with h5py.File(out, "w") as file:
        file.attrs["snapshot"] = clips.snapshot_id
        file.attrs["columns"] = json.dumps({c.name: _facts(c) for c in columns})
        for key, rows in zip(clips.keys, clips.rows.tolist(), strict=True):
            file.create_group(key).attrs["rows"] = rows
        for column in columns:
            statuses, reasons = column.statuses(clips.keys), column.reasons(clips.keys)
            for key, status, reason in zip(clips.keys, statuses, reasons, strict=True):
                group = file[key].create_group(column.name)
                group.attrs["status"] = STATUS_NAMES[int(status)]
                group.attrs["reason"] = reason
            for key, data in (pair for batch in _batches(clips, column) for pair in batch):
                group = file[key][column.name]
                group["embedding"] = data.values
                if not column.clip_level:
                    group["valid"] = data.valid


def _to_parquet(chosen: Clips, columns: Sequence[ColumnReader], out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out.mkdir()
    keys = chosen.keys
    clips: dict[str, Any] = {"clip": keys, "rows": chosen.rows}
    for column in columns:
        names = [STATUS_NAMES[int(status)] for status in column.statuses(keys)]
        clips |= {f"{column.name} status": names, f"{column.name} reason": column.reasons(keys)}
    pq.write_table(pa.table(clips), out / "clips.parquet")
    for column in columns:
        schema = _schema(column)
        with pq.ParquetWriter(out / f"{column.name}.parquet", schema) as writer:
            for batch in _batches(chosen, column):
                writer.write_table(_table(batch, column, schema))


def _schema(column: ColumnReader) -> pa.Schema:
    """Fixed-size lists, flattened; their true shape stands in the metadata under "avfd"."""
    import pyarrow as pa

    numbers = math.prod(column.shape) * max(1, column.rate_hz)
    fields = [("clip", pa.string())]
    if not column.clip_level:
        fields.append(("second", pa.int32()))
        fields.append(("valid", pa.list_(pa.bool_(), column.rate_hz)))
    fields.append(("embedding", pa.list_(pa.from_numpy_dtype(column.dtype), numbers)))
    return pa.schema(fields, metadata={"avfd": json.dumps(_facts(column))})


def _table(batch: Batch, column: ColumnReader, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    counts = [1 if column.clip_level else len(data.values) for _, data in batch]
    columns: dict[str, Any] = {"clip": np.repeat([key for key, _ in batch], counts).tolist()}
    parts = {"embedding": [data.values for _, data in batch]}
    if not column.clip_level:
        columns["second"] = np.concatenate([np.arange(n, dtype=np.int32) for n in counts])
        parts["valid"] = [data.valid for _, data in batch]
    for name, arrays in parts.items():
        flat = np.concatenate([np.ascontiguousarray(each).reshape(-1) for each in arrays])
        size = schema.field(name).type.list_size
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat), size)
    return pa.table([columns[field.name] for field in schema], schema=schema)


FORMATS: dict[str, Callable[[Clips, Sequence[ColumnReader], Path], None]] = {
    "zarr": _to_zarr,
    "h5": _to_h5,
    "parquet": _to_parquet,
}
