"""Losses and logits that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def two_logits(out: Tensor) -> Tensor:
    """Logits [batch, classes] of what a network gives; a single logit z becomes (0, z).

    The softmax of (0, z) is the sigmoid of z, and its cross-entropy the binary one.
    """
    return out if out.shape[1] > 1 else torch.cat([torch.zeros_like(out), out], dim=1)


def focal_loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float) -> Tensor:
    """Mean of -(1 - p)^gamma log p of the right class, weighted by class; gamma 0: cross-entropy.

    Args:
        logits: [batch, classes].
        target: class of each, [batch].
        weight: of each class, [classes]; the mean is divided by the sum of the samples' weights.
    """
    if gamma == 0:
        return F.cross_entropy(logits, target, weight=weight)
    log_p = F.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]
    each = weight[target]
    return -(each * (1 - log_p.exp()) ** gamma * log_p).sum() / each.sum()
