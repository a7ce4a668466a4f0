"""A split in the making: every step of a protocol takes clips out of it or puts them on a side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from avfd.clips import Clip
from avfd.manifest import Side
from classify.protocols.split import Target

_FIELDS = frozenset(f.name for f in fields(Clip))


@dataclass
class Draft:
    """The clips of one data set on their way through one protocol.

    Attributes:
        clips: key → clip, those still in; sorted by key, so input order decides nothing.
        side: key → side, once the rule has spoken.
        again: test clip → the second side it stands on, in a protocol with `overlap`.
        labels: key → class.
        excluded: key → reason.
        notes: sentences for the reader of the results.
    """

    clips: dict[str, Clip]
    side: dict[str, Side] = field(default_factory=dict)
    again: dict[str, Side] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, clips: Sequence[Clip], target: Target) -> Draft:
        """The labelled clips; the others are excluded: extracted, never fitted."""
        draft = cls({clip.key: clip for clip in sorted(clips, key=lambda c: c.key)})
        for key, clip in list(draft.clips.items()):
            label = clip.label if target == "deepfake" else clip.emotion
            if label is None:
                draft.drop(key, "unlabelled" if target == "deepfake" else "no emotion label")
            else:
                draft.labels[key] = label
        return draft

    def drop(self, key: str, reason: str) -> None:
        """Exclude a clip."""
        del self.clips[key]
        self.side.pop(key, None)
        self.labels.pop(key, None)
        self.excluded[key] = reason

    def drop_all(self, keys: Iterable[str], reason: str) -> None:
        """Exclude several clips."""
        for key in list(keys):
            self.drop(key, reason)

    def on(self, side: Side) -> list[Clip]:
        """The clips on a side, by key, without those that stand there again."""
        return [clip for key, clip in self.clips.items() if self.side.get(key) == side]

    def keys(self, side: Side) -> tuple[str, ...]:
        """The keys of all clips on a side, sorted."""
        again = (key for key, at in self.again.items() if at == side)
        return tuple(sorted([*(clip.key for clip in self.on(side)), *again]))


def value_of(clip: Clip, column: str) -> str | None:
    """A field of the clip, or an entry of its `extra`, as text; None where it has none."""
    value = getattr(clip, column) if column in _FIELDS else clip.extra.get(column)
    return None if value is None else str(value)


def fraction(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on seed and name alone: sha256's first 53 bits."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def drawn_order(seed: int, names: Iterable[str]) -> list[str]:
    """The names in an order that looks random; adding one leaves the others' order."""
    return sorted(names, key=lambda name: (fraction(seed, name), name))
