"""Who waits for a cache's lock says so once, and a signal ends the wait."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avfd.cache.lock import write_lock
from avfd.errors import Stopped
from extract.run.signals import Signals


class OnWarning(logging.Handler):
    """Does something at the moment when the wait is announced."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(logging.WARNING)
        self.act, self.said = act, []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        self.act()


@contextmanager
def at_the_wait(act: Callable[[], object]) -> Iterator[list[str]]:
    logger, handler = logging.getLogger("avfd.cache.lock"), OnWarning(act)
    logger.addHandler(handler)
    try:
        yield handler.said
    finally:
        logger.removeHandler(handler)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "set.lock"


@pytest.fixture
def release(path: Path) -> Iterator[Callable[[], None]]:
    """The lock is held by another descriptor; gives it up."""
    with write_lock([path]):
        pass  # which leaves its name in the file
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def test_a_wait_is_announced_once_with_the_file_and_its_holder(path, release):
    with at_the_wait(release) as said, write_lock([path]):
        pass
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    assert said == [f"waiting for the cache's lock {path}, which {holder} holds"]


def test_nothing_is_said_where_the_lock_is_free(path):
    with at_the_wait(pytest.fail), write_lock([path]):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_extract_would_note_ends_the_wait(path, release, number):
    before = signal.getsignal(number)
    with Signals() as signals, at_the_wait(lambda: signal.raise_signal(number)):
        with pytest.raises(Stopped, match="it waited for the cache's lock") as stopped:
            write_lock([path]).__enter__()
        assert (signals.caught, stopped.value.signum) == (number, number)
        assert signal.getsignal(number) == before  # the second one acts as it always did
    assert signal.getsignal(number) == before


def test_ctrl_c_ends_the_wait_of_any_other_command(path, release):
    with (
        at_the_wait(lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        write_lock([path]).__enter__()


def test_after_a_wait_signals_are_noted_as_before(path, release):
    with Signals() as signals:
        with at_the_wait(release), write_lock([path]):
            pass
        signal.raise_signal(signal.SIGTERM)
        assert signals.caught == signal.SIGTERM


def test_who_will_not_wait_is_told_at_once(tmp_path):
    path = tmp_path / "x.lock"
    with write_lock([path]), pytest.raises(BlockingIOError), write_lock([path], wait=False):
        pass
