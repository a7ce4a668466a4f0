"""Speed and size of the cache against plain .npy files, as ratios taken in one run.

    python benchmarks/cache.py [--clips 100000] [--seconds 10] [--dim 768] [--folder DIR]

Both sides start from finished numbers in memory (for the cache: `ClipResult`s) and take turns, so
that a busy moment of the machine meets both. Each line gives medians of --repeats, the ratio of
the medians, that of the best times, and that of the CPU time (user and system): other work on the
machine touches the first most and the last least. Before each turn free memory is touched, as
the first use of a page costs a virtual machine more than reading or writing it. Writes end with an
fsync of every file, eight at a time, on both sides. "Cold" means that the pages of all files were
dropped with posix_fadvise(DONTNEED) after an fsync, which needs no root; what the disk itself
caches stays. A full read ends as a new array in memory, as with np.load; the cache verifies every
checksum on the way, NumPy has none. The result goes to benchmarks/results/cache.json and cache.md.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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
class Times:
    """Seconds that the same work took, run by run."""

    wall: list[float]
    cpu: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Result:
    """One line of the table: ours against plain NumPy, and the limit that must hold."""

    what: str
    ours: float
    numpy: float | None
    unit: str
    limit: str
    best_ratio: float | None = None
    cpu_ratio: float | None = None

    @classmethod
    def of(cls, what: str, ours: Times, plain: Times, limit: str = "") -> Result:
        best = min(ours.wall) / min(plain.wall)
        cpu = statistics.median(ours.cpu) / statistics.median(plain.cpu)
        return cls(what, ours.median, plain.median, "s", limit, best, cpu)

    @property
    def ratio(self) -> float | None:
        return None if self.numpy is None else self.ours / self.numpy


def take_turns(
    repeats: int, *contests: tuple[Callable[[], object], Callable[[], object]]
) -> list[Times]:
    """Run the works in turn; each is (what comes before and is not timed, work)."""
    times = [Times([], []) for _ in contests]
    for _ in range(repeats):
        for (before, work), each in zip(contests, times, strict=True):
            before()
            cpu = time.process_time()
            each.wall.append(seconds_of(work))
            each.cpu.append(time.process_time() - cpu)
    return times


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else (p for p in path.rglob("*") if p.is_file())


def sync(path: Path, *, drop: bool = False) -> None:
    """fsync every file and, where asked, drop its pages."""

    def one(file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        if drop:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, files(path)))


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
        self.commits = [self._commit(at) for at in range(0, clips, CLIPS_A_COMMIT)]

    def results(self) -> list[Result]:
        return [*self.written(), *self.read(), *self.opened(), self.collected()]

    def written(self) -> list[Result]:
        index = seconds_of(self._new_cache)
        plain, ours = take_turns(
            self.repeats,
            (self._no_plain, self._save),
            (self._new_cache_touched, self._write_all),
        )
        return [
            Result.of("write in aligned commits, synced", ours, plain, "5 x (aim 3)"),
            Result(f"index {len(self.keys)} clips", index, None, "s", ""),
        ]

    def read(self) -> list[Result]:
        column = self._open().snapshot().column(COLUMN)
        rows = dict(column.arrays())["embedding"]
        whole = rows.read(0, rows.count)
        assert (whole == self.data).all()
        del whole

        def all_rows() -> None:
            rows.read(0, rows.count)

        def all_clips() -> None:
            for _ in column.iterate(self.keys):
                pass

        lines = []
        for name, before, limit in (
            ("cold", self._dropped_touched, "1.1 x"),
            ("warm", self._touch_memory, "2.5 x (aim 1.5)"),
        ):
            plain, ours, clips = take_turns(
                self.repeats, (before, self._load), (before, all_rows), (before, all_clips)
            )
            lines.append(Result.of(f"full read, {name}", ours, plain, limit))
            lines.append(Result.of(f"clip by clip in order, {name}", clips, plain))
        return lines

    def opened(self) -> list[Result]:
        rng = np.random.default_rng(1)
        column = self._open().snapshot().column(COLUMN)
        column.read(self.keys[0])
        some = rng.choice(self.keys, 500).tolist()
        times = [seconds_of(partial(column.read, key)) for key in some]
        opens = take_turns(30, (int, self._open))[0].wall
        lines = []
        for what, runs, limit in (
            ("a random clip, warm", times, "2 ms"),
            ("open the cache", opens, "few ms"),
        ):
            milliseconds = (np.quantile(runs, (0.5, 0.1)) * 1e3).tolist()
            lines.append(Result(what, milliseconds[0], None, "ms", limit))
            lines.append(Result(f"{what}, fastest tenth", milliseconds[1], None, "ms", ""))
        return lines

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

    def _dropped_touched(self) -> None:
        self._drop()
        self._touch_memory()

    def _no_plain(self) -> None:
        self._remove("plain.npy")
        os.sync()
        self._touch_memory()

    def _new_cache(self) -> None:
        self._remove("cache")
        os.sync()
        self._open().update_clips([Entry(key, float(self.seconds), 1, 1) for key in self.keys])

    def _new_cache_touched(self) -> None:
        self._new_cache()
        self._touch_memory()

    def _touch_memory(self) -> None:
        """Use as much free memory as the pages of a copy and their buffers will take."""
        np.ones(2 * self.data.nbytes, dtype=np.uint8)

    def _write_all(self) -> None:
        cache = self._open()
        cache.ensure_column(COLUMN, self.spec, "0" * 64, {})
        for results in self.commits:
            cache.write({COLUMN: results})
        sync(self._path)

    def _commit(self, at: int) -> list[ClipResult]:
        return [self._result(i) for i in range(at, min(at + CLIPS_A_COMMIT, len(self.keys)))]

    def _result(self, i: int) -> ClipResult:
        values = self.data[i * self.seconds : (i + 1) * self.seconds]
        valid = np.ones((self.seconds, 1), dtype=bool)
        return ClipResult(i, self.keys[i], DONE, "", values, valid)


def table(results: list[Result], facts: dict[str, object]) -> str:
    lines = ["# Cache benchmark", "", ", ".join(f"{k} {v}" for k, v in facts.items()), ""]
    lines += ["| what | cache | NumPy | ratio | of the best | of CPU | limit |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        plain = "" if r.numpy is None else f"{r.numpy:.3g} {r.unit}"
        ratios = ["" if x is None else f"{x:.2f} x" for x in (r.ratio, r.best_ratio, r.cpu_ratio)]
        cells = [r.what, f"{r.ours:.3g} {r.unit}", plain, *ratios, r.limit]
        lines.append(f"| {' | '.join(cells)} |")
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
        "date": datetime.now(UTC).date().isoformat(),
        "clips": options.clips,
        "seconds": options.seconds,
        "dim": options.dim,
        "repeats": options.repeats,
        "hardware": f"{os.cpu_count()} cores, no GPU",
        "load before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "zarr": zarr.__version__,
        "icechunk": icechunk.__version__,
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.clips, options.seconds, options.dim, options.repeats)
        results = bench.results()
    facts["load after"] = round(os.getloadavg()[0], 1)
    RESULTS.mkdir(exist_ok=True)
    lines = [asdict(r) | {"ratio": r.ratio} for r in results]
    (RESULTS / "cache.json").write_text(json.dumps({**facts, "results": lines}, indent=2) + "\n")
    (RESULTS / "cache.md").write_text(table(results, facts))
    print(table(results, facts), end="")


if __name__ == "__main__":
    main()
