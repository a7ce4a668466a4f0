"""Columns whose networks run elsewhere: the reading process cuts windows and sends them off.

`Sender` stands where an `Assembly` would: it is given the same blocks, but what it makes of them
goes into an outbox, not on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfd.cache import ClipResult
from extract.assembly import Assembly, Ending, Pending, Place
from extract.backbones._network import ColumnBlock, NetworkBackbone, Windows
from extract.backbones.base import AudioBlock, Backbone, FaceBlock
from extract.boxes import Box

SEND_BYTES = 8 << 20
"""Windows that a reading process gathers before it sends them, within one clip."""


@dataclass(frozen=True)
class Kind:
    """What windows that share a batch have in common.

    Attributes:
        backbone: what it is asked for by, options included.
        shape, dtype: of one window.
    """

    backbone: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Parcel:
    """The windows of one block of one clip, on their way to a network.

    Attributes:
        column: where the slots belong.
        kind: of the windows.
        windows: how many there are.
        box: holds the `Windows`.
    """

    column: str
    kind: Kind
    windows: int
    box: Box


class Outbox:
    """Parcels of one clip that wait to be sent."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []
        self._bytes = 0

    def put(self, parcel: Parcel) -> None:
        """Add a parcel."""
        self._parcels.append(parcel)
        self._bytes += parcel.box.size

    @property
    def full(self) -> bool:
        """Whether it is time to send."""
        return self._bytes >= SEND_BYTES

    def emptied(self) -> list[Parcel]:
        """All that waited."""
        parcels, self._parcels, self._bytes = self._parcels, [], 0
        return parcels


class Cutter(Backbone):
    """A network's first step alone: gives `Windows` where the network would give `Slots`."""

    def __init__(self, backbone: NetworkBackbone) -> None:
        self.spec = backbone.spec
        self.crops_around = backbone.crops_around
        self._backbone = backbone

    def audio(self, block: AudioBlock) -> Any:
        self._backbone.check_audio(block)
        return self._backbone.windows(block)

    def faces(self, block: FaceBlock) -> Any:
        self._backbone.check_faces(block)
        return self._backbone.windows(block)

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Any:
        self._backbone.check_column(values, valid)
        return self._backbone.windows(ColumnBlock(values, valid))


class Sender(Assembly):
    """One column of one clip whose windows go into an outbox.

    Args:
        column: its name.
        asked: what the backbone is asked for by.
        backbone: its network need not be loaded.
        place: of the clip.
        outbox: where the windows go.
    """

    def __init__(
        self, column: str, asked: str, backbone: NetworkBackbone, place: Place, outbox: Outbox
    ) -> None:
        super().__init__(column, Cutter(backbone), place)
        self._asked = asked
        self._outbox = outbox
        self._sent = 0

    def keep(self, made: Any) -> None:
        """Put windows into the outbox."""
        assert isinstance(made, Windows)
        inputs = made.inputs
        kind = Kind(self._asked, inputs.shape[1:], inputs.dtype.str)
        self._outbox.put(Parcel(self.name, kind, len(inputs), Box.of(made)))
        self._sent += 1

    def outcome(self, nothing: Ending, sha256: str = "") -> ClipResult | Pending:
        """A result where the network has nothing to add to it: no window, or an error."""
        if not (self.open and self._sent):
            return self.result(nothing, sha256)
        return Pending(self._sent, nothing, self.missing, sha256)
