"""What an extract costs beyond its own work, and whether its memory grows with the data set.

    python -m benchmarks.extract [--parts cpu,memory] [--minutes 20] [--media DIR] [--many 10000]

1. CPU seconds of an extract (all its processes, commits included) against decoding, face pass and
   features of the same clips alone, one after the other in one process. It must stay within 10 %
   once the start is taken off: imports and models, measured as what an extract of one clip a worker
   spends beside its clips. The ratio with the start is printed, too.
2. How many of the cores were busy between the first clip's return and the last one's.
3. Peak memory of all processes over 100 and over --many tiny clips. It must stay within 10 %.

The media are hard links to the files of --media (default: `$AVFD_TESTDATA`/clips), as often as
needed; without any, the demo corpus is made. The first two are the part `cpu`, the third `memory`:
a part's figures replace its earlier ones in benchmarks/results/extract.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from types import ModuleType

from avfd.clips import read_table
from avfd.home import Home
from benchmarks.helpers import RESULTS, ROOT, from_tests, write_result
from extract.stopwatch import Stopwatch

COLUMNS = ["compare2016", "mel", "face_track"]
SAMPLE_SECONDS = 0.1
LIMIT = 1.10


@dataclass(frozen=True)
class Cost:
    """Of one extract, all processes together.

    Attributes:
        cpu_seconds: user and system.
        wall_seconds: from start to end.
        parts: what the workers say that their clips took, by part (`extract.stopwatch`).
        busy_cores: CPU seconds a second, from the first clip's return to the last one's.
        peak_bytes: most resident memory seen at one moment.
        devices: what each device did, where networks ran in batches.
        media_seconds: length of the clips.
    """

    cpu_seconds: float
    wall_seconds: float
    parts: dict[str, float]
    busy_cores: float
    peak_bytes: int
    devices: list[dict[str, float]]
    media_seconds: float

    @property
    def clip_cpu_seconds(self) -> float:
        """CPU seconds of all parts."""
        return sum(self.parts.values())


def linked(sources: list[Path], folder: Path, enough: Callable[[int], bool]) -> Path:
    """Hard links to the sources in turn, until there are enough."""
    folder.mkdir(parents=True)
    for i, source in enumerate(cycle(sources)):
        if enough(i):
            return folder
        os.link(source, folder / f"{i:06d}{source.suffix.lower()}")
    raise AssertionError("no sources")


def measured(
    extracts: ModuleType, home: Home, columns: list[str], workers: int, device: str = "cpu"
) -> Cost:
    """Run an extract and watch it from outside."""
    told, tell = os.pipe()
    begin = time.monotonic()
    run = extracts.start(
        home,
        columns,
        workers=workers,
        device=device,
        progress_fd=tell,
        limits={"commit_seconds": 30.0},
    )
    os.close(tell)
    moments: list[float] = []
    listener = threading.Thread(target=listen, args=(told, moments))
    listener.start()
    samples = list(sampled(run, listener))
    before = os.times()
    status, report, error = run.end()
    after = os.times()
    assert status == 0, error
    # The first word is told at the start, each further one when a clip came back.
    inside = [s for s in samples if moments[min(1, len(moments) - 1)] <= s[0] <= moments[-1]]
    first, last = (inside or samples)[0], (inside or samples)[-1]
    return Cost(
        sum(after[2:4]) - sum(before[2:4]),
        time.monotonic() - begin,
        report["cpu_seconds"],
        (last[1] - first[1]) / max(last[0] - first[0], SAMPLE_SECONDS),
        max(resident for _, _, resident in samples),
        report["devices"],
        report["media_seconds"],
    )


def listen(told: int, moments: list[float]) -> None:
    """Note when each word came, until the other side is gone."""
    while os.read(told, 1):
        moments.append(time.monotonic())
    os.close(told)


def sampled(run: object, listener: threading.Thread) -> Iterator[tuple[float, float, int]]:
    """Time, CPU seconds so far and resident bytes of all processes, ten times a second."""
    while listener.is_alive():
        pids = run.processes()  # type: ignore[attr-defined]
        yield time.monotonic(), sum(map(cpu_seconds, pids)), sum(map(resident_bytes, pids))
        listener.join(SAMPLE_SECONDS)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has taken so far; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def alone(home: Home, dataset: str, columns: list[str]) -> dict[str, float]:
    """CPU seconds of decoding, face pass and features, each by itself, clip by clip."""
    from extract.audio import AudioTap
    from extract.backbones import build, load_all
    from extract.face_detector import Detector
    from extract.faces import FaceTracker, TrackOptions
    from extract.media import AudioChunk, decode
    from extract.weights import find

    load_all()
    backbones = [build(name) for name in columns]
    audio = [b for b in backbones if b.spec.audio]
    detector = Detector(find("blazeface", home).path, TrackOptions().search.min_score)
    root = Path(home.read_facts(dataset).root)
    watch = Stopwatch()
    for clip in read_table(home.clip_table(dataset)):
        with watch.on("decode"):
            items = list(decode(root, None, clip, audio=clip.has_audio, video=clip.has_video))
        with watch.on("faces"):
            tracker = FaceTracker(TrackOptions(), detector)
            for item in items:
                if not isinstance(item, AudioChunk):
                    tracker.push(item)
            tracker.finish(10**6)
        with watch.on("features"):
            for backbone in audio:
                tap = AudioTap(backbone.spec.audio, clip.seconds)
                blocks = [b for i in items if isinstance(i, AudioChunk) for b in tap.push(i)]
                for block in [*blocks, *tap.finish()]:
                    backbone.audio(block)
    return dict(watch.seconds)


def bench_cpu(
    extracts: ModuleType, folder: Path, sources: list[Path], minutes: float
) -> dict[str, object]:
    """Parts 1 and 2."""
    lengths = seconds_of(extracts, folder / "lengths", sources)
    total = 0.0

    def enough(i: int) -> bool:
        nonlocal total
        done = total >= minutes * 60
        total += lengths[i % len(lengths)]
        return done

    home = extracts.indexed(folder / "cpu", linked(sources, folder / "cpu-media", enough))
    workers = len(os.sched_getaffinity(0))
    few_media = linked(sources, folder / "few-media", lambda i: i >= workers)
    few = measured(extracts, extracts.indexed(folder / "few", few_media), COLUMNS, workers)
    start = few.cpu_seconds - few.clip_cpu_seconds
    whole = measured(extracts, home, COLUMNS, workers)
    parts = alone(home, extracts.DATASET, COLUMNS)
    return {
        "columns": COLUMNS,
        "media_minutes": sum(c.seconds for c in read_table(home.clip_table(extracts.DATASET))) / 60,
        "cpu_seconds": whole.cpu_seconds,
        "start_cpu_seconds": start,
        "clip_cpu_seconds": whole.clip_cpu_seconds,
        "alone_cpu_seconds": parts,
        "cpu_ratio": (whole.cpu_seconds - start) / sum(parts.values()),
        "cpu_ratio_with_start": whole.cpu_seconds / sum(parts.values()),
        "wall_seconds": whole.wall_seconds,
        "busy_cores": whole.busy_cores,
    }


def seconds_of(extracts: ModuleType, folder: Path, sources: list[Path]) -> list[float]:
    """Length of each source, by an index of them all."""
    home = extracts.indexed(folder, linked(sources, folder / "media", lambda i: i >= len(sources)))
    clips = {Path(c.key).stem: c.seconds for c in read_table(home.clip_table(extracts.DATASET))}
    return [clips[f"{i:06d}"] for i in range(len(sources))]


def bench_memory(
    extracts: ModuleType, makers: ModuleType, folder: Path, many: int
) -> dict[str, object]:
    """Part 3."""
    tiny = makers.make_audio(folder / "tiny.wav", makers.clicks(0.3, 16_000))
    peaks = {}
    for count in sorted({100, many}):
        media = linked([tiny], folder / f"media-{count}", lambda i, n=count: i >= n)  # type: ignore[misc]
        home = extracts.indexed(folder / f"home-{count}", media)
        peaks[count] = measured(extracts, home, ["loudness"], workers=2).peak_bytes
    return {"peak_bytes": peaks, "memory_ratio": peaks[many] / peaks[100]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("AVFD_TESTDATA") or ROOT.parent / "shared" / "data") / "clips"
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--media", type=Path, default=default)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--parts", default="cpu,memory")
    options = parser.parse_args()
    parts = options.parts.split(",")
    extracts, makers = from_tests("extract/extracts"), from_tests("media_makers")
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # hard links want one disk
        folder = Path(name)
        if "cpu" in parts:
            sources = sources_in(options.media, folder / "sources")
            found["cpu"] = bench_cpu(extracts, folder, sources, options.minutes)
            print(found["cpu"], flush=True)
        if "memory" in parts:
            found["memory"] = bench_memory(extracts, makers, folder, options.many)
            print(found["memory"], flush=True)
    date = datetime.now(UTC).date().isoformat()
    path = RESULTS / "extract.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    kept = {part: before[part] for part in ("cpu", "memory") if part in before}
    measured_now = {part: {"date": date, **facts} for part, facts in found.items()}
    print(f"written to {write_result('extract', {**kept, **measured_now})}")
    ratios = [facts[f"{part}_ratio"] for part, facts in found.items()]
    return 0 if all(ratio <= LIMIT for ratio in ratios) else 1  # type: ignore[operator]


def sources_in(media: Path, folder: Path) -> list[Path]:
    """The media on the disk of the links; the demo corpus where there are none."""
    folder.mkdir()
    found = sorted(p for p in media.rglob("*") if p.suffix.lower() in (".mp4", ".avi"))
    if not found:
        return made_films(folder)
    return [shutil.copy(path, folder / f"{i:04d}{path.suffix}") for i, path in enumerate(found)]


def made_films(folder: Path) -> list[Path]:
    """The demo corpus."""
    from avfd.demo import make_corpus

    make_corpus(folder, clips=16, seed=0)
    return sorted(folder.rglob("*.mp4"))


if __name__ == "__main__":
    sys.exit(main())
