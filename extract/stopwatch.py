"""Where a worker's CPU time goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar, get_args

Part = Literal["decode", "faces", "crops", "sound", "features"]
"""Reading the files; finding and following the face; cutting crops; mixing, resampling and cutting
sound; what backbones do with these."""

T = TypeVar("T")


class Stopwatch:
    """CPU seconds of this process by the part of the work they went into."""

    def __init__(self) -> None:
        self.seconds: dict[Part, float] = dict.fromkeys(get_args(Part), 0.0)

    @contextmanager
    def on(self, part: Part) -> Iterator[None]:
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[part] += time.process_time() - start

    def drawing(self, part: Part, items: Iterable[T]) -> Iterator[T]:
        """The items, the time to make each counted as that part's."""
        source = iter(items)
        while True:
            with self.on(part):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
