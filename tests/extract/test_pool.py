"""A pool's items may do anything to their worker; the others must not notice."""

from __future__ import annotations

import importlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from avfd.errors import MissingError
from avfd.machine import core_count
from extract.pool import STARTS, Crash, Early, Pool, WorkerError

PLUGINS = Path(__file__).parent / "plugins"
GIB = 2**30


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PLUGINS))
    return importlib.import_module("pool_work")


def outcomes(work: ModuleType, items: list[str], **options: object) -> dict[str, object]:
    settings = {"workers": 2, "time_limit": lambda item: 60.0, **options}
    with Pool(work.build, **settings) as pool:
        return {o.item: o.result for o in pool.run(items)}


ECHOES = [f"echo {i}" for i in range(8)]


def echoed(results: dict[str, object]) -> bool:
    return all(results[item] == item.split()[1] for item in ECHOES)


def test_every_item_has_one_result(work: ModuleType) -> None:
    with Pool(work.build, workers=2, time_limit=lambda item: 60.0) as pool:
        found = [(o.item, o.result) for o in pool.run(ECHOES)]
    assert sorted(found) == [(item, item.split()[1]) for item in ECHOES]


def test_no_items_start_no_worker(work: ModuleType) -> None:
    with Pool(work.build_and_die, workers=2, time_limit=lambda item: 60.0) as pool:
        assert list(pool.run([])) == []


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("segfault", "worker killed by SIGSEGV (twice)"),
        ("exit 3", "worker exited with status 3 (twice)"),
        ("raise too short", "ValueError: too short"),
    ],
)
def test_a_bad_item_costs_itself_only(work: ModuleType, item: str, reason: str) -> None:
    results = outcomes(work, [*ECHOES[:4], item, *ECHOES[4:]])
    assert results[item] == Crash(reason)
    assert echoed(results)


def test_a_hanging_item_is_given_up_at_its_limit(work: ModuleType) -> None:
    results = outcomes(
        work, ["hang", *ECHOES], time_limit=lambda item: 0.3 if item == "hang" else 60.0
    )
    assert results["hang"] == Crash("no result within 0.3 s (twice)")
    assert echoed(results)


def test_a_huge_allocation_is_an_error_of_its_item(work: ModuleType) -> None:
    results = outcomes(work, ["eat", *ECHOES], memory_limit_bytes=2 * GIB)
    assert results["eat"] == Crash("MemoryError: out of memory")
    assert echoed(results)


def test_a_result_that_cannot_travel_is_an_error_of_its_item(work: ModuleType) -> None:
    results = outcomes(work, ["unpicklable", *ECHOES])
    assert isinstance(results["unpicklable"], Crash)
    assert "pickle" in results["unpicklable"].reason.lower()
    assert echoed(results)


def test_the_second_try_is_in_a_worker_that_saw_nothing_else(
    work: ModuleType, tmp_path: Path
) -> None:
    item = f"once {tmp_path / 'tried'}"
    results = outcomes(work, [*ECHOES[:4], item, *ECHOES[4:]], workers=1)
    assert results[item] == [item]
    assert echoed(results)


def test_a_crashed_item_is_tried_again_in_its_parts(work: ModuleType, tmp_path: Path) -> None:
    item = f"once {tmp_path / 'tried'}"
    parts = {item: ["echo good", "seen", "segfault"]}
    results = outcomes(work, [item], split=lambda item: parts.get(item, [item]))
    assert results == {
        "echo good": "good",
        "seen": ["seen"],
        "segfault": Crash("worker killed by SIGSEGV"),  # the other death was the whole's
    }


def test_a_large_result_arrives_whole(work: ModuleType) -> None:
    assert outcomes(work, ["big 30000000"]) == {"big 30000000": bytes(30_000_000)}


def test_workers_share_the_cores_and_keep_their_memory_limit(work: ModuleType) -> None:
    threads = str(max(1, core_count() // 2))
    results = outcomes(work, ["limits"], memory_limit_bytes=3 * GIB)
    assert results == {"limits": (threads, 3 * GIB)}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "unforeseen",
            "a worker could not be built; found: LookupError: no such module; next: run it again "
            "with --verbose to see where",
        ),
        (
            "memory",
            "a worker could not be built; found: RuntimeError: unable to mmap 9 bytes from file "
            "<a>: Cannot allocate memory (12); next: take fewer --workers, or fewer networks at "
            "once",
        ),
        (
            "untransportable",
            "a worker could not be built; found: Untransportable: 1 2; next: run it again with "
            "--verbose to see where",
        ),
    ],
)
def test_whatever_building_raises_is_one_sentence(work: ModuleType, kind: str, said: str) -> None:
    build = partial(work.build_badly, kind)
    with (
        Pool(build, workers=1, time_limit=lambda item: 60.0) as pool,
        pytest.raises(WorkerError) as caught,
    ):
        list(pool.run(ECHOES))
    assert str(caught.value) == said


def test_what_building_raises_for_people_comes_as_it_is(work: ModuleType) -> None:
    with (
        Pool(partial(work.build_badly, "foreseen"), workers=1, time_limit=lambda item: 60.0) as p,
        pytest.raises(MissingError, match=r"^no such model file; next: fetch it$"),
    ):
        list(p.run(ECHOES))


def test_starts_that_are_killed_are_tried_again(work: ModuleType, tmp_path: Path) -> None:
    build = partial(work.build_after_deaths, str(tmp_path / "starts"), STARTS - 1)
    with Pool(build, workers=1, time_limit=lambda item: 60.0) as pool:
        assert echoed({o.item: o.result for o in pool.run(ECHOES)})
    assert (tmp_path / "starts").stat().st_size == STARTS


def test_starts_are_counted_anew_after_one_that_was_ready(work: ModuleType, tmp_path: Path) -> None:
    """Each item kills its worker, and every second start is killed: more than three in all."""
    build = partial(work.build_every_second_time, str(tmp_path / "starts"))
    with Pool(build, workers=1, time_limit=lambda item: 60.0) as pool:
        found = [o.result for o in pool.run(["segfault", "segfault"])]
    assert found == [Crash("worker killed by SIGSEGV (twice)")] * 2
    assert (tmp_path / "starts").stat().st_size == 2 * 4


def test_a_builder_that_always_dies_ends_the_run_and_says_how(work: ModuleType) -> None:
    with (
        Pool(work.build_and_die, workers=1, time_limit=lambda item: 60.0) as pool,
        pytest.raises(
            WorkerError,
            match=r"could not start; found: worker exited with status 7, 3 starts in a row; "
            r"next: .*fewer --workers",
        ),
    ):
        list(pool.run(ECHOES))


def test_items_are_drawn_as_workers_come_free(work: ModuleType) -> None:
    drawn = 0

    def items() -> Iterator[str]:
        nonlocal drawn
        for drawn in count(1):
            yield f"echo {drawn}"

    with Pool(work.build, workers=2, time_limit=lambda item: 60.0) as pool:
        for done, _ in enumerate(pool.run(items()), start=1):
            assert drawn - done <= 4  # two in the workers, two ahead
            if done == 20:
                break


def test_closing_ends_the_workers(work: ModuleType) -> None:
    with Pool(work.build, workers=1, time_limit=lambda item: 60.0) as pool:
        (pid,) = [o.result for o in pool.run(["pid"])]
        assert isinstance(pid, int)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_closing_ends_what_a_worker_has_started(work: ModuleType, tmp_path: Path) -> None:
    fifo = tmp_path / "child"
    os.mkfifo(fifo)
    with Pool(work.build, workers=1, time_limit=lambda item: 60.0) as pool:
        assert [o.result for o in pool.run([f"breed {fifo}"])] == [None]
        child = os.pidfd_open(int(fifo.read_text()))
    ended, _, _ = select.select([child], [], [], 2.0)
    os.close(child)
    assert ended, "a worker's child outlived it by two seconds"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_is_for_the_parent(work: ModuleType, number: signal.Signals) -> None:
    assert outcomes(work, [f"signal {int(number)}"]) == {f"signal {int(number)}": "alive"}


def test_a_worker_is_out_of_the_terminals_reach_from_its_start(work: ModuleType) -> None:
    with Pool(work.build, workers=1, time_limit=lambda item: 60.0) as pool:
        (pid,) = [o.result for o in pool.run(["pid"])]
        assert isinstance(pid, int)
        assert os.getpgid(pid) == pid


def test_pieces_come_ahead_of_the_result_each_let_go_by_hand(work: ModuleType) -> None:
    taken: list[tuple[str, object]] = []
    held: list[Early[str]] = []

    def take(early: Early[str]) -> None:
        taken.append((early.item, early.value))
        held.append(early)

    found = {}
    pool: Pool[str, object]
    with Pool(work.build, workers=2, time_limit=lambda item: 60.0, take=take) as pool:
        for outcomes in pool.rounds(["pieces 5", *ECHOES]):
            found.update({o.item: o.result for o in outcomes})
            assert len(held) <= 1, "a worker sent a piece before it was let go"
            if held and len(found) >= len(ECHOES):  # the others do not wait for it
                held.pop().go()
    assert taken == [("pieces 5", i) for i in range(5)]
    assert found.pop("pieces 5") == "whole"
    assert echoed(found)


def test_an_item_whose_piece_is_not_let_go_is_not_overdue(work: ModuleType) -> None:
    held: list[Early[str]] = []
    quick = {"workers": 1, "time_limit": lambda item: 0.3}
    with Pool(work.build, **quick, take=held.append) as pool:
        rounds = pool.rounds(["pieces 1"])
        outcomes = [next(rounds) for _ in range(12)]  # a tenth of a second each once it waits
        while not held:
            outcomes.append(next(rounds))
        outcomes += [next(rounds) for _ in range(6)]
        assert not any(outcomes)
        held[0].go()
        assert [o.result for found in rounds for o in found] == ["whole"]


def test_pieces_of_a_dead_worker_come_again(work: ModuleType, tmp_path: Path) -> None:
    item = f"pieces-once {tmp_path / 'tried'}"
    told: list[object] = []

    def take(early: Early[str]) -> None:
        told.append(early.value)
        early.go()

    results = outcomes(work, [item], take=take, lost=lambda item: told.append("lost"))
    assert results == {item: "whole"}
    assert told[-3:] == ["lost", "first", "second"]
    assert told[:-3] in ([], ["first"])


def test_pieces_that_nobody_takes_are_a_bug(work: ModuleType) -> None:
    with pytest.raises(TypeError, match="nobody takes the pieces"):
        outcomes(work, ["pieces 1"])


def test_a_worker_can_have_the_next_item_at_hand(work: ModuleType) -> None:
    results = outcomes(work, [*ECHOES[:4], "segfault", *ECHOES[4:]], workers=1, ahead=1)
    assert results["segfault"] == Crash("worker killed by SIGSEGV (twice)")
    assert echoed(results)


def test_a_spoilt_worker_says_why_and_is_replaced(work: ModuleType) -> None:
    results = outcomes(work, [*ECHOES[:4], "spoilt no GPU", *ECHOES[4:]], workers=1)
    assert results["spoilt no GPU"] == Crash("no GPU (twice)")
    assert echoed(results)


def test_a_part_that_crashes_is_split_further(work: ModuleType) -> None:
    def halves(item: str) -> list[str]:
        items = item.removeprefix("all ").split("|")
        n = len(items) // 2
        return [f"all {'|'.join(part)}" for part in (items[:n], items[n:]) if part]

    results = outcomes(work, ["all echo 1|echo 2|segfault|echo 3"], split=halves)
    assert results == {
        "all echo 1|echo 2": ["1", "2"],
        "all segfault": Crash("worker killed by SIGSEGV"),
        "all echo 3": ["3"],
    }


_PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
import pool_work
from extract.pool import Pool
with Pool(pool_work.build, workers=1, time_limit=lambda item: 60.0) as pool:
    list(pool.run([f"hold {sys.argv[2]}"]))
"""


def test_workers_die_with_a_killed_parent_even_at_work(tmp_path: Path) -> None:
    fifo = tmp_path / "worker"
    os.mkfifo(fifo)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _PARENT, str(PLUGINS), str(fifo)]
    with subprocess.Popen(command, cwd=root) as parent:
        worker = os.pidfd_open(int(fifo.read_text()))
        parent.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([worker], [], [], 2.0)
    os.close(worker)
    assert ended, "the worker outlived its parent by two seconds"
