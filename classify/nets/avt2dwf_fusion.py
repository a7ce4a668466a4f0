"""Dynamic weight fusion: how much each modality counts, told by the attention it receives.

AVT2-DWF's code leaves the module's body out. Its paper (Wang et al. 2024, equations 7 to 9) sums
attention over the keys of one query, which is 1 whatever the input; what it builds on, MEAformer
(Chen et al. 2023), sums over the queries instead: the attention *received* by each modality. That
is what stands here by default, the paper's sum is kept for comparison.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from classify.nets.avt2dwf_options import FusionShape

NORM_EPSILON = 1e-12  # BERT's


class Attending(nn.Module):
    """Attention probabilities between modalities, [batch, heads, queries, keys].

    Keys have no bias: it would add the same to all keys of a query, which the softmax takes away.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Of `x` [batch, modalities, width]; absent modalities are no keys."""
        q, k = (part(x).reshape(*x.shape[:2], self.heads, -1) for part in (self.query, self.key))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        return scores.masked_fill(~present[:, None, None, :], -math.inf).softmax(dim=-1)


class CrossModalLayer(nn.Module):
    """Attention over the modalities, then feed-forward; each is added and normed (post-norm)."""

    def __init__(self, width: int, shape: FusionShape) -> None:
        super().__init__()
        self.attending = Attending(width, shape.heads)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(shape.dropout)
        self.feed_forward: nn.Sequential | None = None
        if shape.intermediate:
            self.feed_forward = nn.Sequential(
                nn.Linear(width, shape.intermediate),
                nn.GELU(),
                nn.Linear(shape.intermediate, width),
                nn.Dropout(shape.dropout),
            )
            self.after = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """[batch, modalities, width]."""
        shares = self.dropout(self.attending(x, present))
        values = self.value(x).reshape(*x.shape[:2], self.attending.heads, -1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", shares, values).flatten(2)
        x = self.norm(x + self.dropout(self.out(mixed)))
        if self.feed_forward is not None:
            x = self.after(x + self.feed_forward(x))
        return x


class DynamicWeights(nn.Module):
    """A weight for each modality of a sample.

    Of the last layer only the attention probabilities are used, so it has nothing else.
    """

    def __init__(self, width: int, shape: FusionShape) -> None:
        super().__init__()
        self.kind = shape.weights
        self.layers = nn.ModuleList(CrossModalLayer(width, shape) for _ in range(shape.layers - 1))
        self.last = Attending(width, shape.heads)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Weights [batch, modalities] of class vectors `x` [batch, modalities, width].

        A modality that is absent (`present` [batch, modalities] False) has weight 0 and is not
        seen by the others.
        """
        for layer in self.layers:
            x = layer(x, present)
        shares = self.last(x, present)
        if self.kind == "given":
            given: Tensor = shares.sum(dim=3).mean(dim=1) * present
            return given
        return received(shares, present)


def received(shares: Tensor, present: Tensor) -> Tensor:
    """MEAformer's weights [batch, modalities] from attention [batch, heads, queries, keys].

    Summed over heads and over the queries of modalities that are there, divided by
    √(modalities · heads), softmax over the modalities.
    """
    heads, modalities = shares.shape[1], shares.shape[3]
    total = (shares * present[:, None, :, None]).sum(dim=(1, 2))
    scores = total / math.sqrt(modalities * heads)
    return scores.masked_fill(~present, -math.inf).softmax(dim=1)
