"""Speed and size of the cache against plain .npy files, as ratios taken in one run.

    python benchmarks/cache.py [--clips 100000] [--seconds 10] [--dim 768] [--folder DIR]

Times are medians of --repeats. "Cold" means that the pages of the files concerned were dropped
with posix_fadvise(DONTNEED) after an fsync, file by file, which needs no root; what the disk
itself caches stays. Writes end with an fsync of every file on both sides. The result goes to
benchmarks/results/cache.json and cache.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import icechunk
import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache import Cache, ClipResult, Entry
from avfd.specs import DONE, BackboneSpec

COLUMN = "bench"
CLIPS_A_COMMIT = 4096
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """One line of the table: ours against plain NumPy, and the limit that must hold."""

    what: str
    ours: float
    numpy: float | None
    unit: str
    limit: str

    @property
    def ratio(self) -> float | None:
        return None if self.numpy is None else self.ours / self.numpy


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else (p for p in path.rglob("*") if p.is_file())


def sync(path: Path, *, drop: bool = False) -> None:
    """fsync every file and, where asked, drop its pages."""
    for each in files(path):
        descriptor = os.open(each, os.O_RDONLY)
        os.fsync(descriptor)
        if drop:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def bytes_on_disk(path: Path) -> int:
    return sum(each.stat().st_size for each in files(path))


class Bench:
    """One corpus in both shapes: an .npy file and a cache, below one folder."""

    def __init__(self, folder: Path, clips: int, seconds: int, dim: int, repeats: int) -> None:
        self.folder, self.seconds, self.repeats = folder, seconds, repeats
        rng = np.random.default_rng(0)
        self.keys = [f"bench/part/{i:07d}.mp4" for i in range(clips)]
        self.data: NDArray[np.float16] = np.empty((clips * seconds, 1, dim), dtype=np.float16)
        for at in range(0, len(self.data), 1 << 16):
            part = self.data[at : at + (1 << 16)]
            part[:] = rng.random(part.shape, dtype=np.float32)
        self.spec = BackboneSpec(COLUMN, 1, "audio", "benchmark", 1, (dim,), "float16")

    def results(self) -> list[Result]:
        return [*self.written(), *self.read(), *self.opened(), self.collected()]

    def median(self, work: Callable[[], object], before: Callable[[], object] = int) -> float:
        times = []
        for _ in range(self.repeats):
            before()
            times.append(seconds_of(work))
        return statistics.median(times)

    def written(self) -> list[Result]:
        plain = self.median(self._save, lambda: self._remove("plain.npy"))
        index = self.median(self._new_cache)
        ours = self.median(self._write_all, self._new_cache)
        return [
            Result("write in aligned commits, synced", ours, plain, "s", "5 x"),
            Result(f"index {len(self.keys)} clips", index, None, "s", ""),
        ]

    def read(self) -> list[Result]:
        column = self._open().snapshot().column(COLUMN)
        everything = dict(column.arrays())["embedding"]
        last = column.iterate(self.keys)
        checked = next(last)[1].values[0, 0]
        assert (checked == self.data[0, 0]).all()
        del last, checked

        def all_clips() -> None:
            for _ in column.iterate(self.keys):
                pass

        lines = []
        for name, before, limit in (
            ("cold", self._drop, "1.1 x"),
            ("warm", self._load, "2.5 x (aim 1.5)"),
        ):
            plain = self.median(self._load, before)
            ours = self.median(lambda: everything[:], before)
            clips = self.median(all_clips, before)
            lines.append(Result(f"full read, {name}", ours, plain, "s", limit))
            lines.append(Result(f"clip by clip in order, {name}", clips, plain, "s", ""))
        return lines

    def opened(self) -> list[Result]:
        rng = np.random.default_rng(1)
        column = self._open().snapshot().column(COLUMN)
        column.read(self.keys[0])
        some = rng.choice(self.keys, 500).tolist()
        times = [seconds_of(partial(column.read, key)) for key in some]
        return [
            Result("a random clip, warm", statistics.median(times) * 1e3, None, "ms", "2 ms"),
            Result("open the cache", self.median(self._open) * 1e3, None, "ms", "few ms"),
        ]

    def collected(self) -> Result:
        self._open().gc()
        size = bytes_on_disk(self._path) / 1e6
        return Result("bytes after gc", size, self.data.nbytes / 1e6, "MB", "1.05 x")

    @property
    def _path(self) -> Path:
        return self.folder / "cache"

    def _open(self) -> Cache:
        lock = self.folder / "bench.lock"
        return Cache.open(str(self._path), dataset="bench", lock_path=lock, create=True)

    def _remove(self, name: str) -> None:
        path = self.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _save(self) -> None:
        np.save(self.folder / "plain.npy", self.data)
        sync(self.folder / "plain.npy")

    def _load(self) -> None:
        np.load(self.folder / "plain.npy")

    def _drop(self) -> None:
        sync(self.folder, drop=True)

    def _new_cache(self) -> None:
        self._remove("cache")
        self._open().update_clips([Entry(key, float(self.seconds), 1, 1) for key in self.keys])

    def _write_all(self) -> None:
        cache = self._open()
        cache.ensure_column(COLUMN, self.spec, "0" * 64, {})
        for at in range(0, len(self.keys), CLIPS_A_COMMIT):
            cache.write({COLUMN: [self._result(i) for i in self._commit(at)]})
        sync(self._path)

    def _commit(self, at: int) -> range:
        return range(at, min(at + CLIPS_A_COMMIT, len(self.keys)))

    def _result(self, i: int) -> ClipResult:
        values = self.data[i * self.seconds : (i + 1) * self.seconds]
        valid = np.ones((self.seconds, 1), dtype=bool)
        return ClipResult(i, self.keys[i], DONE, "", values, valid)


def table(results: list[Result], facts: dict[str, object]) -> str:
    lines = ["# Cache benchmark", "", ", ".join(f"{k} {v}" for k, v in facts.items()), ""]
    lines += ["| what | cache | NumPy | ratio | limit |", "| --- | --- | --- | --- | --- |"]
    for r in results:
        plain = "" if r.numpy is None else f"{r.numpy:.3g} {r.unit}"
        ratio = "" if r.ratio is None else f"{r.ratio:.2f} x"
        lines.append(f"| {r.what} | {r.ours:.3g} {r.unit} | {plain} | {ratio} | {r.limit} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    options = parser.parse_args()
    facts: dict[str, object] = {
        "clips": options.clips,
        "seconds": options.seconds,
        "dim": options.dim,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "zarr": zarr.__version__,
        "icechunk": icechunk.__version__,
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.clips, options.seconds, options.dim, options.repeats)
        results = bench.results()
    RESULTS.mkdir(exist_ok=True)
    lines = [asdict(r) | {"ratio": r.ratio} for r in results]
    (RESULTS / "cache.json").write_text(json.dumps({**facts, "results": lines}, indent=2) + "\n")
    (RESULTS / "cache.md").write_text(table(results, facts))
    print(table(results, facts), end="")


if __name__ == "__main__":
    main()
