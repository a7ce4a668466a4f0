"""300 damaged files among sound ones: each must end with a status and a reason.

    python -m benchmarks.bad_media [--files 300] [--seed 1] [--columns loudness mel face_track]

Files are cut, beheaded, bit-flipped, holed, text, empty, without tracks, noise, 0.1 s long or of
one pixel. Every one must end done, failed or absent, with a reason where it is not done; what
stands for the sound clips must equal what a run without the damaged ones stores; no file may
change. Exit status 1 where anything did not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from avfd.specs import DONE, STATUS_NAMES
from benchmarks.helpers import from_tests, write_result

SOUND_CLIPS = 10


def digests(folder: Path) -> dict[str, str]:
    """File name → sha256."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def arrays(found: tuple[int, str, bytes, bytes]) -> tuple[int, bytes, bytes]:
    """Status, values and mask; the reason names the folder."""
    status, _, values, valid = found
    return status, values, valid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--columns", nargs="+", default=["loudness", "mel", "face_track"])
    options = parser.parse_args()
    extracts, damage = from_tests("extract/extracts"), from_tests("extract/damage")
    makers = from_tests("media_makers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = extracts.make_media(folder / "sound", makers, SOUND_CLIPS)
        damage.make_damaged(folder / "all", makers, options.files, options.seed)
        shutil.copytree(sound, folder / "all", dirs_exist_ok=True)
        before = digests(folder / "all")
        wrong = []
        counts: dict[str, dict[str, int]] = {}
        homes = [extracts.indexed(folder / f"home-{n}", folder / n) for n in ("sound", "all")]
        for home in homes:
            extracts.extract(home, options.columns, workers=2)
        for column in options.columns:
            alone, found = (extracts.contents(home, column) for home in homes)
            counts[column] = dict(Counter(STATUS_NAMES[status] for status, *_ in found.values()))
            wrong += unexplained(column, found)
            differ = [k for k in alone if k not in found or arrays(found[k]) != arrays(alone[k])]
            wrong += [f"{column}: {key} differs" for key in differ]
        wrong += [f"{n} changed" for n, d in digests(folder / "all").items() if before[n] != d]
    path = write_result("bad_media", {"files": options.files, "columns": counts, "wrong": wrong})
    print("\n".join([*(f"{c}: {n}" for c, n in counts.items()), *wrong, f"written to {path}"]))
    return 1 if wrong else 0


def unexplained(column: str, found: dict[str, tuple[int, str, bytes, bytes]]) -> list[str]:
    """Clips without an ending, or without a reason for one that is not done."""
    return [
        f"{column}: {key} is {STATUS_NAMES[status]}, reason {reason!r}"
        for key, (status, reason, _, _) in found.items()
        if status == 0 or (status != DONE and not reason.strip())
    ]


if __name__ == "__main__":
    sys.exit(main())
