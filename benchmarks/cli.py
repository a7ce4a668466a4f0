"""How long `avfd --help` takes, beside a bare interpreter.

python -m benchmarks.cli [--repeats 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.helpers import write_result

LIMIT_SECONDS = 0.5


def median_seconds(command: list[str], repeats: int) -> float:
    """Wall seconds of a command, the first call (which fills the page cache) left out."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    bare = median_seconds([sys.executable, "-c", "pass"], repeats)
    help_page = median_seconds([sys.executable, "-m", "avfd", "--help"], repeats)
    print(f"avfd --help: {help_page:.2f} s (limit {LIMIT_SECONDS} s); bare Python: {bare:.2f} s")
    write_result("cli", {"help_seconds": help_page, "bare_seconds": bare})


if __name__ == "__main__":
    main()
