"""The outcome of a protocol: which clips stand on which side, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from avfd.clips import Clip
from avfd.errors import InputError
from avfd.manifest import SIDES, Side

Target = Literal["deepfake", "emotion"]
LISTED = 10  # names in a message
JOINED = "joined: "
"""Before a `Clip.group` that bears its data set's name already (`classify.protocols.lineage`)."""


@dataclass(frozen=True)
class Split:
    """Clips by side.

    Attributes:
        protocol: name of the protocol, or "fold 2 of 5".
        text: the rule in words.
        target: what the labels are of.
        seed: of every random choice made.
        train, val, test: clip keys, sorted. A key stands on one side only, but for a protocol
            with `overlap`, whose test clips stand in train or val too.
        labels: clip key → "real" / "fake", or the emotion after the protocol's map.
        groups: clip key → group, with the data set before it, so that sets can be joined.
        units: side → clips that count as one sample together, in time order; one clip each
            unless the protocol clusters.
        excluded: clip key → why it stands on no side.
        leaky: the protocol allows one group on two sides: say so wherever its numbers stand.
        leaking: the groups that really do, sorted.
        notes: sentences that must stand beside the results.
    """

    protocol: str
    text: str
    target: Target
    seed: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[str, str]
    groups: Mapping[str, str]
    units: Mapping[Side, tuple[tuple[str, ...], ...]]
    excluded: Mapping[str, str]
    leaky: bool
    leaking: tuple[str, ...]
    notes: tuple[str, ...]

    def keys(self, side: Side) -> tuple[str, ...]:
        """The clips on that side."""
        return {"train": self.train, "val": self.val, "test": self.test}[side]

    def side_of(self, key: str) -> Side | None:
        """The side of a clip, test first; None where it stands on none."""
        return next((s for s in ("test", "val", "train") if key in self._sets[s]), None)

    @property
    def excluded_counts(self) -> dict[str, int]:
        """Reason → number of clips, the commonest first."""
        return dict(Counter(self.excluded.values()).most_common())

    @cached_property
    def _sets(self) -> dict[Side, frozenset[str]]:
        return {side: frozenset(self.keys(side)) for side in SIDES}


def dataset_of(clip: Clip) -> str:
    """The data set of a clip: what its key starts with."""
    return clip.key.partition("/")[0]


def group_of(clip: Clip) -> str:
    """The group of a clip, unique over data sets; an ungrouped clip is its own group."""
    if not clip.group:
        return clip.key
    if clip.group.startswith(JOINED):
        return clip.group.removeprefix(JOINED)
    return f"{dataset_of(clip)}/{clip.group}"


def leaking_groups(sides: Mapping[Side, tuple[str, ...]], groups: Mapping[str, str]) -> list[str]:
    """Groups with clips on two sides, or with one clip on two sides, sorted."""
    seen: dict[str, set[Side]] = {}
    for side, keys in sides.items():
        for key in keys:
            seen.setdefault(groups[key], set()).add(side)
    return sorted(group for group, at in seen.items() if len(at) > 1)


def leak_mark(leaky: bool, leaking: Sequence[str]) -> str:
    """What stands beside the numbers of a leaky protocol; of any other nothing."""
    if not leaky:
        return ""
    if not leaking:
        return "LEAKY by its protocol: groups may stand on two sides"
    one = len(leaking) == 1
    return f"LEAKY: {len(leaking)} {'group stands' if one else 'groups stand'} on two sides"


def refuse_leak(
    name: str, sides: Mapping[Side, tuple[str, ...]], groups: Mapping[str, str], leaking: list[str]
) -> None:
    """Name the clips of the leaking groups, up to LISTED, both sides of a group together."""
    rows = {
        group: [f"{k} ({s})" for s, keys in sides.items() for k in keys if groups[k] == group]
        for group in leaking[:LISTED]
    }
    # One clip of each end first: a group's first and last stand on different sides.
    ends = [end for clips in rows.values() for end in (clips[0], clips[-1])]
    raise InputError(
        f"{len(leaking)} groups stand on two sides: people or originals in the test are known "
        "from training",
        where=f"protocol {name}",
        found=", ".join(ends[:LISTED]),
        accepted="every group on one side",
        next_step="take another protocol, or mark this one `leaky = true` in its manifest",
    )


def refuse_empty(name: str, side: Side, excluded: Mapping[str, str]) -> None:
    """Say that a side has no clip, and where the clips went."""
    counts = Counter(excluded.values()).most_common(LISTED)
    went = "; ".join(f"{number} clips: {reason}" for reason, number in counts)
    raise InputError(
        f"no clip is left for {side}",
        where=f"protocol {name}",
        found=went or "too few groups for the fractions",
        next_step="see which protocols the data set's manifest has, or use --folds",
    )
