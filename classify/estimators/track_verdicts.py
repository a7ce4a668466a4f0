"""Verdicts on a clip and on its tracks: the OR of both, the cascade, windows joined to clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classify.estimators.base import Floats
from classify.features import Index
from classify.windows import aggregated

if TYPE_CHECKING:
    from torch import Tensor

    from classify.nets.syncstream import Verdicts


@dataclass(frozen=True)
class TrackVerdicts:
    """The cascade's answer: what the sync stream says first, then which track it is.

    Attributes:
        whole, video, audio: probability of a fake, [samples]; NaN where it was not looked at.
        words: "real", "video", "audio", "video and audio", "fake" (neither track alone looks
            so), or "" without a score.
    """

    whole: Floats
    video: Floats
    audio: Floats
    words: list[str]


def either(out: Verdicts) -> Tensor:
    """The OR of the tracks [batch, classes]: the one that looks more fake, absent ones left out.

    A threshold on it is the OR of the same threshold on both (equation 3). Of other classes than
    real and fake the mean.
    """
    import torch

    shares, there = [], []
    for logits, present in zip((out.video, out.audio), out.present.unbind(dim=1), strict=True):
        if logits is not None:
            shares.append(torch.softmax(logits.double(), dim=1))
            there.append(present)
    p, seen = torch.stack(shares, dim=1), torch.stack(there, dim=1)
    if p.shape[2] == 2:
        fake = p[:, :, 1].masked_fill(~seen, 0.0).amax(dim=1)
        return torch.stack([1 - fake, fake], dim=1)
    total = (p * seen.unsqueeze(2)).sum(dim=1)
    return total / seen.sum(dim=1, keepdim=True).clamp_min(1)


def of_clips(p: Floats, owner: Index, clips: int, aggregate: str) -> Floats:
    """Scores of windows [windows, classes] as their clips' [clips, classes]; NaN without one."""
    out = np.full((clips, p.shape[1]), np.nan)
    for clip in np.unique(owner).tolist():
        out[clip] = aggregated(p[owner == clip], aggregate)
    return out


def word_of(whole: float, video: float, audio: float) -> str:
    """What the cascade calls a clip; the tracks' numbers are NaN where not looked at."""
    if np.isnan(whole):
        return ""
    if whole < 0.5:
        return "real"
    fakes = [name for name, p in (("video", video), ("audio", audio)) if p >= 0.5]
    return " and ".join(fakes) or "fake"
