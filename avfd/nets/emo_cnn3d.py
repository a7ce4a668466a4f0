"""The 3D CNN of the thesis: emotion of a face from 33 hardwired maps (Gino, 4.4-4.6; Ji et al.).

Two spatio-temporal convolutions on each kind of map apart (gray, x and y gradient, x and y flow),
each followed by a pooling in space, then one convolution over all maps down to 1 x 1: its 32 tanh
units are EMO_v. `JI` gives the original with its 295,458 parameters. What the thesis leaves open
(FACTS.md, 13.3 and 13.5) is a setting.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfd.errors import InputError
from avfd.nets.frames_cnn3d import FramesCnn3d
from avfd.nets.hardwired import (
    FRAMES,
    KINDS,
    MAPS,
    FrameMaps,
    frame_maps,
    hardwired_maps,
)
from avfd.nets.settings import Cnn3dShape, EmoCnn3dSettings, FramesCnn3dSettings, MapSettings

__all__ = [
    "JI",
    "MAPS",
    "PAPER",
    "SMALL",
    "Cnn3dLayers",
    "Cnn3dShape",
    "EmoCnn3d",
    "EmoCnn3dSettings",
    "FrameMaps",
    "FramesCnn3d",
    "FramesCnn3dSettings",
    "MapSettings",
    "frame_maps",
    "hardwired_maps",
]

TIME_KERNEL = 3
FIRST_KERNEL, SECOND_KERNEL = (7, 7), (7, 6)  # along the long and the short side
FIRST_POOL, SECOND_POOL = 2, 3


PAPER = EmoCnn3dSettings()
JI = EmoCnn3dSettings(
    long_px=60,
    short_px=40,
    classes=3,
    units=128,
    pooling="trained",
    last="connections",
    out_bias=False,
)
SMALL = EmoCnn3dSettings(long_px=40, short_px=30)


class Cnn3dLayers(nn.Module):
    """Maps [batch, 33, rows, columns] → EMO_v [batch, 32] → logits [batch, classes]."""

    def __init__(self, settings: Cnn3dShape, classes: int) -> None:
        super().__init__()
        self.settings = s = settings
        sets, second = s.first_sets, s.first_sets * s.second_per_set
        first_kernel = (TIME_KERNEL, *s.turned(FIRST_KERNEL))
        second_kernel = (TIME_KERNEL, *s.turned(SECOND_KERNEL))
        self.conv1 = nn.ModuleList(nn.Conv3d(1, sets, first_kernel) for _ in range(KINDS))
        self.conv2 = nn.ModuleList(
            nn.Conv3d(sets, second, second_kernel, groups=sets) for _ in range(KINDS)
        )
        times, (rows, columns) = self._shapes()
        self.pool1 = nn.ModuleList(self._scale(sets, first) for first, _ in times)
        self.pool2 = nn.ModuleList(self._scale(second, last) for _, last in times)
        maps = second * sum(last for _, last in times)
        self.last = _Last(maps, s.units, rows, columns, each=s.last == "connections")
        self.dropout = nn.Dropout(s.dropout)
        self.out = nn.Linear(s.units, classes, bias=s.out_bias)

    def features(self, x: Tensor) -> Tensor:
        """EMO_v [batch, units] of hardwired maps [batch, 33, rows, columns]."""
        kinds = torch.split(x.unsqueeze(1), KIND_FRAMES, dim=2)
        layers = zip(kinds, self.conv1, self.pool1, self.conv2, self.pool2, strict=True)
        maps = [self._kind(*layer) for layer in layers]
        values = self.last(torch.cat(maps, dim=1))
        if self.settings.activation == "softmax":
            return torch.softmax(values, dim=1)
        return torch.tanh(values)

    def logits(self, x: Tensor) -> Tensor:
        """Logits [batch, classes]; `x` as in `features`."""
        logits: Tensor = self.out(self.dropout(self.features(x)))
        return logits

    def _kind(
        self, x: Tensor, conv1: nn.Module, pool1: nn.Module, conv2: nn.Module, pool2: nn.Module
    ) -> Tensor:
        """One kind of map [batch, 1, frames, rows, columns] → [batch, maps, rows, columns]."""
        hidden = torch.tanh if self.settings.hidden == "tanh" else torch.relu
        window = (self.settings.pool_frames, FIRST_POOL, FIRST_POOL)
        x = hidden(conv1(x))
        x = pool1(F.avg_pool3d(x, window, stride=(1, FIRST_POOL, FIRST_POOL)))
        x = hidden(conv2(x))
        pooled: Tensor = pool2(F.avg_pool3d(x, (1, SECOND_POOL, SECOND_POOL)))
        return pooled.flatten(1, 2)

    def _scale(self, sets: int, frames: int) -> nn.Module:
        if self.settings.pooling == "plain":
            return nn.Identity()
        return _Scale(sets, frames, torch.tanh if self.settings.hidden == "tanh" else torch.relu)

    def _shapes(self) -> tuple[list[tuple[int, int]], tuple[int, int]]:
        """Frames after the first pooling and the second convolution of each kind; last size."""
        s = self.settings
        times = []
        for frames in KIND_FRAMES:
            first = frames - TIME_KERNEL + 1 - (s.pool_frames - 1)
            times.append((first, first - TIME_KERNEL + 1))
        first_rows, first_columns = s.turned(FIRST_KERNEL)
        second_rows, second_columns = s.turned(SECOND_KERNEL)
        rows = _left(s.rows, first_rows, second_rows)
        columns = _left(s.columns, first_columns, second_columns)
        if min(rows, columns, *(last for _, last in times)) < 1:
            raise InputError(
                "nothing is left of the maps after two convolutions and poolings",
                where="emo-cnn3d",
                found=f"{s.long_px} x {s.short_px}, pool_frames {s.pool_frames}",
                accepted="at least 32 x 28, pool_frames 1 or 2",
            )
        return times, (rows, columns)


class EmoCnn3d(Cnn3dLayers):
    """The network that learns emotions."""

    def __init__(self, settings: EmoCnn3dSettings = PAPER) -> None:
        super().__init__(settings, settings.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, classes] of hardwired maps [batch, 33, rows, columns]."""
        return self.logits(x)


KIND_FRAMES = [FRAMES] * 3 + [FRAMES - 1] * 2


def _left(size: int, first_kernel: int, second_kernel: int) -> int:
    """What is left of a side after both convolutions and poolings, remainders dropped."""
    pooled = (size - first_kernel + 1) // FIRST_POOL
    return (pooled - second_kernel + 1) // SECOND_POOL


class _Scale(nn.Module):
    """A trained scale and offset for every map [batch, sets, frames, …], then the non-linearity."""

    def __init__(self, sets: int, frames: int, hidden: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(sets, frames, 1, 1))
        self.offset = nn.Parameter(torch.zeros(sets, frames, 1, 1))
        self._hidden = hidden

    def forward(self, x: Tensor) -> Tensor:
        return self._hidden(self.scale * x + self.offset)


class _Last(nn.Module):
    """A convolution over all of all maps: [batch, maps, rows, columns] → [batch, units]."""

    def __init__(self, maps: int, units: int, rows: int, columns: int, *, each: bool) -> None:
        super().__init__()
        inner = nn.Conv2d(maps, units, (rows, columns))
        self.weight = inner.weight
        biases = torch.zeros(units, maps) if each else torch.zeros(units)
        self.bias = nn.Parameter(biases)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.sum(dim=1) if self.bias.ndim == 2 else self.bias
        rows, columns = self.weight.shape[2:]
        return F.linear(x[..., :rows, :columns].flatten(1), self.weight.flatten(1), bias)
