"""First stages of 2D3MF's audio: from a column's vectors to the audio stream (FACTS 8.3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from classify.nets.masked import ConvBlock, mean_over_time, sinusoid, zeroed

Front = Literal["none", "mfcc", "xvector", "strided"]

MFCC_COEFFICIENTS = 10
XVECTOR_WIDTH = 768
STRIDED_WIDTH = 400
POSITION_DROPOUT = 0.1

Seen = tuple[Tensor, Tensor | None]
"""A stream [batch, slots, width] and its mask, None where all is valid."""


class AudioFront(nn.Module):
    """From [batch, slots, *shape] to the stream [batch, slots, width] and its mask."""

    width: int


class PlainFront(AudioFront):
    """The vectors as they are, or projected.

    Args:
        inputs: width of a vector.
        width: of the stream; the same as `inputs`: no projection.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Identity() if width == inputs else nn.Linear(inputs, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Seen:
        return self.project(x), mask


class StridedFront(AudioFront):
    """The convolutions that the released code has for EAT and never calls: 512 slots → 128."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.width = inputs
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, 3, stride=2, padding=1)
            for a, b in ((inputs, STRIDED_WIDTH), (STRIDED_WIDTH, inputs))
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Seen:
        """A slot of the result is valid if the one at its centre is."""
        for conv in self.convs:
            x = conv(zeroed(x, mask).transpose(1, 2)).transpose(1, 2)
            mask = None if mask is None else mask[:, ::2]
        return x, mask


class MFCCFront(AudioFront):
    """Convolutions over the columns of each second's MFCC map, their mean, a linear layer.

    Args:
        hidden: width of the stream, H.
        stage: channels of the third block, 256 in the code.
    """

    def __init__(self, hidden: int, stage: int) -> None:
        super().__init__()
        self.width = hidden
        widths = (MFCC_COEFFICIENTS, 64, hidden, stage, hidden)
        self.blocks = nn.ModuleList(
            ConvBlock(a, b, same=False, pool=True) for a, b in pairwise(widths)
        )
        self.out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, mask: Tensor | None) -> Seen:
        """[batch, seconds, 10, columns] → [batch, seconds, hidden]; 0 where invalid.

        A second's vector comes from its own map alone, and invalid ones are not looked at.
        """
        maps = x.flatten(0, 1) if mask is None else x[mask]
        stream = x.new_zeros(*x.shape[:2], self.width)
        if not len(maps):
            return stream, mask
        columns = maps.transpose(1, 2)
        for block in self.blocks:
            columns, _ = block(columns, None)
        vectors = self.out(mean_over_time(columns, None))
        if mask is None:
            return vectors.unflatten(0, x.shape[:2]), mask
        stream[mask] = vectors.to(stream.dtype)
        return stream, mask


class Positions(nn.Module):
    """The standard sinusoid added over time, then dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(POSITION_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(x + sinusoid(x.shape[1], x.shape[2], x))
        return out


def front_of(
    kind: Front, shape: tuple[int, ...], hidden: int, stage: int, width: int
) -> AudioFront:
    """The front of that kind for vectors of `shape`.

    Args:
        hidden, stage: widths of the MFCC front.
        width: of the stream of the plain front; 0: the vectors'.
    """
    if kind == "mfcc":
        return MFCCFront(hidden, stage)
    if kind == "strided":
        return StridedFront(shape[0])
    if kind == "xvector":
        return PlainFront(shape[0], XVECTOR_WIDTH)
    return PlainFront(shape[0], width or shape[0])
