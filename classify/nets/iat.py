"""IAT: intermediate attention for audio-visual emotion recognition (FACTS 9), on embeddings.

The visual backbone (EfficientFace) is a column; this is what follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from classify.nets.attention import AttentionBlock
from classify.nets.masked import ConvBlock, chained, mean_over_time, whole

Fusion = Literal["ia", "it", "lt"]


@dataclass(frozen=True)
class IATShape:
    """What the network is made of.

    Attributes:
        audio, video: width of a vector; None: that modality is not there.
        outputs: numbers given.
        fusion: "ia" weighs each stream by the attention it receives from the other; "it" adds
            attention blocks to the streams after the first stage; "lt" puts them after the second.
        heads: of the attention; must divide the widths that attend.
        audio_widths, video_widths: channels after the convolutions of stage 1 (two) and stage 2
            (two).
    """

    audio: int | None = 10
    video: int | None = 1024
    outputs: int = 8
    fusion: Fusion = "ia"
    heads: int = 1
    audio_widths: tuple[int, ...] = (64, 128, 256, 128)
    video_widths: tuple[int, ...] = (64, 64, 128, 128)


class ReceivedAttention(nn.Module):
    """How much attention each slot of the keys receives from all queries.

    softmax(q kᵀ / √width of a head) is averaged over the heads and summed over the queries. The
    published layer computes values and a projection too and does not use them.

    Args:
        queries, keys: width of the streams.
        heads: must divide the queries' width, in which the products are taken.
    """

    def __init__(self, queries: int, keys: int, heads: int) -> None:
        super().__init__()
        if queries % heads:
            raise ValueError(f"{heads} heads do not divide a width of {queries}")
        self.heads = heads
        self.scale = (queries // heads) ** -0.5
        self.to_queries = nn.Linear(queries, queries, bias=False)
        self.to_keys = nn.Linear(keys, queries, bias=False)

    def forward(
        self, queries: Tensor, keys: Tensor, seen_q: Tensor | None, seen_k: Tensor | None
    ) -> Tensor:
        """Weights [batch, key slots]; 1 throughout where a sample has no query at all.

        Args:
            queries, keys: [batch, slots, width].
            seen_q, seen_k: their masks, None where all is valid.
        """
        q, k = self._split(self.to_queries(queries)), self._split(self.to_keys(keys))
        products = (q @ k.transpose(-2, -1)) * self.scale
        if seen_k is not None:
            open_keys = seen_k | ~seen_k.any(dim=1, keepdim=True)
            products = products.masked_fill(~open_keys[:, None, None, :], float("-inf"))
        attention = torch.softmax(products, dim=-1).mean(dim=1)
        if seen_q is None:
            return attention.sum(dim=1)
        received = (attention * seen_q[:, :, None]).sum(dim=1)
        return torch.where(seen_q.any(dim=1, keepdim=True), received, 1.0)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Branch(nn.Module):
    """The two stages of one modality, two convolution blocks each."""

    def __init__(self, inputs: int, widths: tuple[int, ...], *, audio: bool) -> None:
        super().__init__()
        sizes = (inputs, *widths)
        blocks = [ConvBlock(a, b, same=not audio, pool=audio) for a, b in pairwise(sizes)]
        self.first, self.second = nn.ModuleList(blocks[:2]), nn.ModuleList(blocks[2:])


@dataclass(frozen=True)
class Stream:
    """One modality on its way: values [batch, slots, width] and mask, None where all is valid."""

    x: Tensor
    mask: Tensor | None

    def after(self, blocks: nn.Module) -> Stream:
        """Behind these convolution blocks."""
        assert isinstance(blocks, nn.ModuleList)
        return Stream(*chained(blocks, self.x, self.mask))


class IAT(nn.Module):
    """Stage 1 → attention ("ia", "it") → stage 2 (→ attention, "lt") → means → linear head."""

    def __init__(self, shape: IATShape) -> None:
        super().__init__()
        a, v = shape.audio_widths, shape.video_widths
        self.kind = shape.fusion
        self.branches = nn.ModuleDict()
        if shape.audio is not None:
            self.branches["audio"] = Branch(shape.audio, a, audio=True)
        if shape.video is not None:
            self.branches["video"] = Branch(shape.video, v, audio=False)
        if len(self.branches) == 2:
            at = 3 if shape.fusion == "lt" else 1
            kind = ReceivedAttention if shape.fusion == "ia" else AttentionBlock
            self.av, self.va = kind(a[at], v[at], shape.heads), kind(v[at], a[at], shape.heads)
        widths = {"audio": a[3], "video": v[3]}
        self.head = nn.Linear(sum(widths[m] for m in self.branches), shape.outputs)

    def forward(self, **tracks: Tensor) -> Tensor:
        """Logits [batch, outputs].

        Args:
            tracks: `audio` [batch, T_a, width], at least 13 slots, as the convolutions take 12,
                `video` [batch, T_v, width], or one of them; `audio_mask`, `video_mask`: which
                slots are there, bool [batch, T].
        """
        logits: Tensor = self.head(self.embedded(**tracks))
        return logits

    def embedded(self, **tracks: Tensor) -> Tensor:
        """The fused representation, audio then video: [batch, 256] with the paper's widths."""
        streams = {m: Stream(tracks[m], whole(tracks[f"{m}_mask"])) for m in self.branches}
        streams = {m: s.after(self._stage(m, "first")) for m, s in streams.items()}
        if len(streams) == 2 and self.kind != "lt":
            streams = self._attended(streams["audio"], streams["video"])
        streams = {m: s.after(self._stage(m, "second")) for m, s in streams.items()}
        if len(streams) == 2 and self.kind == "lt":
            streams = self._attended(streams["audio"], streams["video"])
        return torch.cat([mean_over_time(s.x, s.mask) for s in streams.values()], dim=1)

    def _attended(self, a: Stream, v: Stream) -> dict[str, Stream]:
        """Both streams after a look at each other."""
        if self.kind == "ia":
            weights_v = self.av(a.x, v.x, a.mask, v.mask)[:, :, None]
            weights_a = self.va(v.x, a.x, v.mask, a.mask)[:, :, None]
            heard, seen = a.x * weights_a, v.x * weights_v
        else:
            heard, seen = self.av(a.x, v.x, v.mask), self.va(v.x, a.x, a.mask)
            if self.kind == "it":
                heard, seen = a.x + heard, v.x + seen
        return {"audio": Stream(heard, a.mask), "video": Stream(seen, v.mask)}

    def _stage(self, modality: str, name: str) -> nn.Module:
        return self.branches[modality].get_submodule(name)
