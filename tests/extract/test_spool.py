"""Large arrays in files: the same bits, handed on without a copy, gone when nobody has them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from avfd.errors import StoreError
from avfd.specs import ABSENT, AudioInput, BackboneSpec
from extract import spool as module
from extract.assembly import Assembly, Grid
from extract.backbones.base import Backbone, Slots
from extract.boxes import receive, send
from extract.pool import Pool
from extract.spool import Mapping, Spool

SPEC = BackboneSpec(
    name="level", revision=1, modality="audio", summary="level", rate_hz=10, shape=(3, 2),
    dtype="float32", audio=AudioInput(8000), licence="-", source="-",
)  # fmt: skip


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", least_bytes=1)


def filled(spool: Spool | None) -> Grid:
    """Blocks with gaps, one over the end, one over another, and a number that is none."""
    grid = Grid(SPEC, rows=4, seconds=3.72, spool=spool)
    random = np.random.default_rng(0)
    for first, n in [(0, 13), (20, 7), (22, 3), (33, 12)]:
        values = random.normal(size=(n, 3, 2)).astype(np.float32)
        values[n // 2, 0, 0] = np.nan
        grid.put(Slots(first, values, random.random(n) < 0.7))
    return grid


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_grid_in_a_file_holds_what_one_in_memory_does(spool: Spool) -> None:
    (values, valid), (expected, mask) = filled(spool).cells(), filled(None).cells()
    assert Mapping.behind(values) is not None
    assert values.shape == expected.shape == (4, 10, 3, 2)
    assert values.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(valid, mask)
    assert not values.flags.writeable


def test_small_arrays_stay_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", least_bytes=100)
    assert spool.sheet((99,), "uint8") is None
    assert Spool(tmp_path, least_bytes=0).sheet((0, 3), "uint8") is None
    assert spool.sheet((25,), "float32") is not None


def test_a_mapped_array_travels_as_its_file(spool: Spool) -> None:
    grid = filled(spool)
    values, _ = grid.cells()
    here, there = Pipe()
    send(here, {"all": values, "part": values[1:3], "turned": values.T})
    found = receive(there)
    assert found["all"].tobytes() == values.tobytes()
    np.testing.assert_array_equal(found["part"], values[1:3])
    np.testing.assert_array_equal(found["turned"], values.T)
    mapped = Mapping.behind(found["all"])
    assert mapped is not None
    ours = Mapping.behind(values)
    assert ours is not None
    assert os.fstat(mapped.fd).st_ino == os.fstat(ours.fd).st_ino
    assert Mapping.behind(found["turned"]) is None  # not in the file's order: copied


def test_no_descriptor_is_left_and_no_file(spool: Spool) -> None:
    before = open_files()
    here, there = Pipe()
    send(here, filled(spool).cells())
    values, _ = receive(there)
    assert list(spool.folder.iterdir()) == []
    here.close()
    there.close()
    del values
    assert open_files() == before


def test_files_lose_their_name_at_once_where_they_must_be_made_with_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_EXCL)  # refused for writing
    (values, _), (expected, _) = filled(spool).cells(), filled(None).cells()
    assert list(spool.folder.iterdir()) == []
    assert values.tobytes() == expected.tobytes()


def test_a_killed_process_leaves_nothing(spool: Spool) -> None:
    program = (
        "import os, signal; from pathlib import Path; import numpy as np\n"
        "from extract.spool import Spool\n"
        f"sheet = Spool(Path({str(spool.folder)!r}), 1).sheet((9, 5), 'uint8')\n"
        "sheet.put(np.arange(4), np.ones((4, 5), 'uint8')); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert list(spool.folder.iterdir()) == []


def test_leftovers_go_and_files_that_are_being_made_stay(spool: Spool) -> None:
    spool.clear()  # nothing was ever kept there
    spool.folder.mkdir()
    for name in ("avfd-old", "avfd-new", "other"):
        (spool.folder / name).touch()
    os.utime(spool.folder / "avfd-old", (0, 0))
    os.utime(spool.folder / "other", (0, 0))
    spool.clear()
    assert sorted(path.name for path in spool.folder.iterdir()) == ["avfd-new", "other"]


class Level(Backbone):
    spec = SPEC


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_not_the_columns_failure(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Place:
        key, entry, rows, seconds = "k", 0, 1, 1.0

    column = Assembly("level", Level(), Place(), spool)  # type: ignore[arg-type]
    slots = Slots(0, np.ones((10, 3, 2), np.float32), np.ones(10, bool))
    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(StoreError, match=r"on its way to the cache.*No space left"):
        column.take(lambda block: slots, None)
    assert column.open
    assert column.result((ABSENT, "nothing")).status == ABSENT


def full_work() -> object:
    def work(item: int) -> None:
        raise StoreError("the disk is full", where="spool")

    return work


def test_a_full_disk_in_a_worker_ends_the_run() -> None:
    pool = Pool(full_work, workers=1, time_limit=lambda item: 60.0)
    with pool, pytest.raises(StoreError, match="spool: the disk is full"):
        list(pool.run([1, 2]))
