"""Cores and memory that this process may use: a container often has less than its host.

A control group's limits hold for all groups below it, so every parent's count, too. Both versions
are read, version 2 also where it stands beside version 1; a file that is not there limits nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def core_count(groups: Path = GROUPS, mount: Path = MOUNT) -> int:
    """Cores that this process may use, one at least; part of a core counts as one.

    Args:
        groups: says to which control groups the process belongs.
        mount: where these are seen as folders.
    """
    shares = [_share(folder) for folder in folders("cpu", groups, mount)]
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *shares])))


def memory_bytes(groups: Path = GROUPS, mount: Path = MOUNT) -> int:
    """Memory that this process may use, with all others of its groups; at most the machine's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found: list[float] = [machine]
    for folder in folders("memory", groups, mount):
        for name in ("memory.max", "memory.limit_in_bytes"):
            found += [value for value in _numbers(folder / name) if value > 0]
    return int(min(found))


def folders(controller: str, groups: Path, mount: Path) -> Iterator[Path]:
    """Folders of the groups whose controller bounds this process, from its own to the root's."""
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, names, path = line.split(":", 2)
            if not names:  # version 2 has one tree for all controllers
                places = [mount, mount / "unified"]
            elif controller in names.split(","):
                places = [mount / names, mount / controller]
            else:
                continue
            inner = Path(path.lstrip("/"))
            # A container may see another root than the one that the path starts from.
            below = [] if ".." in inner.parts else [inner, *inner.parents]
            yield from (place / each for place in places for each in below or [Path()])


def _share(folder: Path) -> float:
    """Cores that one group may use at a time; infinity where it is not limited."""
    quota, period = [*_numbers(folder / "cpu.max"), 0, 0][:2]
    if not quota:
        quota = next(iter(_numbers(folder / "cpu.cfs_quota_us")), 0)
        period = next(iter(_numbers(folder / "cpu.cfs_period_us")), 0)
    return quota / period if 0 < quota < math.inf and period > 0 else math.inf


def _numbers(path: Path) -> list[float]:
    """The numbers of a file, "max" as infinity; none where there is no such file."""
    try:
        return [math.inf if word == "max" else int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
