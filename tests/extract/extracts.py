"""What the tests of extract share: a small data set, extracts as processes, a cache as plain data.

`conftest.py` hands the module out as the fixture `extracts`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from avfd.cache import Cache
from avfd.home import Home
from avfd.specs import DONE
from extract.index import index_dataset

ROOT = Path(__file__).parents[2]
PLUGINS = Path(__file__).parent / "plugins"
DATASET = "small"


def make_media(folder: Path, makers: ModuleType, clips: int) -> Path:
    """`clips` sounds of one to three seconds, a text that claims to be sound, a silent film."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(5).normal(0, 0.1, (1, 48_000)).astype(np.float32)
    for i in range(clips):
        samples = noise[:, : 16_000 * (1 + i % 3) + 160 * i]
        makers.make_audio(folder / f"c{i:03d}.wav", samples * (1 + i) / clips)
    (folder / "text.wav").write_text("no sound at all\n" * 40)
    makers.make_video(folder / "mute.mp4", 1.0, audio_rate_hz=None)
    return folder


def indexed(home: Path, media: Path) -> Home:
    """A home with the media as its one data set."""
    index_dataset(Home(home), DATASET, media, layout="folder", workers=1)
    return Home(home)


def copied(home: Home, to: Path) -> Home:
    """The same home elsewhere."""
    shutil.copytree(home.path, to)
    return Home(to)


@dataclass
class Extract:
    """A running extract; every process of it carries a mark in its environment."""

    process: subprocess.Popen[str]
    mark: str

    def processes(self) -> list[int]:
        """Those that are alive, workers included."""
        wanted = f"AVFD_TEST_MARK={self.mark}".encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if _has(pid, wanted)]

    def left_after(self, seconds: float) -> list[int]:
        """Those still alive after at most that long."""
        end = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < end:
            os.sched_yield()
        return left

    def end(self) -> tuple[int, dict[str, Any], str]:
        """Exit status, report ({} without one) and error text, once it has ended."""
        out, err = self.process.communicate()
        return self.process.returncode, json.loads(out) if out.strip() else {}, err


def _has(pid: int, wanted: bytes) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        return state != b"Z" and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def start(home: Home, backbones: Sequence[str], modules: str = "", **options: Any) -> Extract:
    """Start an extract in a process of its own.

    Args:
        modules: modules of `plugins/` that register further backbones.
        options: of `extract_columns`; `limits` as a dict, `progress_fd` to be told of progress.
    """
    mark = uuid.uuid4().hex
    told = {"home": str(home.path), "dataset": None, "backbones": list(backbones), **options}
    told.setdefault("limits", {"commit_seconds": 0.0})  # a commit a clip
    told.setdefault("workers", 1)  # a worker more costs a second to start
    fd = options.get("progress_fd")
    process = subprocess.Popen(
        [sys.executable, str(PLUGINS / "extract_main.py"), json.dumps(told)],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{PLUGINS}",
            "AVFD_BACKBONE_MODULES": modules,
            "AVFD_TEST_MARK": mark,
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=() if fd is None else (fd,),
        text=True,
    )
    return Extract(process, mark)


def extract(
    home: Home, backbones: Sequence[str], modules: str = "", **options: Any
) -> dict[str, Any]:
    """Run an extract to its end, committed as a user's is; its report."""
    return reported(start(home, backbones, modules, **{"limits": {}, **options}))


def reported(run: Extract) -> dict[str, Any]:
    """The report of an extract that has to end well."""
    status, report, error = run.end()
    assert status == 0, error
    return report


def cache_of(home: Home) -> Cache:
    return Cache.open(home.cache_url(DATASET), dataset=DATASET, lock_path=home.lock_path(DATASET))


def contents(home: Home, column: str) -> dict[str, tuple[int, str, bytes, bytes]]:
    """Clip key → status, reason, values and mask of one column, as bytes."""
    reader = cache_of(home).snapshot()
    stored = reader.column(column)
    statuses, reasons = stored.statuses(reader.keys), stored.reasons(reader.keys)
    found = {}
    for key, status, reason in zip(reader.keys, statuses.tolist(), reasons, strict=True):
        cells = stored.read(key) if status == DONE else None
        arrays = (cells.values.tobytes(), cells.valid.tobytes()) if cells else (b"", b"")
        found[key] = (status, reason, *arrays)
    return found


def settled(home: Home, column: str) -> set[str]:
    """File names of the clips that are not pending, {} where the column is not there yet."""
    reader = cache_of(home).snapshot()
    if column not in reader.columns:
        return set()
    statuses = reader.column(column).statuses(reader.keys)
    return {
        Path(k).name for k, status in zip(reader.keys, statuses.tolist(), strict=True) if status
    }


_IN_OPEN, _IN_CLOSE_NOWRITE = 0x20, 0x10  # <sys/inotify.h>
_EVENT = struct.Struct("iIII")


@dataclass
class Opens:
    """How often each file of a folder was opened, by whatever process."""

    counts: Counter[str] = field(default_factory=Counter)


@contextmanager
def opens_in(folder: Path) -> Iterator[Opens]:
    """Watch a folder from outside, through inotify.

    Closes are asked for too, as the kernel joins equal events that follow each other.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert fd >= 0
    assert libc.inotify_add_watch(fd, os.fsencode(folder), _IN_OPEN | _IN_CLOSE_NOWRITE) >= 0
    opens = Opens()
    try:
        yield opens
        opens.counts.update(_names(fd))
    finally:
        os.close(fd)


def _names(fd: int) -> Iterator[str]:
    while True:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            _, kind, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            if kind & _IN_OPEN and length:
                yield data[at : at + length].rstrip(b"\0").decode()
            at += length
