"""`kill -9` of an extract at many moments, uniform over its wall time.

    python -m benchmarks.kill [--kills 50] [--clips 100] [--seed 1]

After each kill: no process may be left two seconds later, and a rerun must end with the arrays,
masks, statuses and reasons of an undisturbed run without opening the media of a clip that had been
committed. The moments are spread evenly over the wall time of the undisturbed run, with a random
place in each part. Exit status 1 where anything did not hold.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from avfd.home import Home
from benchmarks.helpers import from_tests, write_result

COLUMNS = ["loudness", "mel"]


@dataclass(frozen=True)
class Kill:
    """What followed one kill.

    Attributes:
        moment_seconds: age of the extract when it was killed.
        left: processes alive two seconds later.
        committed: clips that had been committed.
        opened_again: committed clips whose media the rerun opened.
        opened_twice: clips whose media the rerun opened more often than others.
        same: whether the cache equals the undisturbed one after the rerun.
    """

    moment_seconds: float
    left: int
    committed: int
    opened_again: int
    opened_twice: int
    same: bool

    @property
    def held(self) -> bool:
        return self.same and not (self.left or self.opened_again or self.opened_twice)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    extracts = from_tests("extract/extracts")
    with tempfile.TemporaryDirectory() as folder:
        media = extracts.make_media(
            Path(folder) / "media", from_tests("media_makers"), options.clips
        )
        kills = bench(extracts, Path(folder), media, options.kills, options.seed)
    held = sum(kill.held for kill in kills)
    path = write_result("kill", {"held": held, "kills": [asdict(kill) for kill in kills]})
    midway = sum(0 < kill.committed < options.clips + 2 for kill in kills)
    print(f"{held} of {len(kills)} kills held, {midway} of them between first and last commit")
    print(f"written to {path}")
    return 0 if held == len(kills) else 1


def bench(extracts: ModuleType, folder: Path, media: Path, kills: int, seed: int) -> list[Kill]:
    """Kill that many extracts of the same data set."""
    template = extracts.indexed(folder / "template", media)
    calm = extracts.copied(template, folder / "calm")
    begin = time.monotonic()
    extracts.extract(calm, COLUMNS, workers=2)
    wall_seconds = time.monotonic() - begin
    expected = {column: extracts.contents(calm, column) for column in COLUMNS}
    print(f"an undisturbed extract takes {wall_seconds:.1f} s", flush=True)
    found = []
    for i in range(kills):
        moment = (i + random.Random(seed * 1000 + i).random()) / kills * wall_seconds
        home = extracts.copied(template, folder / "home")
        found.append(kill_once(extracts, home, media, moment, expected))
        print(f"{i + 1:3d}: {found[-1]}", flush=True)
        shutil.rmtree(home.path)
    return found


def kill_once(
    extracts: ModuleType, home: Home, media: Path, moment: float, expected: dict[str, object]
) -> Kill:
    """One kill, one rerun."""
    run = extracts.start(home, COLUMNS, workers=2)
    try:
        run.process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        run.process.send_signal(signal.SIGKILL)
    left = len(run.left_after(2.0))
    run.process.communicate()
    committed = set.intersection(*(extracts.settled(home, column) for column in COLUMNS))
    with extracts.opens_in(media) as opens:
        extracts.extract(home, COLUMNS, workers=2)
    usual = min(opens.counts.values(), default=0)
    return Kill(
        moment_seconds=round(moment, 3),
        left=left,
        committed=len(committed),
        opened_again=len(committed & set(opens.counts)),
        opened_twice=sum(count > usual for count in opens.counts.values()),
        same=all(extracts.contents(home, c) == expected[c] for c in COLUMNS),
    )


if __name__ == "__main__":
    sys.exit(main())
