"""The share of one extract of several: jobs of a cluster divide a data set's clips among them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from avfd.clips import Clip
from avfd.errors import InputError


def part_of(clips: Sequence[Clip], part: str) -> list[Clip]:
    """Those of the clips that one part takes; every clip is in exactly one.

    Parts are stretches of about as many seconds of media each. They depend on the clips alone, so
    jobs that start at different times, or again, agree; and neighbours lie in the same chunks, so
    the jobs rarely write the same one.

    Args:
        clips: all of the data set, in storage order.
        part: "K/N": the K-th of N parts, from 1.

    >>> [clip.key for clip in part_of([Clip("a", seconds=9), Clip("b", seconds=9)], "2/2")]
    ['b']
    """
    number, parts = parsed(part)
    # A clip that cannot be read has no seconds, but still belongs somewhere.
    lengths = np.array([max(clip.seconds, 0.001) for clip in clips])
    middles = np.cumsum(lengths) - lengths / 2
    owner = np.ceil(parts * middles / lengths.sum()).astype(int)
    return [clip for clip, i in zip(clips, owner.tolist(), strict=True) if i == number]


def parsed(part: str) -> tuple[int, int]:
    """Number of the part and how many there are; an error for another text than "K/N"."""
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    number, parts = (int(text) for text in found.groups()) if found else (0, 0)
    if not 1 <= number <= parts:
        raise InputError(
            "not a part of the clips",
            where="--part",
            found=part,
            accepted="K/N: the K-th of N, as 1/8 to 8/8",
        )
    return number, parts
