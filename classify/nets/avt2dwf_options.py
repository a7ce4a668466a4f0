"""What the network of AVT2-DWF can be told. Importing this file imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TransformerShape:
    """How large an encoder is; the defaults are those of AVT2-DWF's code (FACTS.md, 10.1).

    Attributes:
        width: numbers in a token after the embedding, and in the class vector.
        depth: blocks.
        heads, head_dim: of the self-attention; their product need not be the width.
        feed_forward: hidden width of the feed-forward part of a block.
        dropout: of attention weights and layers, and once more after each block.
        embedding_dropout: of the tokens before the first block.
    """

    width: int = 1024
    depth: int = 6
    heads: int = 16
    head_dim: int = 64
    feed_forward: int = 2048
    dropout: float = 0.1
    embedding_dropout: float = 0.1


@dataclass(frozen=True)
class FusionShape:
    """How the weights are found (FACTS.md, 10.3).

    Attributes:
        layers: of multi-head attention over the modalities.
        heads: of each.
        intermediate: hidden width of a layer's feed-forward part; 0: none, as in the paper's
            equations 10 and 11.
        dropout: of attention weights and of what a layer adds.
        weights: "received" (MEAformer) or "given" (the paper's equations: always 1).
    """

    layers: int = 2
    heads: int = 16
    intermediate: int = 400
    dropout: float = 0.1
    weights: Literal["received", "given"] = "received"


@dataclass(frozen=True)
class AVT2DWFOptions:
    """What the network can be told; docs/classifiers/avt2dwf.md gives the reasons.

    Attributes:
        face_tokens: "frames": a token a frame; "patches": patches drawn from all frames and put
            together to one picture, a token a patch (Table V).
        patch_px: side of a patch; the paper names none.
        patch_places: "kept": a patch stands where it stood in its frame; "drawn": anywhere.
        frame_order: "permute" (paper) or "reshape" (the code's mix-up of frames and channels).
        audio_tokens: "steps": a token a time step (paper); "one": one token of all (code).
        fusion: "dwf", or "concat" (Table IV, audio and visual without the fusion module).
        weights: see `FusionShape`.
        normalise: class vectors have length 1 when they are weighted (MEAformer); the paper's
            equation 12 takes them as they are.
        width, depth, heads, head_dim, feed_forward, dropout, embedding_dropout: of both encoders;
            see `TransformerShape`.
        fusion_layers, fusion_heads, fusion_intermediate: see `FusionShape`.
    """

    face_tokens: Literal["frames", "patches"] = "frames"
    patch_px: int = 16
    patch_places: Literal["kept", "drawn"] = "kept"
    frame_order: Literal["permute", "reshape"] = "permute"
    audio_tokens: Literal["steps", "one"] = "steps"
    fusion: Literal["dwf", "concat"] = "dwf"
    weights: Literal["received", "given"] = "received"
    normalise: bool = False
    width: int = 1024
    depth: int = 6
    heads: int = 16
    head_dim: int = 64
    feed_forward: int = 2048
    dropout: float = 0.1
    embedding_dropout: float = 0.1
    fusion_layers: int = 2
    fusion_heads: int = 16
    fusion_intermediate: int = 400

    @property
    def encoder(self) -> TransformerShape:
        """Shape of both encoders."""
        return TransformerShape(
            self.width,
            self.depth,
            self.heads,
            self.head_dim,
            self.feed_forward,
            self.dropout,
            self.embedding_dropout,
        )

    @property
    def fusing(self) -> FusionShape:
        """Shape of the fusion module."""
        return FusionShape(
            self.fusion_layers,
            self.fusion_heads,
            self.fusion_intermediate,
            self.dropout,
            self.weights,
        )
