"""Chunks read from their files are those that Icechunk hands out, or are left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from avfd.cache.chunk_files import ChunkFiles, SnapshotFiles
from avfd.cache.chunks import RowStore

CHUNK, WIDTH, COUNT = 64, 5, 21
BYTES = CHUNK * WIDTH * 4


class Repository:
    """An Icechunk repository in a folder with the arrays `x` and `group/x`, and their files."""

    def __init__(self, folder: Path, config: icechunk.RepositoryConfig | None = None) -> None:
        self.folder = folder
        storage = icechunk.local_filesystem_storage(str(folder))
        self._repository = icechunk.Repository.create(storage, config)
        session = self._repository.writable_session("main")
        for path in ("x", "group/x"):
            zarr.create_array(
                session.store,
                name=path,
                shape=(CHUNK * COUNT, WIDTH),
                chunks=(CHUNK, WIDTH),
                dtype="float32",
                compressors=[Crc32cCodec()],
                fill_value=0,
            )
        session.commit("create")

    def write(self, path: str, *chunks: int) -> None:
        """Commit new numbers for some chunks."""
        session = self._repository.writable_session("main")
        array = zarr.open_array(session.store, path=path)
        for chunk in chunks:
            rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
            array[rows] = np.random.default_rng().random((CHUNK, WIDTH), dtype=np.float32)
        session.commit("write")

    def array(self, path: str) -> zarr.Array[Any]:
        return zarr.open_array(self._repository.readonly_session("main").store, path=path)

    def files(self, path: str) -> ChunkFiles:
        snapshot_id = self._repository.lookup_branch("main")
        return SnapshotFiles(
            self.folder, self._repository.inspect_snapshot(snapshot_id, pretty=False)
        ).array(path)

    def from_icechunk(self, path: str, chunk: int) -> bytes | None:
        store = self._repository.readonly_session("main").store
        raw = sync(store.get(f"{path}/c/{chunk}/0", default_buffer_prototype()))
        return raw and raw.to_bytes()


def from_file(files: ChunkFiles, chunk: int, size: int = BYTES) -> bytes | None:
    payload, checksum = np.empty(size, np.uint8), np.empty(4, np.uint8)
    return bytes([*payload, *checksum]) if files.read(chunk, payload, checksum) else None


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Both arrays written in several commits, some chunks again, some never."""
    made = Repository(tmp_path / "repository")
    made.write("x", *range(0, 15))
    made.write("group/x", 1, 20)
    made.write("x", 3, 4, 17)
    made.write("group/x", 1, 2)
    return made


def check(repository: Repository, path: str) -> list[int]:
    """Every chunk is the one of Icechunk, or missing there too; returns those that are there."""
    files = repository.files(path)
    found = {chunk: from_file(files, chunk) for chunk in range(COUNT + 1)}
    assert found == {chunk: repository.from_icechunk(path, chunk) for chunk in range(COUNT + 1)}
    return [chunk for chunk, raw in found.items() if raw is not None]


def test_every_chunk_is_found_in_the_last_commit(repository):
    assert check(repository, "x") == [*range(15), 17]
    assert check(repository, "group/x") == [1, 2, 20]


def test_a_snapshot_keeps_its_chunks(repository):
    before, old = repository.files("x"), repository.from_icechunk("x", 3)
    repository.write("x", 3)
    assert from_file(before, 3) == old != repository.from_icechunk("x", 3)


def test_manifests_that_are_split(tmp_path):
    every_four = {icechunk.ManifestSplitDimCondition.Axis(0): 4}
    sizes = {icechunk.ManifestSplitCondition.AnyArray(): every_four}
    splitting = icechunk.ManifestSplittingConfig.from_dict(sizes)
    config = icechunk.RepositoryConfig(manifest=icechunk.ManifestConfig(splitting=splitting))
    repository = Repository(tmp_path / "split", config)
    repository.write("x", *range(COUNT))
    repository.write("x", 6)
    assert len(list((repository.folder / "manifests").iterdir())) == 7
    assert check(repository, "x") == list(range(COUNT))


def test_rows_of_any_range_are_those_of_zarr(repository, monkeypatch):
    source = repository.array("x")
    expected = source[:]
    rows = RowStore(source, repository.files("x"))
    for low in range(0, len(expected), 37):
        for high in range(low, len(expected) + 50, 101):
            np.testing.assert_array_equal(rows.read(low, high), expected[low:high])
    # Rows that are there need nobody else.
    monkeypatch.delattr(RowStore, "from_store")
    np.testing.assert_array_equal(rows.read(0, 15 * CHUNK), expected[: 15 * CHUNK])


def test_chunks_in_the_manifest_itself_are_left_to_icechunk(tmp_path):
    config = icechunk.RepositoryConfig(inline_chunk_threshold_bytes=BYTES + 4)
    repository = Repository(tmp_path / "inline", config)
    repository.write("x", *range(COUNT))
    assert not (repository.folder / "chunks").exists()
    assert from_file(repository.files("x"), 0) is None
    source = repository.array("x")
    np.testing.assert_array_equal(RowStore(source, repository.files("x")).read(0, 99), source[:99])


def test_what_is_not_known_is_left_to_icechunk(repository):
    assert from_file(repository.files("another"), 0) is None
    assert from_file(repository.files("x"), 0, BYTES - 4) is None
    assert from_file(SnapshotFiles(repository.folder, "{}").array("x"), 0) is None


def of_another_version(manifest: Path) -> None:
    raw = bytearray(manifest.read_bytes())
    raw[36] = 2
    manifest.write_bytes(raw)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [of_another_version, cut, empty, Path.unlink])
def test_a_manifest_that_cannot_be_read_is_left_to_icechunk(repository, harm):
    files = repository.files("x")
    for manifest in (repository.folder / "manifests").iterdir():
        harm(manifest)
    assert from_file(files, 0) is None


@pytest.mark.parametrize("harm", [cut, empty, Path.unlink])
def test_a_chunk_that_is_not_whole_is_left_to_icechunk(repository, harm):
    files = repository.files("x")
    for chunk in (repository.folder / "chunks").iterdir():
        harm(chunk)
    assert from_file(files, 0) is None


def test_clips_of_a_cache_are_read_from_files(cache, make, monkeypatch):
    cache.write({"mel": [make.done(i) for i in range(10)]})
    column = cache.snapshot().column("mel")
    column.statuses([make.key(0)])
    monkeypatch.delattr(RowStore, "from_store")
    np.testing.assert_array_equal(column.read(make.key(3)).values, make.values(3))
    np.testing.assert_array_equal(column.read(make.key(3)).valid, make.valid(3))
    for (_, data), i in zip(column.iterate([make.key(4), make.key(9)]), (4, 9), strict=True):
        np.testing.assert_array_equal(data.values, make.values(i))
