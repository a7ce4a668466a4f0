"""What control groups leave of the machine's cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avfd import machine

GIB = 1 << 30
V2 = "0::/a/b\n"
V1 = "5:cpu,cpuacct:/a/b\n4:memory:/a/b\n1:name=systemd:/\n"


@pytest.fixture(autouse=True)
def sixteen_cores_and_64_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)


def seen(tmp_path: Path, groups: str, files: dict[str, str]) -> tuple[int, int]:
    """Cores and bytes of memory where /proc and /sys say this."""
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    places = tmp_path / "groups", tmp_path / "mount"
    return machine.core_count(*places), machine.memory_bytes(*places)


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory"),
    [
        (V2, {}, 16, 64 * GIB),
        (V2, {"a/b/cpu.max": "max 100000", "a/b/memory.max": "max"}, 16, 64 * GIB),
        (V2, {"a/b/cpu.max": "200000 100000", "a/b/memory.max": str(8 * GIB)}, 2, 8 * GIB),
        (V2, {"a/b/cpu.max": "250000 100000"}, 3, 64 * GIB),
        (V2, {"a/b/cpu.max": "10000 100000"}, 1, 64 * GIB),
        (V2, {"unified/a/cpu.max": "400000 100000"}, 4, 64 * GIB),
        (V2, {"a/memory.max": str(3 * GIB), "a/b/memory.max": str(5 * GIB)}, 16, 3 * GIB),
        (V2, {"cpu.max": "400000 100000", "memory.max": str(GIB)}, 4, GIB),
        ("0::/../b\n", {"cpu.max": "300000 100000"}, 3, 64 * GIB),
        (V2, {"a/b/cpu.max": "6400000 100000", "a/b/memory.max": str(99 * GIB)}, 16, 64 * GIB),
        (
            V1,
            {"cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000"},
            16,
            64 * GIB,
        ),
        (
            V1,
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "150000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
                "memory/a/b/memory.limit_in_bytes": str(6 * GIB),
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            2,
            6 * GIB,
        ),
        (V1, {"cpu.max": "100000 100000", "memory.max": "1"}, 16, 64 * GIB),
    ],
)
def test_the_smallest_limit_from_the_own_group_to_the_root_holds(
    groups: str, files: dict[str, str], cores: int, memory: int, tmp_path: Path
) -> None:
    assert seen(tmp_path, groups, files) == (cores, memory)


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    nowhere = tmp_path / "none"
    assert machine.core_count(nowhere, nowhere) == 16
    assert machine.memory_bytes(nowhere, nowhere) == 64 * GIB
