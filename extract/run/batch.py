"""Finished results on their way into the cache."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from avfd.cache import Cache, ClipResult
from avfd.errors import SpoolError, Stopped, StoreError
from extract.run.plan import Limits

log = logging.getLogger(__name__)

MOST_WAITING = 500
"""Results that wait at the most, however small: each costs some kB beside its numbers."""


class Batch:
    """Results that wait for one commit: large enough for whole chunks, never for long.

    They wait in memory, large ones in files (`extract.spool`); one as large as a commit is due at
    once.

    Attributes:
        written: results that this run has stored.
        skipped: results that another run stored first, or whose clip was indexed anew meanwhile.
    """

    def __init__(self, cache: Cache, limits: Limits) -> None:
        self.written = 0
        self.skipped = 0
        self._cache = cache
        self._limits = limits
        self._waiting: dict[str, list[ClipResult]] = defaultdict(list)
        self._bytes = 0
        self._count = 0
        self._since = 0.0

    def add(self, results: Mapping[str, ClipResult]) -> None:
        """Take one clip's results, column → result."""
        if not self._waiting:
            self._since = time.monotonic()
        for column, result in results.items():
            self._waiting[column].append(result)
            self._bytes += result_bytes(result)
            self._count += 1

    @property
    def due(self) -> bool:
        """Whether it is time to commit."""
        waited = time.monotonic() - self._since
        late = bool(self._waiting) and waited > self._limits.commit_seconds
        many = self._bytes > self._limits.commit_bytes or self._count >= MOST_WAITING
        return late or many

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is finished is stored at the end, also where workers can no longer be started."""
        try:
            yield
        except SpoolError:  # its file goes with its process; the cache may be elsewhere, too
            self.commit()
            raise
        except (StoreError, Stopped):  # it would fail again; it would wait for the lock again
            raise
        except Exception:
            self.commit()
            raise
        self.commit()

    def commit(self) -> None:
        """Store what waits, all of it or nothing.

        Raises:
            StoreError: the disk is full or the store is lost; earlier commits stay.
        """
        if not self._waiting:
            return
        report = self._cache.write(self._waiting)
        log.info("committed %d results as %s", report.written, report.snapshot_id)
        self.written += report.written
        self.skipped += report.skipped
        self._waiting.clear()
        self._bytes = self._count = 0


def result_bytes(result: ClipResult) -> int:
    """Memory that the result's arrays take, or room in files."""
    return sum(a.nbytes for a in (result.values, result.valid) if a is not None)
