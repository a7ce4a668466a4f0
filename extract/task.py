"""The work on one clip, as the parent hands it to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from avfd.cache import ClipResult
from avfd.clips import Clip
from extract.assembly import Place

FACE_TRACK = "face_track"
"""The column of the face pass, on which crops are cut."""

FACE_MODEL = "blazeface"
"""The weights of the face pass."""


@dataclass(frozen=True)
class Task:
    """The work on one clip.

    Attributes:
        clip: row of the clip table.
        entry, rows: of the clip in the cache.
        columns: column → backbone that fills it.
        stored: results that are in the cache already and that these backbones build on: the face
            track for crops, the column that a backbone reads.
    """

    clip: Clip
    entry: int
    rows: int
    columns: Mapping[str, str]
    stored: Mapping[str, ClipResult] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(self.entry, self.clip.key, self.rows, self.clip.seconds)

    def __repr__(self) -> str:
        return f"<{self.clip.key}: {', '.join(self.columns)}>"
