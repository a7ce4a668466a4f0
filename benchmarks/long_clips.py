"""What memory a long clip takes: it must not grow with the clip's length.

    python -m benchmarks.long_clips [--minutes 20,60] [--backbone faces]

A film of one portrait at 1 picture a second (256 px) is made for each length and extracted by one
worker: its face crops (224 px, 10 a second) are 1.5 MB for each second. The most memory that
nothing but the process's end or the swap could free (anonymous and shared, its proportional part:
`Pss_Anon` and `Pss_Shmem` of /proc/PID/smaps_rollup) is noted for the parent and for the worker,
and the most that is resident, in which pages of files count that the kernel takes back as it likes.

Numbers go to benchmarks/results/long_clips.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from skimage import data

from benchmarks.helpers import from_tests, write_result

SAMPLE_SECONDS = 0.2
LIMIT = 1.10


@dataclass
class Peak:
    """Of one process, in bytes.

    Attributes:
        kept: anonymous and shared memory.
        resident: all pages, those of files included.
    """

    kept: int = 0
    resident: int = 0

    def see(self, pid: int) -> None:
        """Look at a process; one that is gone takes nothing."""
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            return
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
        self.kept = max(self.kept, sizes["Pss_Anon"] + sizes["Pss_Shmem"])
        self.resident = max(self.resident, sizes["Rss"])


@cache
def portrait(size: tuple[int, int]) -> NDArray[np.uint8]:
    """The one picture."""
    return np.ascontiguousarray(data.astronaut()[: size[1], 96 : 96 + size[0]])


def measured(
    extracts: ModuleType, makers: ModuleType, folder: Path, minutes: float, backbone: str
) -> dict[str, object]:
    """Extract a film of that length and watch both processes."""
    media = folder / "media"
    media.mkdir(parents=True)
    makers.make_video(
        media / "long.mp4",
        minutes * 60,
        fps=1,
        size=(256, 256),
        picture=lambda seconds, size: portrait(size),
        audio_rate_hz=None,
    )
    home = extracts.indexed(folder / "home", media)
    begin = time.monotonic()
    run = extracts.start(home, [backbone], workers=1, device="cpu", limits={})
    parent, worker = Peak(), Peak()
    while run.process.poll() is None:
        for pid in run.processes():
            (parent if pid == run.process.pid else worker).see(pid)
        time.sleep(SAMPLE_SECONDS)
    report = extracts.reported(run)
    assert report["columns"][backbone.partition(":")[0]]["done"] == 1, report["failures"]
    return {
        "parent": asdict(parent),
        "worker": asdict(worker),
        "wall_seconds": time.monotonic() - begin,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", default="20,60")
    parser.add_argument("--backbone", default="faces")
    options = parser.parse_args()
    extracts, makers = from_tests("extract/extracts"), from_tests("media_makers")
    found: dict[str, dict[str, object]] = {}
    for minutes in options.minutes.split(","):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # /tmp may be memory
            found[minutes] = measured(
                extracts, makers, Path(name), float(minutes), options.backbone
            )
        print(minutes, found[minutes], flush=True)
    shortest, longest = found[min(found, key=float)], found[max(found, key=float)]
    ratios = {
        who: longest[who]["kept"] / shortest[who]["kept"]  # type: ignore[index]
        for who in ("parent", "worker")
    }
    date = datetime.now(UTC).date().isoformat()
    result = {"date": date, "backbone": options.backbone, "minutes": found, "ratios": ratios}
    print(f"{ratios}, written to {write_result('long_clips', result)}")
    return 0 if max(ratios.values()) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
