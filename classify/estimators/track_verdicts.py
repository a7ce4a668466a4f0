"""Verdicts on a clip and on its tracks: the OR of both, the cascade, windows joined to clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from classify.estimators.base import Floats
from classify.features import Index
from classify.windows import aggregated

if TYPE_CHECKING:
    from torch import Tensor

    from classify.nets.syncstream import Verdicts


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


def word_of(whole: float, video: float, audio: float) -> str | None:
    """What the sync-first cascade calls a clip (3.3): the tracks are asked where the whole is fake.

    Args:
        whole, video, audio: P(fake); NaN of a track that is not there.

    Returns:
        "real", "video", "audio", "video and audio", or "fake" where neither track alone looks so;
        None without a score.
    """
    if np.isnan(whole):
        return None
    if whole < 0.5:
        return "real"
    fakes = [name for name, p in (("video", video), ("audio", audio)) if p >= 0.5]
    return " and ".join(fakes) or "fake"
