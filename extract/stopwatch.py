"""Where a worker's CPU time goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar, get_args

Part = Literal["decode", "faces", "crops", "sound", "features"]
"""Reading the files; finding and following the face; cutting crops; mixing, resampling and cutting
sound; what backbones do with these."""

T = TypeVar("T")


class _Running:
    """A stopwatch that runs for one part; it is entered thousands of times a clip."""

    __slots__ = ("_part", "_seconds", "_start")

    def __init__(self, seconds: dict[Part, float], part: Part) -> None:
        self._seconds, self._part = seconds, part

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._part] += time.process_time() - self._start


class Stopwatch:
    """CPU seconds of this process by the part of the work they went into."""

    def __init__(self) -> None:
        self.seconds: dict[Part, float] = dict.fromkeys(get_args(Part), 0.0)

    def on(self, part: Part) -> _Running:
        """For a `with` block that belongs to the part."""
        return _Running(self.seconds, part)

    def drawing(self, part: Part, items: Iterable[T]) -> Iterator[T]:
        """The items, the time to make each counted as that part's."""
        source = iter(items)
        running = self.on(part)
        while True:
            with running:
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
