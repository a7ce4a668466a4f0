"""2D3MF: audio and video embeddings fused in the middle by cross-attention (FACTS 8).

Written from the paper's equations; where paper and released code differ both are options
(FACTS 15).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from classify.nets.attention import AttentionBlock
from classify.nets.fronts import Front, MFCCFront, Positions, front_of
from classify.nets.masked import ConvBlock, chained, mean_over_time, whole

Fusion = Literal["default", "audio-reuse", "video-reuse", "self", "multi", "self-cross"]

_BLOCKS: dict[Fusion, tuple[str, ...]] = {
    "default": ("av1", "va1"),
    "audio-reuse": ("av1", "va1"),
    "video-reuse": ("av1", "va1"),
    "self": ("aa", "vv"),
    "multi": ("av1", "va1", "av2", "va2"),
    "self-cross": ("aa", "vv", "av1", "va1"),
}
"""Fusion → its attention blocks: first letter the queries, second the keys."""


@dataclass(frozen=True)
class TD3MFShape:
    """What the network is made of.

    Attributes:
        audio: shape of a vector: (width,), of the MFCC front (10, columns).
        video: width of a vector, V.
        outputs: numbers given: 1 logit of two classes, else one a class.
        fusion: see `MiddleFusion`.
        late: leave out the second stage ("late fusion"; the attention stays, as in the code).
        hidden: width of the video stream, H.
        heads: of every attention; must divide H and the audio width.
        front, audio_width: first stage of the audio, and a width to project it to, 0: as it is.
        audio_stage, video_stage: middle channels of the second stage.
        positions: add the sinusoid to the audio.
        residual_attention: a residual around the attention too; the code has none.
        attention_scale: products divided by the root of a "head"'s width (code) or of the
            "video"'s (paper).
        share_mfcc_convs: the second stage's audio convolutions are the MFCC front's last two, as
            in the code.
    """

    audio: tuple[int, ...]
    video: int
    outputs: int = 1
    fusion: Fusion = "default"
    late: bool = False
    hidden: int = 64
    heads: int = 2
    front: Front = "none"
    audio_width: int = 0
    audio_stage: int = 256
    video_stage: int = 128
    positions: bool = False
    residual_attention: bool = False
    attention_scale: Literal["head", "video"] = "head"
    share_mfcc_convs: bool = False


class MiddleFusion(nn.Module):
    """The six ways in which the streams look at each other (FACTS 8.5).

    T_qk is a block whose queries are q; what it gives is added to the stream q. In the reuse
    variants the keys are the stream and what was added to it; "multi" and "self-cross" are two
    rounds, the second on the streams that the first has made.
    """

    def __init__(self, shape: TD3MFShape, audio_width: int) -> None:
        super().__init__()
        widths = {"a": audio_width, "v": shape.hidden}
        self.kind = shape.fusion
        self.blocks = nn.ModuleDict(
            {
                name: AttentionBlock(
                    widths[name[0]],
                    widths[name[1]],
                    shape.heads,
                    scale_width=shape.hidden if shape.attention_scale == "video" else None,
                    residual=shape.residual_attention,
                )
                for name in _BLOCKS[shape.fusion]
            }
        )

    def forward(
        self, a: Tensor, v: Tensor, seen_a: Tensor | None, seen_v: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both streams [batch, T_a, A], [batch, T_v, H] with what they saw added."""
        masks = {"a": seen_a, "v": seen_v}

        def look(name: str, queries: Tensor, keys: Tensor) -> Tensor:
            out: Tensor = self.blocks[name](queries, keys, masks[name[1]])
            return out

        return _FUSIONS[self.kind](look, a, v)


Look = Callable[[str, Tensor, Tensor], Tensor]
"""A block by name, on queries and keys."""


def _default(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return a + look("av1", a, v), v + look("va1", v, a)


def _audio_reuse(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    seen = v + look("va1", v, a)
    return a + look("av1", a, seen), seen


def _video_reuse(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    heard = a + look("av1", a, v)
    return heard, v + look("va1", v, heard)


def _self(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return a + look("aa", a, a), v + look("vv", v, v)


def _multi(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    a, v = _default(look, a, v)
    return a + look("av2", a, v), v + look("va2", v, a)


def _self_cross(look: Look, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return _default(look, *_self(look, a, v))


_FUSIONS: dict[Fusion, Callable[[Look, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "default": _default,
    "audio-reuse": _audio_reuse,
    "video-reuse": _video_reuse,
    "self": _self,
    "multi": _multi,
    "self-cross": _self_cross,
}


class TD3MF(nn.Module):
    """First stage → middle fusion → second stage → mean over time → linear head."""

    def __init__(self, shape: TD3MFShape) -> None:
        super().__init__()
        hidden, stage = shape.hidden, shape.audio_stage
        self.project_down = nn.Linear(shape.video, hidden)
        self.front = front_of(shape.front, shape.audio, hidden, stage, shape.audio_width)
        width = self.front.width
        self.positions = Positions() if shape.positions else None
        self.fusion = MiddleFusion(shape, width)
        self.video_stage, self.audio_stage = nn.ModuleList(), nn.ModuleList()
        if not shape.late:
            self.video_stage.extend(
                ConvBlock(a, b, same=True, pool=False)
                for a, b in ((hidden, shape.video_stage), (shape.video_stage, hidden))
            )
            self.audio_stage.extend(self._audio_stage(width, stage, shape.share_mfcc_convs))
        self.head = nn.Linear(width + hidden, shape.outputs)

    def _audio_stage(self, width: int, stage: int, share: bool) -> list[nn.Module]:
        if share and isinstance(self.front, MFCCFront):
            return list(self.front.blocks[2:])
        pairs = ((width, stage), (stage, width))
        return [ConvBlock(a, b, same=False, pool=True) for a, b in pairs]

    def forward(
        self, audio: Tensor, audio_mask: Tensor, video: Tensor, video_mask: Tensor
    ) -> Tensor:
        """Logits [batch, outputs].

        Args:
            audio: [batch, T_a, *shape], at least 7 slots, as the second stage takes 6.
            video: [batch, T_v, V]; T_a and T_v may differ.
            audio_mask, video_mask: which slots are there, bool [batch, T_a] and [batch, T_v].
        """
        logits: Tensor = self.head(self.embedded(audio, audio_mask, video, video_mask))
        return logits

    def embedded(
        self, audio: Tensor, audio_mask: Tensor, video: Tensor, video_mask: Tensor
    ) -> Tensor:
        """The fused representation, audio then video: [batch, A + H]."""
        a, seen_a = self.front(audio, whole(audio_mask))
        v, seen_v = self.project_down(video), whole(video_mask)
        if self.positions is not None:
            a = self.positions(a)
        a, v = self.fusion(a, v, seen_a, seen_v)
        a, seen_a = chained(self.audio_stage, a, seen_a)
        v, seen_v = chained(self.video_stage, v, seen_v)
        return torch.cat([mean_over_time(a, seen_a), mean_over_time(v, seen_v)], dim=1)


class OneModality(nn.Module):
    """The video-only and audio-only baselines: all vectors of a clip → one linear layer.

    Args:
        slots: of a clip, the length at which it is cut or to which it is filled with zeros.
        shape: of a vector.
        outputs: numbers given.
    """

    def __init__(self, slots: int, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        width = slots
        for size in shape:
            width *= size
        self.head = nn.Linear(width, outputs)

    def forward(self, **tracks: Tensor) -> Tensor:
        """Logits [batch, outputs] of the only modality's values [batch, slots, *shape]."""
        (values,) = (x for name, x in tracks.items() if not name.endswith("_mask"))
        logits: Tensor = self.head(values.flatten(1))
        return logits
