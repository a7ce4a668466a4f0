"""Windows that wait for a device, sorted by what can share a batch."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from extract.batching import Job
from extract.sending import Kind, Parcel

JOB_BYTES = 128 << 20
"""Windows in one job: work for some tenths of a second on a large GPU, much longer than it takes
to hand over the next one."""

JOB_PARCELS = 200
"""Parcels in one job; each is a file descriptor here and in the device's process."""

LINGER_SECONDS = 2.0
"""How long windows wait for others of their kind while clips are still being read."""


@dataclass(frozen=True)
class Waiting:
    """A parcel, the token that it is known by, and since when it waits."""

    token: int
    parcel: Parcel
    since: float


class Buckets:
    """Parcels that wait, in the order in which they came, by kind."""

    def __init__(self) -> None:
        self._kinds: defaultdict[Kind, list[Waiting]] = defaultdict(list)

    def put(self, token: int, parcel: Parcel) -> None:
        """Take a parcel."""
        self._kinds[parcel.kind].append(Waiting(token, parcel, time.monotonic()))

    def job(self, *, at_once: bool) -> Job | None:
        """What a free device is to do next: the largest there is; None: wait for more.

        Args:
            at_once: nothing more is coming for now, so what there is has to do.
        """
        ripe = [kind for kind, held in self._kinds.items() if at_once or _is_ripe(held)]
        if not ripe:
            return None
        kind = max(ripe, key=lambda kind: _size(self._kinds[kind]))
        count = _job_length(self._kinds[kind])
        taken, self._kinds[kind] = self._kinds[kind][:count], self._kinds[kind][count:]
        if not self._kinds[kind]:
            del self._kinds[kind]
        return Job(kind, tuple(w.parcel.box for w in taken), tuple(w.token for w in taken))

    def drop(self, tokens: Collection[int]) -> set[int]:
        """Let go of parcels that nobody waits for any more; the tokens of those that were here."""
        gone = set()
        for kind, held in list(self._kinds.items()):
            gone |= {waiting.token for waiting in held if waiting.token in tokens}
            self._kinds[kind] = [waiting for waiting in held if waiting.token not in gone]
            if not self._kinds[kind]:
                del self._kinds[kind]
        return gone


def _is_ripe(held: list[Waiting]) -> bool:
    """Whether there is enough for a job, or the oldest has waited long."""
    full = _size(held) >= JOB_BYTES or len(held) >= JOB_PARCELS
    return full or time.monotonic() - held[0].since > LINGER_SECONDS


def _size(held: list[Waiting]) -> int:
    return sum(waiting.parcel.box.size for waiting in held)


def _job_length(held: list[Waiting]) -> int:
    """How many of the first parcels make a job, one at least."""
    size = 0
    for count, waiting in enumerate(held[:JOB_PARCELS]):
        size += waiting.parcel.box.size
        if size > JOB_BYTES and count:
            return count
    return min(len(held), JOB_PARCELS)
