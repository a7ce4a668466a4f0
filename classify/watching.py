"""Telling those who wait how a training goes; knows no library that trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training.

    Attributes:
        estimator: name of what is trained.
        number, most: from 1, and how many there may be.
        train_loss: mean over the epoch.
        monitored: what decides on the best epoch; None where nothing does.
        best: number of the best epoch so far, 0 where none counts yet.
    """

    estimator: str
    number: int
    most: int
    train_loss: float
    monitored: float | None
    best: int


@dataclass(frozen=True)
class Trial:
    """One trial of a search that has ended.

    Attributes:
        member: name of the model's member that is searched.
        number, most: from 1, and how many there will be.
        quality: on validation; None where the settings did not work.
        best: the best so far.
    """

    member: str
    number: int
    most: int
    quality: float | None
    best: float | None


Watcher = Callable[[Epoch | Trial], None]

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Every training and search inside tells `by` how it goes."""
    token = _WATCHER.set(by)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell(news: Epoch | Trial) -> None:
    """Tell who watches, if anyone does."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(news)
