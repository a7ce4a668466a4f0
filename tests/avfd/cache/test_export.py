"""Every export, read back without avfd."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from avfd.cache import ClipResult, Entry
from avfd.cache.export import FORMATS, export
from avfd.errors import InputError, MissingError, StoreError
from avfd.specs import ABSENT, DONE


@pytest.fixture
def reader(cache, make):
    """Clips 0-3 and 5 done, 6 absent, 4 retired and added anew as entry 10."""
    cache.ensure_column("functionals", make.clip_spec, "a" * 64, {})
    vector = np.arange(5, dtype=np.float32)
    cache.write(
        {
            "mel": [
                *(make.done(i) for i in (0, 1, 2, 3, 4, 5)),
                ClipResult(6, make.key(6), ABSENT, "no face"),
            ],
            "functionals": [ClipResult(5, make.key(5), DONE, "", vector)],
        }
    )
    entries = make.entries(10)
    entries[4] = Entry(make.key(4), 3.0, 9999, 1)
    cache.update_clips(entries)
    return cache.snapshot()


def test_zarr(reader, make, tmp_path):
    export(reader, ["mel", "functionals"], "zarr", tmp_path / "out.zarr")
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    keys = root["clip"][:].tolist()
    assert make.key(4) == keys[-1]
    place = keys.index(make.key(5))
    rows = slice(root["start"][place], root["start"][place] + root["rows"][place])
    np.testing.assert_array_equal(root["mel/embedding"][rows], make.values(5))
    np.testing.assert_array_equal(root["mel/valid"][rows], make.valid(5))
    assert root["mel/status"][:].tolist() == [1, 1, 1, 1, 1, 3, 0, 0, 0, 0]
    assert root["mel/reason"][keys.index(make.key(6))] == "no face"
    assert root["functionals/embedding"][place].tolist() == [0, 1, 2, 3, 4]
    assert root["mel"].attrs["rate_hz"] == 4


def test_h5(reader, make, tmp_path):
    export(reader, ["mel", "functionals"], "h5", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        clip = file[make.key(5)]
        np.testing.assert_array_equal(clip["mel/embedding"][:], make.values(5))
        np.testing.assert_array_equal(clip["mel/valid"][:], make.valid(5))
        assert clip["functionals/embedding"][:].tolist() == [0, 1, 2, 3, 4]
        assert file[make.key(6)]["mel"].attrs["reason"] == "no face"
        assert "embedding" not in file[make.key(4)]["mel"]
        assert clip.attrs["rows"] == 3
        assert json.loads(file.attrs["columns"])["mel"]["fingerprint"] == "f" * 64


def test_parquet(reader, make, tmp_path):
    export(reader, ["mel", "functionals"], "parquet", tmp_path / "out")
    clips = pq.read_table(tmp_path / "out" / "clips.parquet").to_pylist()
    assert {c["clip"]: c["mel reason"] for c in clips}[make.key(6)] == "no face"
    table = pq.read_table(tmp_path / "out" / "mel.parquet")
    facts = json.loads(table.schema.metadata[b"avfd"])
    mine = [row for row in table.to_pylist() if row["clip"] == make.key(5)]
    assert [row["second"] for row in mine] == [0, 1, 2]
    values = np.array([row["embedding"] for row in mine], dtype=np.float32)
    shape = (len(mine), facts["rate_hz"], *facts["shape"])
    np.testing.assert_array_equal(values.reshape(shape), make.values(5))
    np.testing.assert_array_equal([row["valid"] for row in mine], make.valid(5))
    (vector,) = pq.read_table(tmp_path / "out" / "functionals.parquet").to_pylist()
    assert vector == {"clip": make.key(5), "embedding": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_nothing_is_overwritten_and_nothing_half_written_stays(reader, tmp_path, format):
    out = tmp_path / "taken"
    out.write_text("mine")
    with pytest.raises(InputError, match="overwrite"):
        export(reader, ["mel"], format, out)
    assert out.read_text() == "mine"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MissingError, match="no such column"):
        export(reader, ["mfcc"], format, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


def test_h5_that_does_not_fit_is_refused_at_its_real_size(reader, tmp_path, monkeypatch):
    """HDF5 crashes the process where the disk is full, so the estimate must not be too small."""
    columns = ["mel", "functionals"]
    export(reader, columns, "h5", tmp_path / "whole.h5")
    size = (tmp_path / "whole.h5").stat().st_size
    usage = shutil.disk_usage(tmp_path)._replace(free=size)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StoreError, match="does not fit"):
        export(reader, columns, "h5", tmp_path / "more.h5")
    assert [path.name for path in tmp_path.glob("*more*")] == []


def test_an_unknown_format_lists_the_known(reader, tmp_path):
    with pytest.raises(InputError, match=r"zarr \| h5 \| parquet"):
        export(reader, ["mel"], "csv", tmp_path / "x")


@pytest.mark.parametrize("format", FORMATS)
def test_clips_that_are_not_listed_are_not_written(reader, make, tmp_path, format):
    out = tmp_path / "out"
    listed = [make.key(5), make.key(6), make.key(2)]
    export(reader, ["mel", "functionals"], format, out, listed)
    in_order = [make.key(2), make.key(5), make.key(6)]
    if format == "zarr":
        root = zarr.open_group(out, mode="r")
        assert root["clip"][:].tolist() == in_order
        rows = slice(root["start"][1], root["start"][1] + root["rows"][1])
        np.testing.assert_array_equal(root["mel/embedding"][rows], make.values(5))
    elif format == "h5":
        with h5py.File(out) as file:
            found = [key for key in in_order if key in file]
            assert (found, make.key(3) in file) == (in_order, False)
            np.testing.assert_array_equal(file[make.key(5)]["mel/embedding"][:], make.values(5))
    else:
        assert pq.read_table(out / "clips.parquet")["clip"].to_pylist() == in_order
        assert set(pq.read_table(out / "mel.parquet")["clip"].to_pylist()) == set(in_order[:2])
