"""A writer in a process of its own: `writer_process.py FOLDER COLUMN FIRST STEP COUNT BATCH`.

Writes the clips FIRST, FIRST + STEP, … below COUNT that its snapshot shows as pending, BATCH a
commit, and prints a line after each commit. Knows the numbers of conftest by the same formula.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from avfd.cache import Cache, ClipResult
from avfd.specs import DONE


def result(entry: int, key: str) -> ClipResult:
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5) + 1000 * entry
    valid = (np.arange(12).reshape(3, 4) + entry) % 3 > 0
    return ClipResult(entry, key, DONE, "", values, valid)


def main(folder: Path, column: str, first: int, step: int, count: int, batch: int) -> None:
    lock = folder / "locks" / "set.lock"
    cache = Cache.open(str(folder / "cache"), dataset="set", lock_path=lock)
    reader = cache.snapshot()
    keys = reader.keys[first:count:step]
    pending = [k for k, s in zip(keys, reader.column(column).statuses(keys), strict=True) if not s]
    for at in range(0, len(pending), batch):
        results = [result(reader.entry(key), key) for key in pending[at : at + batch]]
        report = cache.write({column: results})
        print(report.written, report.skipped, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *(int(text) for text in sys.argv[3:]))
