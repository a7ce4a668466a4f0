"""Columns whose windows are under way: what is known of each, until its slots are all back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from avfd.specs import FAILED
from extract.assembly import Assembly, Pending
from extract.backbones.base import Backbone, Slots
from extract.pipeline import ClipReport
from extract.pool import Outcome
from extract.spool import Spool
from extract.task import Task

Key = tuple[int, str]
"""Entry of the clip, and column."""


@dataclass
class Delivery:
    """One column of one clip.

    Attributes:
        task: the clip, with that column alone.
        assembly: its grid.
        tokens: of the parcels whose slots have not come back.
        arrived: parcels whose slots have.
        pending: what the reading process said at its end; None: it is still at it.
    """

    task: Task
    assembly: Assembly
    tokens: set[int] = field(default_factory=set)
    arrived: int = 0
    pending: Pending | None = None

    def put(self, slots: Slots | str) -> None:
        """Take a parcel's slots, or why there are none, which ends the column."""
        self.arrived += 1
        if isinstance(slots, str):
            self.assembly.end(FAILED, slots)
        else:
            self.assembly.take(_as_it_is, slots)

    @property
    def complete(self) -> bool:
        """Whether the result is known."""
        if self.pending is None:
            return False
        return self.arrived == self.pending.parcels or not self.assembly.open

    def outcome(self) -> Outcome[Task, ClipReport]:
        """The result, as a report on the clip."""
        assert self.pending is not None
        self.assembly.missing = self.pending.missing
        result = self.assembly.result(self.pending.nothing, self.pending.sha256)
        (column,) = self.task.columns
        return Outcome(self.task, ClipReport({column: result}, cut=self.assembly.cut))


def _as_it_is(slots: Slots) -> Slots:
    return slots


class Deliveries:
    """All that are under way.

    Args:
        backbones: by what they are asked for by; their networks need not be loaded.
        spool: where values wait that are large; None: in memory, too.
    """

    def __init__(self, backbones: Mapping[str, Backbone], spool: Spool | None = None) -> None:
        self._backbones = backbones
        self._spool = spool
        self._open: dict[Key, Delivery] = {}
        self._by_token: dict[int, Delivery] = {}
        self._last_token = 0

    def send(self, task: Task, column: str) -> int:
        """A token for a parcel of a clip's column."""
        key = (task.entry, column)
        if key not in self._open:
            asked = task.columns[column]
            alone = replace(task, columns={column: asked}, stored={})
            assembly = Assembly(column, self._backbones[asked], task.place, self._spool)
            self._open[key] = Delivery(alone, assembly)
        self._last_token += 1
        self._open[key].tokens.add(self._last_token)
        self._by_token[self._last_token] = self._open[key]
        return self._last_token

    def forget(self, task: Task, columns: Iterable[str]) -> set[int]:
        """Drop what has been sent of these columns of a clip; tokens that are void now."""
        found = (self._open.pop((task.entry, column), None) for column in columns)
        return {token for delivery in found if delivery for token in self._void(delivery)}

    def back(self, token: int, slots: Slots | str) -> Delivery | None:
        """Take a parcel's slots, or why there are none; the delivery if that completes it."""
        delivery = self._by_token.pop(token, None)
        if delivery is None:
            return None
        delivery.tokens.discard(token)
        delivery.put(slots)
        return delivery if delivery.complete else None

    def read(self, task: Task, pending: Mapping[str, Pending]) -> Iterator[Delivery]:
        """A clip has been read; the deliveries that are complete by that."""
        for column, known in pending.items():
            delivery = self._open[task.entry, column]
            delivery.pending = known
            if delivery.complete:
                yield delivery

    def close(self, delivery: Delivery) -> set[int]:
        """A complete delivery is done with; tokens that are void now."""
        (column,) = delivery.task.columns
        self._open.pop((delivery.task.entry, column), None)
        return self._void(delivery)

    def _void(self, delivery: Delivery) -> set[int]:
        for token in delivery.tokens:
            self._by_token.pop(token, None)
        return delivery.tokens

    def __bool__(self) -> bool:
        return bool(self._open)
