"""The grid of one column of one clip, filled by a backbone slot by slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from avfd.cache import ClipResult
from avfd.errors import AbsentError, InputError, StoreError
from avfd.specs import ABSENT, DONE, FAILED, BackboneSpec
from avfd.timeline import slot_centres
from extract.backbones.base import Backbone, Slots
from extract.spool import Spool
from extract.worker import describe

log = logging.getLogger(__name__)

Block = TypeVar("Block")

Ending = tuple[int, str]
"""FAILED or ABSENT, and why."""


@dataclass(frozen=True)
class Pending:
    """What is known of a column whose network is elsewhere, once its clip has been read.

    Attributes:
        parcels: how many have been sent.
        nothing: status and reason where no slot turns out valid.
        missing: why a block had nothing for the backbone; "" where each had something.
        sha256: of the media, as in `ClipResult`.
    """

    parcels: int
    nothing: Ending
    missing: str
    sha256: str


@dataclass(frozen=True)
class Place:
    """Where a clip's results belong.

    Attributes:
        entry, key: as in `ClipResult`.
        rows: rows of the clip in every column, frozen at index.
        seconds: length of the clip; slots whose centre lies beyond it are never valid.
    """

    entry: int
    key: str
    rows: int
    seconds: float


class Grid:
    """Values and mask of one clip, zero and invalid where nothing was put.

    Attributes:
        values: [rows * rate, *shape], clip-level [1, *shape], in the spec's dtype; read-only where
            they are in the spool.
        valid: bool, one for each vector.
        cut: vectors that lay beyond the clip's rows.
        past_end: vectors left out because the clip ends before their slot's centre.
        not_finite: vectors left out because they held NaN or infinity.
    """

    def __init__(
        self, spec: BackboneSpec, rows: int, seconds: float, spool: Spool | None = None
    ) -> None:
        self._spec = spec
        slots = max(1, rows * spec.rate_hz)
        shape = (slots, *spec.shape)
        self._sheet = spool.sheet(shape, spec.dtype) if spool else None
        self.values = self._sheet.array if self._sheet else np.zeros(shape, dtype=spec.dtype)
        self.valid = np.zeros(slots, dtype=bool)
        self.cut = 0
        self.past_end = 0
        self.not_finite = 0
        # A clip-level vector stands for the clip, whatever its length.
        centres = slot_centres(slots, spec.rate_hz) if spec.rate_hz else np.zeros(1)
        self._inside = (centres < seconds) | spec.clip_level

    def put(self, slots: Slots) -> None:
        """Take a backbone's vectors; those beyond the rows are cut and counted."""
        self._check(slots)
        first, n = slots.first_slot, len(slots.valid)
        keep = min(max(0, len(self.valid) - first), n)
        self.cut += int(slots.valid[keep:].sum())
        values, valid = slots.values[:keep], slots.valid[:keep].copy()
        finite = np.isfinite(values.reshape(keep, -1)).all(axis=1) if keep else valid
        self.not_finite += int((valid & ~finite).sum())
        inside = self._inside[first : first + keep]
        self.past_end += int((valid & ~inside).sum())
        valid &= finite & inside
        self._keep(first + np.flatnonzero(valid), as_stored(values[valid], self._spec))
        self.valid[first : first + keep] = valid

    def _keep(self, at: NDArray[np.int64], vectors: NDArray[np.generic]) -> None:
        if self._sheet is None:
            self.values[at] = vectors
        else:
            self._sheet.put(at, vectors)

    def _check(self, slots: Slots) -> None:
        if slots.values.shape[1:] != self._spec.shape or slots.first_slot < 0:
            raise InputError(
                "a backbone gave vectors that its spec does not describe",
                where=self._spec.name,
                found=f"shape {slots.values.shape[1:]} at slot {slots.first_slot}",
                accepted=f"shape {self._spec.shape} at slot 0 or later",
            )

    def cells(self) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Values and mask in the shapes that `ClipResult` states."""
        if self._spec.clip_level:
            return self.values[0], None
        rows = len(self.valid) // self._spec.rate_hz
        shape = (rows, self._spec.rate_hz)
        return self.values.reshape(*shape, *self._spec.shape), self.valid.reshape(shape)


def as_stored(values: NDArray[np.generic], spec: BackboneSpec) -> NDArray[np.generic]:
    """Finite vectors [n, *spec.shape] in the spec's dtype.

    Raises:
        InputError: the dtype cannot hold a number: as a float it would be infinite, as an
            integer another one.
    """
    dtype = np.dtype(spec.dtype)
    if values.dtype == dtype or not values.size:
        return values
    least, most = _range(dtype)
    low, high = values.min().item(), values.max().item()
    if low < least or high > most:
        raise InputError(
            f"a backbone gave numbers that {dtype} cannot hold",
            where=spec.name,
            found=f"{low:g} to {high:g}",
            accepted=f"{least:g} to {most:g}",
            next_step="give its spec a wider dtype, or bring its numbers into that range",
        )
    return values.astype(dtype)


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The least and the largest finite number of a dtype; of other kinds than these, no bounds."""
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return -np.inf, np.inf


class Assembly:
    """One column of one clip on its way to a `ClipResult`; an error in it ends it alone.

    Args:
        column: its name.
        backbone: what fills it.
        place: of the clip.
        spool: where values wait that are large; None: in memory, too.

    Attributes:
        missing: why a block had nothing for the backbone; "" where each had something.
    """

    def __init__(
        self, column: str, backbone: Backbone, place: Place, spool: Spool | None = None
    ) -> None:
        self.name = column
        self.backbone = backbone
        self.spec = backbone.spec
        self._place = place
        self._spool = spool
        self._grid: Grid | None = None
        self._ending: Ending | None = None
        self.missing = ""

    @property
    def grid(self) -> Grid:
        """Made where it is first needed, so that a clip without sound or face costs none."""
        if self._grid is None:
            self._grid = Grid(self.spec, self._place.rows, self._place.seconds, self._spool)
        return self._grid

    @property
    def cut(self) -> int:
        """Vectors that lay beyond the rows."""
        return self._grid.cut if self._grid else 0

    @property
    def open(self) -> bool:
        """Whether more media can still change the result."""
        return self._ending is None

    def take(self, give: Callable[[Block], Any], block: Block) -> None:
        """Keep what the backbone makes of a block; its errors become this column's ending.

        Raises:
            StoreError: the disk is full, which is no fault of the column.
        """
        if not self.open:
            return
        try:
            self.keep(give(block))
        except AbsentError as error:  # this block has nothing; another one may
            self.missing = self.missing or describe(error)
        except StoreError:
            raise
        except Exception as error:
            log.debug("%s: %s failed", self._place.key, self.name, exc_info=True)
            self.end(FAILED, describe(error))

    def keep(self, made: Slots) -> None:
        """Put slots on the grid."""
        self.grid.put(made)

    def end(self, status: int, reason: str) -> None:
        """Settle the column as failed or absent, unless it is settled already."""
        self._ending = self._ending or (status, reason)

    def outcome(self, nothing: Ending, sha256: str = "") -> ClipResult | Pending:
        """What can be said once the clip has been read: for most columns, the result."""
        return self.result(nothing, sha256)

    def result(self, nothing: Ending, sha256: str = "") -> ClipResult:
        """The result; `nothing` is its status and reason where no slot is valid."""
        if self.open and not (self._grid and self._grid.valid.any()):
            self.end(*self._why_empty(nothing))
        status, reason = self._ending or (DONE, "")
        values, valid = self.grid.cells() if status == DONE else (None, None)
        place = self._place
        return ClipResult(place.entry, place.key, status, reason, values, valid, sha256)

    def _why_empty(self, nothing: Ending) -> Ending:
        if self._grid and self._grid.not_finite:
            return FAILED, "the backbone gave nothing but NaN or infinity"
        if self.missing and nothing[0] == ABSENT:
            return ABSENT, self.missing
        if self._grid and self._grid.past_end + self._grid.cut and nothing[0] == ABSENT:
            end = f"the clip ends at {self._place.seconds:g} s"
            return ABSENT, f"too short: {end}, before the middle of the slot that was filled"
        return nothing


@contextmanager
def costing(columns: Sequence[Assembly]) -> Iterator[None]:
    """What goes wrong in the block ends these columns, and nothing else; a full disk ends all."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        log.debug("%s failed", ", ".join(c.name for c in columns), exc_info=True)
        for column in columns:
            column.end(FAILED, describe(error))
