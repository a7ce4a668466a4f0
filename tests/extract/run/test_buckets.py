"""Which windows wait for others of their kind, and which make a job now."""

from __future__ import annotations

import pytest

from extract.boxes import Box
from extract.run import buckets as module
from extract.run.buckets import Buckets
from extract.sending import Kind, Parcel

A, B = Kind("a", (3,), "<f4"), Kind("b", (3,), "<f4")


def parcel(kind: Kind, size: int) -> Parcel:
    box = Box.of(None)
    box.size = size
    return Parcel("column", kind, 1, box)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_windows_wait_until_there_are_enough(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(module, "JOB_BYTES", 10)
    held = Buckets()
    held.put(1, parcel(A, 4))
    held.put(2, parcel(B, 4))
    assert held.job(at_once=False) is None
    held.put(3, parcel(A, 4))
    assert held.job(at_once=False) is None
    held.put(4, parcel(A, 4))
    job = held.job(at_once=False)
    assert job is not None
    assert (job.kind, job.tokens) == (A, (1, 3))  # a third one would be too much
    assert held.job(at_once=False) is None


def test_nobody_waits_for_long(clock: list[float]) -> None:
    held = Buckets()
    held.put(1, parcel(A, 4))
    clock[0] += module.LINGER_SECONDS
    held.put(2, parcel(B, 4))
    clock[0] += 0.1
    job = held.job(at_once=False)
    assert job is not None
    assert job.kind == A
    assert held.job(at_once=False) is None


def test_the_largest_goes_first_where_no_more_is_coming(clock: list[float]) -> None:
    held = Buckets()
    for token, (kind, size) in enumerate([(A, 4), (B, 3), (B, 3)]):
        held.put(token, parcel(kind, size))
    jobs = [held.job(at_once=True) for _ in range(3)]
    assert [job and job.tokens for job in jobs] == [(1, 2), (0,), None]


def test_a_parcel_larger_than_a_job_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOB_BYTES", 10)
    held = Buckets()
    held.put(1, parcel(A, 40))
    held.put(2, parcel(A, 40))
    job = held.job(at_once=False)
    assert job is not None
    assert job.tokens == (1,)


def test_a_job_has_only_so_many_parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOB_PARCELS", 2)
    held = Buckets()
    for token in range(3):
        held.put(token, parcel(A, 1))
    job = held.job(at_once=False)
    assert job is not None
    assert [half.tokens for half in job.halves()] == [(0,), (1,)]
    assert [half.tokens for half in job.halves()[0].halves()] == [(0,)]


def test_what_nobody_waits_for_is_dropped(clock: list[float]) -> None:
    held = Buckets()
    for token, kind in enumerate([A, B, A]):
        held.put(token, parcel(kind, 1))
    assert held.drop({0, 1, 9}) == {0, 1}
    job = held.job(at_once=True)
    assert job is not None
    assert job.tokens == (2,)
    assert held.job(at_once=True) is None
