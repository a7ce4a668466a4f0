"""`kill -9` of an extract, anywhere: the rerun ends where an undisturbed run does."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from pathlib import Path
from types import ModuleType

import pytest

from avfd.home import Home

KILLS = 4
COLUMN = "loudness"


@pytest.fixture(scope="module")
def undisturbed(
    extracts: ModuleType, small_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, tuple[int, str, bytes, bytes]], float]:
    """What a run that nobody disturbs leaves, and how long it takes in seconds."""
    home = extracts.copied(small_home, tmp_path_factory.mktemp("undisturbed") / "home")
    begin = time.monotonic()
    extracts.extract(home, [COLUMN], workers=2, limits={"commit_seconds": 0.0})
    return extracts.contents(home, COLUMN), time.monotonic() - begin


def kill_after(extracts: ModuleType, home: Home, seconds: float) -> list[int]:
    """Start an extract, kill its parent at that age; the processes left two seconds later."""
    run = extracts.start(home, [COLUMN], workers=2)
    with os.fdopen(os.pidfd_open(run.process.pid)) as ending:
        select.select([ending], [], [], seconds)
    run.process.send_signal(signal.SIGKILL)
    left: list[int] = run.left_after(2.0)
    run.process.communicate()
    return left


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_extract_goes_on_where_it_was(
    kill: int,
    extracts: ModuleType,
    home: Home,
    small_media: Path,
    undisturbed: tuple[dict[str, tuple[int, str, bytes, bytes]], float],
) -> None:
    expected, wall_seconds = undisturbed
    moment = (kill + random.Random(kill).random()) / KILLS * wall_seconds

    assert kill_after(extracts, home, moment) == [], "processes outlived their parent by 2 s"

    before = extracts.settled(home, COLUMN)
    with extracts.opens_in(small_media) as opens:
        extracts.extract(home, [COLUMN])
    assert before.isdisjoint(opens.counts), "a committed clip was computed again"
    assert extracts.contents(home, COLUMN) == expected
    todo = {name for name in expected_sounds(expected) if name not in before}
    assert set(opens.counts) == todo
    assert len(set(opens.counts.values())) <= 1, "a clip was computed twice"


def expected_sounds(expected: dict[str, tuple[int, str, bytes, bytes]]) -> set[str]:
    """Names of the clips whose media an extract opens: those that end as done."""
    return {Path(key).name for key, (_, reason, _, _) in expected.items() if not reason}
