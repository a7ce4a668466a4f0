"""Our own way past Zarr's pipeline stores and reads what Zarr's would, chunk for chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from avfd.cache.chunks import RowStore, fetch_together

CODECS = {"plain": [Crc32cCodec()], "compressed": [ZstdCodec(), Crc32cCodec()]}
CHUNK = 4


def stored(codecs: str, dtype: str = "float32", rows: int = 11) -> zarr.Array[Any]:
    return zarr.create_array(
        MemoryStore(),
        name="x",
        shape=(rows, 2),
        chunks=(CHUNK, 2),
        dtype=dtype,
        compressors=CODECS[codecs],
        fill_value=0,
    )


def numbers(rows: int, dtype: str = "float32") -> NDArray[Any]:
    return (np.arange(rows * 2).reshape(rows, 2) % 5 + 1).astype(dtype)


def raw_chunks(array: zarr.Array[Any]) -> dict[str, bytes]:
    return {
        key: value.to_bytes()
        for key, value in array.store._store_dict.items()
        if not key.endswith("zarr.json")
    }


def put(
    array: zarr.Array[Any], spans: list[tuple[int, int]], values: NDArray[Any], keep: bool = True
) -> None:
    starts, stops = np.array(spans, dtype=np.int64).T
    parts = [values[start:stop] for start, stop in spans]
    RowStore(array).write(starts, stops, parts, keep_empty=keep)


@pytest.mark.parametrize("codecs", CODECS)
def test_mapped_files_are_stored_as_arrays_in_memory_are(codecs: str, tmp_path: Path) -> None:
    values, spans = numbers(11), [(0, 3), (3, 10)]
    values.tofile(tmp_path / "values")
    mapped = np.memmap(tmp_path / "values", np.float32, "r", shape=values.shape)
    from_file, from_memory = stored(codecs), stored(codecs)
    put(from_file, spans, mapped)
    put(from_memory, spans, values)
    assert raw_chunks(from_file) == raw_chunks(from_memory)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32", "int64"])
@pytest.mark.parametrize("codecs", CODECS)
def test_stored_bytes_are_zarrs(codecs: str, dtype: str) -> None:
    ours, zarrs, values = stored(codecs, dtype), stored(codecs, dtype), numbers(11, dtype)
    put(ours, [(0, 3), (3, 9), (9, 11)], values)
    zarrs[:] = values
    assert raw_chunks(ours) == raw_chunks(zarrs)
    assert len(raw_chunks(ours)) == 3


@pytest.mark.parametrize("codecs", CODECS)
def test_rows_between_the_clips_keep_what_they_had(codecs: str) -> None:
    array, expected = stored(codecs), numbers(11)
    array[:] = expected
    put(array, [(1, 2), (3, 6), (9, 10)], -expected)
    for start, stop in [(1, 2), (3, 6), (9, 10)]:
        expected[start:stop] *= -1
    np.testing.assert_array_equal(array[:], expected)


@pytest.mark.parametrize("codecs", CODECS)
def test_untouched_chunks_are_not_stored_and_read_as_zero(codecs: str) -> None:
    array, values = stored(codecs), numbers(11)
    put(array, [(9, 11)], values)
    assert len(raw_chunks(array)) == 1
    np.testing.assert_array_equal(RowStore(array).read(0, 9), np.zeros((9, 2)))


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("keep", [True, False])
def test_chunks_of_zeros_stay_or_go(codecs: str, keep: bool) -> None:
    array = stored(codecs)
    array[:] = numbers(11)
    put(array, [(2, 9)], np.zeros((11, 2), dtype=np.float32), keep)
    assert len(raw_chunks(array)) == (3 if keep else 2)


def test_what_is_read_begins_a_page() -> None:
    array = stored("plain")
    array[:] = numbers(11)
    assert RowStore(array).read(3, 9).ctypes.data % 4096 == 0


@pytest.mark.parametrize("codecs", CODECS)
def test_any_range_reads_as_zarr_reads_it(codecs: str) -> None:
    array = stored(codecs)
    array[:] = numbers(11)
    rows = RowStore(array)
    for low in range(12):
        for high in range(low, 14):
            np.testing.assert_array_equal(rows.read(low, high), array[low:high])


def test_arrays_of_both_kinds_are_fetched_together() -> None:
    arrays = [stored("plain"), stored("compressed", "uint8")]
    for array in arrays:
        array[:] = numbers(11, array.dtype.name)
    got = fetch_together([RowStore(array) for array in arrays], 3, 7)
    for array, rows in zip(arrays, got, strict=True):
        np.testing.assert_array_equal(rows, array[3:7])


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("spoil", ["flip", "shorten"])
def test_damage_is_noticed_on_reading_and_before_it_is_rewritten(codecs: str, spoil: str) -> None:
    array, values = stored(codecs), numbers(11)
    array[:] = values
    raw = raw_chunks(array)["x/c/1/0"]
    bad = raw[:-1] if spoil == "shorten" else bytes([raw[0] ^ 1]) + raw[1:]
    buffers = array.store._store_dict
    buffers["x/c/1/0"] = type(buffers["x/c/1/0"]).from_bytes(bad)
    RowStore(array).read(0, 4)
    with pytest.raises(ValueError, match="checksum"):
        RowStore(array).read(3, 5)
    with pytest.raises(ValueError, match="checksum"):
        put(array, [(5, 6)], values)
