"""The attention block that 2D3MF and IAT fuse their modalities with (FACTS 8.4)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scale = Literal["head", "video"]


class AttentionBlock(nn.Module):
    """One stream (the queries) looks at another (keys and values).

    y = attention(norm(queries), norm(keys)); the result is y + MLP(norm(y)). As in the released
    code there is no residual around the attention: the residual to the stream is added outside.

    Args:
        queries, keys: width of the two streams; the result is as wide as the queries.
        heads: of the attention; must divide the width.
        mlp_ratio: width of the MLP as a multiple.
        scale_width: the products are divided by the square root of this; None: of a head's width,
            as the code does. The paper's equation has the width of the video features.
        residual: add the queries to the attention's result.
    """

    def __init__(
        self,
        queries: int,
        keys: int,
        heads: int,
        *,
        mlp_ratio: float = 2.0,
        scale_width: int | None = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if queries % heads:
            raise ValueError(f"{heads} heads do not divide a width of {queries}")
        hidden = int(mlp_ratio * queries)
        self.heads, self.residual = heads, residual
        self.scale = (scale_width or queries // heads) ** -0.5
        self.norm_queries = nn.LayerNorm(queries)
        self.norm_keys = nn.LayerNorm(keys)
        self.to_queries = nn.Linear(queries, queries, bias=False)
        self.to_keys_values = nn.Linear(keys, 2 * queries, bias=False)
        self.join = nn.Linear(queries, queries)
        self.norm = nn.LayerNorm(queries)
        self.mlp = nn.Sequential(nn.Linear(queries, hidden), nn.GELU(), nn.Linear(hidden, queries))

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """[batch, query slots, queries] after a look at `keys` [batch, key slots, keys].

        Args:
            mask: which key slots are there, bool [batch, key slots]; a sample without any
                attends to nothing, and its attention gives 0.
        """
        q, k, v = self._projected(queries, keys)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=_open(mask), scale=self.scale)
        if mask is not None:
            seen = seen * mask.any(dim=1)[:, None, None, None].to(seen.dtype)
        y = self.join(seen.transpose(1, 2).flatten(2))
        if self.residual:
            y = y + queries
        out: Tensor = y + self.mlp(self.norm(y))
        return out

    def maps(self, queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention [batch, heads, query slots, key slots]; rows sum to 1 over the valid keys."""
        q, k, _ = self._projected(queries, keys)
        products = (q @ k.transpose(-2, -1)) * self.scale
        open_keys = _open(mask)
        if open_keys is not None:
            products = products.masked_fill(~open_keys, float("-inf"))
        return torch.softmax(products, dim=-1)

    def _projected(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [batch, heads, slots, width of a head]."""
        q = self.to_queries(self.norm_queries(queries))
        k, v = self.to_keys_values(self.norm_keys(keys)).chunk(2, dim=-1)
        return self._split(q), self._split(k), self._split(v)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _open(mask: Tensor | None) -> Tensor | None:
    """A mask for the products, [batch, 1, 1, keys]; a sample without any key sees all of them."""
    if mask is None:
        return None
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]
