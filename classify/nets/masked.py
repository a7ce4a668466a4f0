"""Layers over time that see the valid slots only, whatever stands in the padding.

A mask is bool [batch, slots]; None stands for "all valid" and takes the plain road.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def whole(mask: Tensor) -> Tensor | None:
    """The mask, or None where it leaves nothing out."""
    return None if bool(mask.all()) else mask


def zeroed(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` [batch, slots, channels] with 0 where the mask is False."""
    return x if mask is None else x * mask[..., None].to(x.dtype)


def mean_over_time(x: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of `x` [batch, slots, channels] over the valid slots; 0 where there is none."""
    if mask is None:
        return x.mean(dim=1)
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return zeroed(x, mask).sum(dim=1) / count


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm of [batch, channels, slots] whose statistics come from valid slots alone."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same shape; what stands in padding is left as it is."""
        if mask is None:
            return super().forward(x) if x.shape[0] * x.shape[2] > 1 else self._known(x)
        seen = x.transpose(1, 2)[mask]
        out = x.transpose(1, 2).clone()
        # One value has no deviation; it is normalised by what earlier batches gave.
        out[mask] = super().forward(seen) if len(seen) > 1 else self._known(seen)
        return out.transpose(1, 2)

    def _known(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.eps)


class ConvBlock(nn.Module):
    """Conv1d of kernel 3 → batch norm → ReLU (→ max-pool of 2, stride 1).

    Args:
        inputs, outputs: channels.
        same: keep the length by zeros at both ends; else the length falls by 2.
        pool: with the max-pool, which takes one slot more.
    """

    def __init__(self, inputs: int, outputs: int, *, same: bool, pool: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 3, padding="same" if same else "valid")
        self.norm = MaskedBatchNorm(outputs)
        self.pool = pool
        self.shrinks = (0 if same else 2) + int(pool)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[batch, slots, inputs] → [batch, slots - `shrinks`, outputs] and its mask.

        A slot of the result is valid if every slot it was made from is.
        """
        inside = zeroed(x, mask).transpose(1, 2)
        made = self.conv(inside)
        kept = None if mask is None else _windows(mask, mask.shape[1] - made.shape[2] + 1)
        out = F.relu(self.norm(made, kept))
        if self.pool:
            out = F.max_pool1d(out, 2, stride=1)
            kept = None if kept is None else _windows(kept, 2)
        return out.transpose(1, 2), kept


def _windows(mask: Tensor, width: int) -> Tensor:
    """Which windows of `width` slots are valid all over, [batch, slots - width + 1]."""
    return mask if width == 1 else mask.unfold(1, width, 1).all(dim=2)


def chained(blocks: nn.ModuleList, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """`x` and its mask after one block after the other."""
    for block in blocks:
        x, mask = block(x, mask)
    return x, mask


def sinusoid(slots: int, width: int, like: Tensor) -> Tensor:
    """The standard positional encoding [slots, width]: even channels sine, odd ones cosine."""
    time = torch.arange(slots, device=like.device, dtype=torch.float64)[:, None]
    half = torch.arange(0, width, 2, device=like.device, dtype=torch.float64)
    angle = time / 10_000 ** (half / width)
    out = torch.zeros(slots, width, device=like.device, dtype=torch.float64)
    out[:, 0::2] = angle.sin()
    out[:, 1::2] = angle.cos()[:, : width // 2]
    return out.to(like.dtype)
