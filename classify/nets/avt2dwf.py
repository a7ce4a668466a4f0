"""AVT2-DWF: face transformer, audio transformer, dynamic weight fusion (Wang et al. 2024).

Looks at one block at a time: T frames of a face (30 in the paper, one second) and the MFCCs of the
same stretch. Sources: the paper; where it is silent its code (FACTS.md, 10).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from classify.nets.avt2dwf_encoder import ClassTransformer
from classify.nets.avt2dwf_fusion import DynamicWeights
from classify.nets.avt2dwf_options import AVT2DWFOptions
from classify.nets.pixels import frame_tokens, imagenet_scaled, mixed_patches, patches


class Fused(NamedTuple):
    """What the network makes of a batch of blocks.

    Attributes:
        logits: [blocks, classes].
        fused: the representation that the head sees, [blocks, modalities * width].
        weights: of each modality, [blocks, modalities]; with "concat" 1 where it is there.
    """

    logits: Tensor
    fused: Tensor
    weights: Tensor


class FaceTransformer(nn.Module):
    """Frames of a face → class vector; a token a frame or a patch."""

    def __init__(self, frames: int, size_px: int, options: AVT2DWFOptions) -> None:
        super().__init__()
        self.options = options
        side = size_px if options.face_tokens == "frames" else options.patch_px
        if size_px % side:
            raise ValueError(f"patches of {side} px do not fill pictures of {size_px} px")
        self.tokens = frames if side == size_px else (size_px // side) ** 2
        self.encoder = ClassTransformer(self.tokens, 3 * side**2, options.encoder)

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Class vectors [blocks, width] of uint8 frames [blocks, frames, height, width, 3]."""
        scaled = imagenet_scaled(frames, self.encoder.class_token.dtype)
        if self.options.face_tokens == "frames":
            tokens = frame_tokens(scaled, self.options.frame_order)
            return self._encoded(tokens, valid)
        cells = patches(scaled, self.options.patch_px)
        tokens = mixed_patches(cells, valid, self._priority(cells))
        return self._encoded(tokens, valid.any(dim=1, keepdim=True).expand(-1, self.tokens))

    def _encoded(self, tokens: Tensor, valid: Tensor) -> Tensor:
        vector: Tensor = self.encoder(tokens, valid)
        return vector

    def _priority(self, cells: Tensor) -> Tensor:
        """Random numbers that choose patches: new ones in training, else always the same."""
        batch, frames, count, _ = cells.shape
        kept = self.options.patch_places == "kept"
        shape = (frames, count) if kept else (frames * count,)
        if self.training:
            return torch.rand(batch, *shape, device=cells.device)
        return fixed_numbers(shape).to(cells.device).expand(batch, *shape)


@cache
def fixed_numbers(shape: tuple[int, ...]) -> Tensor:
    """The same random numbers of [0, 1) at every call."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


class AudioTransformer(nn.Module):
    """MFCCs of a block → class vector; a token a time step, or one token of all."""

    def __init__(self, steps: int, coefficients: int, options: AVT2DWFOptions) -> None:
        super().__init__()
        self.whole = options.audio_tokens == "one"
        tokens, size = (1, steps * coefficients) if self.whole else (steps, coefficients)
        self.encoder = ClassTransformer(tokens, size, options.encoder)

    def forward(self, steps: Tensor, valid: Tensor) -> Tensor:
        """Class vectors [blocks, width] of MFCCs [blocks, steps, coefficients]."""
        x = steps.to(self.encoder.class_token.dtype)
        if self.whole:
            x, valid = x.flatten(1).unsqueeze(1), valid.any(dim=1, keepdim=True)
        vector: Tensor = self.encoder(x, valid)
        return vector


class AVT2DWF(nn.Module):
    """Both encoders, the fusion and a linear head; with one modality its class vector and the head.

    Args:
        video: frames of a block and their side in pixels; None: no video.
        audio: time steps of a block and coefficients of a step; None: no audio.
        classes: logits given.
    """

    def __init__(
        self,
        video: tuple[int, int] | None,
        audio: tuple[int, int] | None,
        options: AVT2DWFOptions,
        classes: int = 2,
    ) -> None:
        super().__init__()
        self.options = options
        self.video = FaceTransformer(*video, options) if video else None
        self.audio = AudioTransformer(*audio, options) if audio else None
        modalities = sum(encoder is not None for encoder in (self.video, self.audio))
        self.fusion: DynamicWeights | None = None
        if modalities == 2 and options.fusion == "dwf":
            self.fusion = DynamicWeights(options.width, options.fusing)
        self.head = nn.Linear(modalities * options.width, classes)

    def forward(
        self,
        video: Tensor | None = None,
        video_mask: Tensor | None = None,
        audio: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Fused:
        """Verdicts on blocks; of two modalities at least one has a valid slot in every block.

        Args:
            video: uint8 [blocks, frames, size, size, 3].
            video_mask: [blocks, frames].
            audio: [blocks, steps, coefficients].
            audio_mask: [blocks, steps].
        """
        vectors, present = [], []
        for encoder, values, valid in (
            (self.video, video, video_mask),
            (self.audio, audio, audio_mask),
        ):
            if encoder is not None and values is not None and valid is not None:
                vectors.append(encoder(values, valid))
                present.append(valid.any(dim=1))
        return self._fused(torch.stack(vectors, dim=1), torch.stack(present, dim=1))

    def _fused(self, vectors: Tensor, present: Tensor) -> Fused:
        """From class vectors [blocks, modalities, width] and who is there [blocks, modalities]."""
        weights = present.to(vectors.dtype)
        if self.fusion is not None:
            weights = self.fusion(vectors, present)
            if self.options.normalise:
                vectors = normalize(vectors, dim=2)
        fused = (weights.unsqueeze(2) * vectors).flatten(1)
        return Fused(self.head(fused), fused, weights)
