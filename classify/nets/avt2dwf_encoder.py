"""A transformer that reads a sequence of tokens into one class vector (ViT's encoder).

The encoder of AVT2-DWF's faces and of its audio (Wang et al. 2024, II-A and II-B): pre-norm blocks
of self-attention and feed-forward, learned class token and positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from classify.nets.avt2dwf_options import TransformerShape


class TokenEmbedding(nn.Module):
    """Layer norm → linear → layer norm, token by token: [..., size] → [..., width]."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.linear = nn.Linear(size, width)
        self.after = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[..., width]."""
        embedded: Tensor = self.after(self.linear(self.norm(tokens)))
        return embedded


class SelfAttention(nn.Module):
    """Layer norm → multi-head self-attention; queries, keys and values without bias."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        inner = shape.heads * shape.head_dim
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, shape.width)
        self.after = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """[batch, tokens, width]; tokens where `valid` [batch, tokens] is False are unseen."""
        q, k, v = (self._split(part) for part in self.qkv(self.norm(x)).chunk(3, dim=-1))
        dropped = self.dropout if self.training else 0.0
        seen = scaled_dot_product_attention(
            q, k, v, attn_mask=valid[:, None, None, :], dropout_p=dropped
        )
        mixed: Tensor = self.after(self.out(seen.transpose(1, 2).flatten(2)))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        """[batch, tokens, heads * head_dim] → [batch, heads, tokens, head_dim]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Layer norm → linear → GELU → linear."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, shape.feed_forward)
        self.down = nn.Linear(shape.feed_forward, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width]."""
        hidden = self.dropout(nn.functional.gelu(self.up(self.norm(x))))
        out: Tensor = self.dropout(self.down(hidden))
        return out


class Block(nn.Module):
    """Self-attention and feed-forward, each added to what it read, then dropout."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.attention = SelfAttention(shape)
        self.feed_forward = FeedForward(shape)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """[batch, tokens, width]."""
        x = x + self.attention(x, valid)
        x = x + self.feed_forward(x)
        out: Tensor = self.dropout(x)
        return out


class ClassTransformer(nn.Module):
    """Tokens → class vector.

    Args:
        tokens: of a sequence, all of which have a learned position.
        size: numbers in a token.
        shape: of the encoder.
    """

    def __init__(self, tokens: int, size: int, shape: TransformerShape) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(size, shape.width)
        self.class_token = nn.Parameter(torch.randn(1, 1, shape.width))
        self.positions = nn.Parameter(torch.randn(1, tokens + 1, shape.width))
        self.dropout = nn.Dropout(shape.embedding_dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:
        """Class vectors [batch, width] of tokens [batch, tokens, size].

        Tokens where `valid` [batch, tokens] is False are seen by nobody.
        """
        first = self.class_token.expand(len(tokens), -1, -1)
        x = torch.cat([first, self.embedding(tokens)], dim=1)
        x = self.dropout(x + self.positions)
        seen = torch.cat([valid.new_ones(len(valid), 1), valid], dim=1)
        for block in self.blocks:
            x = block(x, seen)
        out: Tensor = self.norm(x[:, 0])
        return out
