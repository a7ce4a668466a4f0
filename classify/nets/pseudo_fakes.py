"""Temporally-local pseudo-fakes: a stretch of one clip put into another (Astrid et al. 2024, 3.2).

Made of the batch in hand, in training only. The stretch has the same place in both; sound and
picture are cut independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

SHORTEST = 2  # frames or samples: what the paper takes where r_min is about 0
KINDS = (("audio",), ("video",), ("audio", "video"))


@dataclass(frozen=True)
class Stretches:
    """How pseudo-fakes are made (equation 6).

    Attributes:
        share: probability that a sample becomes one.
        r_min, r_max: shortest and longest stretch as a share of the whole.
    """

    share: float
    r_min: float
    r_max: float

    def bounds(self, length: int) -> tuple[int, int]:
        """l_min and l_max of something of that length.

        >>> Stretches(0.5, 0.3, 1.0).bounds(30), Stretches(0.5, 0.0, 0.5).bounds(30)
        ((9, 30), (2, 15))
        """
        # 0.3 * 30 is 9.000…, 0.29 * 100 is 28.999…: a hair more than the product is meant.
        shortest = min(length, max(SHORTEST, int(self.r_min * length + 1e-6)))
        return shortest, max(shortest, min(length, int(self.r_max * length + 1e-6)))

    def stretch(self, length: int, first: float, second: float) -> slice:
        """A stretch, uniform in its length and then in its start.

        Args:
            length: of the whole.
            first, second: uniform random numbers in [0, 1).
        """
        shortest, longest = self.bounds(length)
        taken = shortest + int(first * (longest - shortest + 1))
        start = int(second * (length - taken + 1))
        return slice(start, start + taken)


def with_pseudo_fakes(
    tracks: Mapping[str, Tensor], owner: Tensor, how: Stretches, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """Some samples with a stretch of another clip's sound, picture or both.

    Args:
        tracks: "audio" [samples, time, …] and "video" [samples, time, …].
        owner: number of the clip, or of its group, that each sample is of; a donor is of another.
            Where all are of one, nothing is changed.
        how: how often and how much.
        generator: of the random numbers, on the tracks' device.

    Returns:
        new tracks, and which samples are changed, bool [samples]. A stretch that is equal to what
        it replaces (the same clip, drawn twice) changes nothing.
    """
    out = {name: values.clone() for name, values in tracks.items()}
    clips = owner.tolist()
    changed = [False] * len(clips)
    numbers = torch.rand(len(clips), 7, generator=generator, device=owner.device).tolist()
    for i, (chance, donor, kind, *places) in enumerate(numbers):
        others = [j for j, clip in enumerate(clips) if clip != clips[i]]
        if chance >= how.share or not others:
            continue
        j = others[int(donor * len(others))]
        for name in KINDS[int(kind * len(KINDS))]:
            at = places[:2] if name == "audio" else places[2:]
            cut = how.stretch(tracks[name].shape[1], *at)
            piece = tracks[name][j, cut]
            changed[i] |= not torch.equal(piece, tracks[name][i, cut])
            out[name][i, cut] = piece
    return out, torch.tensor(changed, dtype=torch.bool, device=owner.device)
