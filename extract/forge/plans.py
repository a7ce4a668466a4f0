"""What is to be forged: from which clip, with whose help, when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from avfd.clips import REAL, Clip
from avfd.errors import InputError
from extract.forge.material import FPS, whole_frames

AUDIO_SWAP, VIDEO_SWAP, BOTH_SWAP = "audio-swap", "video-swap", "both-swap"
VOCODER, FACE_BLEND, OFFSET = "vocoder", "face-blend", "offset"
KINDS = {
    AUDIO_SWAP: "another person's voice in the place of this one's",
    VIDEO_SWAP: "another person's picture in the place of this one's",
    BOTH_SWAP: "another person, seen and heard",
    VOCODER: "the voice re-synthesised from its mel spectrogram",
    FACE_BLEND: "another person's face blended over this one's",
    OFFSET: "the sound moved against the picture",
}
FAKE_SOUND = (AUDIO_SWAP, BOTH_SWAP, VOCODER)
FAKE_PICTURE = (VIDEO_SWAP, BOTH_SWAP, FACE_BLEND)
LENT = {
    AUDIO_SWAP: "a voice",
    VIDEO_SWAP: "a picture",
    BOTH_SWAP: "a picture with its voice",
    FACE_BLEND: "a face",
}
"""Kind → what comes from a donor."""
NEED_DONOR = tuple(LENT)
SPLICED = (AUDIO_SWAP, VIDEO_SWAP, BOTH_SWAP)
"""Their twins are spliced with another moment of themselves."""

MIN_SECONDS = 2.0
"""Of a clip, and of what is used of it: room for a local fake, and for an offset besides."""
POOL_GROUPS = 3
"""So many groups, or one or two more, lend each other donors."""
SPARE_SECONDS = {OFFSET: 0.6}
"""So much more of the clip is read: what moves in time needs it, so that nothing is cut short."""
EDGE_SECONDS = 0.25
"""A local fake begins and ends so far from the clip's ends, at the end less a picture at most."""

FAKED, TWIN, ROOM, PLAN = range(4)
"""What is drawn for; each has numbers of its own."""

Segment = tuple[float, float]


@dataclass(frozen=True)
class Forgery:
    """One pair of files: a fake and its real twin.

    Attributes:
        clip: the real clip that both are made from.
        kind: in `KINDS`.
        donor: the real clip of another person; None where the kind needs none.
        seconds: length of both, whole pictures of 25 a second.
        segment: where the fake is fake, in seconds.
        seed: of everything drawn in the making.
        variant: number among those of this clip and kind, from 0.
    """

    clip: Clip
    kind: str
    donor: Clip | None
    seconds: float
    segment: Segment
    seed: tuple[int, ...]
    variant: int = 0

    def drawn(self, purpose: int) -> np.random.Generator:
        """The numbers drawn for `FAKED`, `TWIN` or `ROOM`."""
        return np.random.default_rng([*self.seed, purpose])

    @property
    def read_seconds(self) -> float:
        """How much of the clip the making needs."""
        return whole_frames(self.seconds + SPARE_SECONDS.get(self.kind, 0.0)) / FPS

    @property
    def labels(self) -> tuple[str, str]:
        """Of the fake's picture and of its sound; an offset falsifies neither alone."""
        picture = "fake" if self.kind in FAKE_PICTURE else REAL
        return picture, "fake" if self.kind in FAKE_SOUND else REAL

    @property
    def stem(self) -> str:
        """Of both files' names."""
        name = f"{_name(self.clip).replace('/', '__')}-{self.kind}"
        return f"{name}-{self.variant + 1}" if self.variant else name


@dataclass(frozen=True)
class Plan:
    """What is to be forged, and what not.

    Attributes:
        forgeries: those of one clip lie together.
        skipped: `called` → why nothing is forged.
    """

    forgeries: list[Forgery]
    skipped: dict[str, str]


def called(clip: Clip, kind: str, variant: int = 0) -> str:
    """A pair's name for people: the clip's key, the kind, and which variant after the first."""
    return f"{clip.key} [{kind}{f' {variant + 1}' if variant else ''}]"


def unfit(clip: Clip) -> str | None:
    """Why nothing can be forged from a real clip as it was scanned; None where something can."""
    if clip.problem:
        return f"cannot be read: {clip.problem}"
    if not clip.has_audio:
        return "without sound"
    if not clip.has_video:
        return "without picture"
    return f"shorter than {MIN_SECONDS:g} s" if clip.seconds < MIN_SECONDS else None


def plan(
    clips: Sequence[Clip],
    kinds: Sequence[str],
    extent: str,
    longest_seconds: float,
    seed: int,
    limit: int | None = None,
    variants: int = 1,
) -> Plan:
    """A forgery of every kind from every real clip with sound and picture.

    Clips that are labelled fake, or not at all, are no candidates and are not listed as skipped.

    Args:
        clips: of one data set.
        kinds: in `KINDS`.
        extent: "whole", "local" (30 to 60 % of the clip), or "both", which draws one or the other.
        longest_seconds: of a clip, more of it is not used; `MIN_SECONDS` or more.
        seed: same seed, same forgeries.
        limit: forge from no more clips than that; any may be a donor.
        variants: of every clip and kind; donor and segment are drawn anew for each, the pools of
            donors are the same.

    Raises:
        InputError: an unknown kind, or a number out of its range.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise InputError(
            "no such kind of fake", where="--kind", found=unknown, accepted=", ".join(KINDS)
        )
    if variants < 1:
        raise InputError("no variant", where="--variants", found=variants, accepted="1 or more")
    if seed < 0:
        raise InputError("no seed", where="--seed", found=seed, accepted="0 or more")
    if limit is not None and limit < 1:
        raise InputError("no clip", where="--limit", found=limit, accepted="1 or more")
    if not longest_seconds >= MIN_SECONDS:  # NaN, too
        raise InputError(
            "too little of a clip",
            where="--longest",
            found=longest_seconds,
            accepted=f"{MIN_SECONDS:g} s or more",
        )
    faults = {c.key: unfit(c) for c in clips if c.label == REAL}
    skipped = {key: fault for key, fault in faults.items() if fault is not None}
    usable = [c for c in clips if c.key in faults and c.key not in skipped]
    pool_of = _pools(usable, seed)
    made: list[Forgery] = []
    # A clip's own lie together, so that it is decoded once.
    for clip, variant, kind in product(usable[:limit], range(variants), kinds):
        own = seed_of(seed, clip, kind, variant)
        drawn = np.random.default_rng([*own, PLAN])
        donor = _donor(clip, pool_of[_group(clip)], drawn) if kind in NEED_DONOR else None
        if kind in NEED_DONOR and donor is None:
            skipped[called(clip, kind)] = f"nobody else to lend {LENT[kind]}"
            continue
        own_seconds = min(clip.seconds, longest_seconds) - SPARE_SECONDS.get(kind, 0.0)
        seconds = min(own_seconds, donor.seconds if donor else own_seconds)
        # The whole of somebody else, seen and heard, would be a real clip of theirs.
        segment = _segment(seconds, "local" if kind == BOTH_SWAP else extent, drawn)
        shown = whole_frames(seconds) / FPS
        made.append(Forgery(clip, kind, donor, shown, segment, own, variant))
    return Plan(made, skipped)


def seed_of(seed: int, clip: Clip, kind: str, variant: int) -> tuple[int, ...]:
    """Of one forgery: what else is forged, and what the data set is called, changes nothing."""
    digest = hashlib.sha256(f"{_name(clip)}\n{kind}".encode()).digest()
    return seed, int.from_bytes(digest[:8], "big"), variant


def _name(clip: Clip) -> str:
    """The clip's key below the data set's name."""
    return clip.key.partition("/")[2]


def _pools(clips: Sequence[Clip], seed: int) -> dict[str, list[Clip]]:
    """Group → the clips of the few groups that lend each other faces and voices.

    A fake joins its people into one group. Were donors drawn from all, everybody would soon stand
    in one group, and no split could keep test people out of training.
    """
    groups = sorted({_group(clip) for clip in clips})
    order = np.random.default_rng([seed, len(groups)]).permutation(len(groups))
    shuffled = [groups[i] for i in order.tolist()]
    count = max(1, len(shuffled) // POOL_GROUPS)
    parts = [shuffled[i::count] for i in range(count)]
    return {g: [c for c in clips if _group(c) in part] for part in parts for g in part}


def _group(clip: Clip) -> str:
    return clip.group or clip.key


def _donor(clip: Clip, pool: Sequence[Clip], drawn: np.random.Generator) -> Clip | None:
    """Somebody else of the pool; None where there is nobody."""
    others = [c for c in pool if _group(c) != _group(clip)]
    return others[int(drawn.integers(len(others)))] if others else None


def _segment(seconds: float, extent: str, drawn: np.random.Generator) -> Segment:
    local = extent == "local" or (extent == "both" and drawn.random() < 0.5)
    if not local:
        return 0.0, whole_frames(seconds) / FPS
    length = drawn.uniform(0.3, 0.6) * seconds
    start = drawn.uniform(EDGE_SECONDS, seconds - length - EDGE_SECONDS)
    return round(float(start), 3), round(float(start + length), 3)
