"""The simple two-layer 3D CNN of the thesis' first video experiments (Gino, 5.4.1 and 5.4.2).

Conv3D with 2 filters → max pooling → dropout → Conv3D with 32 filters → dense 5, on 300 plain
frames of 100 x 93. The second convolution's activation is the feature, EMO_v [300, 32]: softmax in
the first experiment, tanh in the second. Kernel and pooling sizes are not stated.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfd.errors import InputError
from avfd.nets.hardwired import LUMA
from avfd.nets.settings import FramesCnn3dSettings

EXPERIMENT_1 = FramesCnn3dSettings(activation="softmax", label="frame")
EXPERIMENT_2 = FramesCnn3dSettings()
SMALL = FramesCnn3dSettings(rows=24, columns=24)


def prepared(faces: Tensor, settings: FramesCnn3dSettings = EXPERIMENT_2) -> Tensor:
    """What the network takes, [..., rows, columns, channels], of uint8 RGB [..., h, w, 3].

    Squeezed to the frame's size by bicubic interpolation over as many pixels as a pixel covers.
    """
    values = faces.float() / 255
    if settings.channels == 1:
        values = (values @ values.new_tensor(LUMA)).unsqueeze(-1)
    *batch, height, width, channels = values.shape
    size = (settings.rows, settings.columns)
    if (height, width) == size:
        return values
    flat = values.reshape(-1, height, width, channels).movedim(3, 1)
    flat = F.interpolate(flat, size=size, mode="bicubic", antialias=True)
    return flat.clamp(0, 1).movedim(1, 3).reshape(*batch, *size, channels)


class FramesCnn3d(nn.Module):
    """Frames [batch, frames, rows, columns, channels] in [0, 1] → EMO_v → logits."""

    def __init__(self, settings: FramesCnn3dSettings = EXPERIMENT_2) -> None:
        super().__init__()
        self.settings = s = settings
        if s.kernel_frames % 2 == 0 or s.kernel_px % 2 == 0:
            raise InputError(
                "kernels are odd, so that every frame keeps its vector",
                where="two-layer 3D CNN",
                found=f"{s.kernel_frames} frames, {s.kernel_px} px",
            )
        around, beside = s.kernel_frames // 2, s.kernel_px // 2
        kernel = (s.kernel_frames, s.kernel_px, s.kernel_px)
        self.conv1 = nn.Conv3d(s.channels, s.filters, kernel, padding=(around, beside, beside))
        self.pool = nn.MaxPool3d((1, s.pool_px, s.pool_px))
        self.dropout = nn.Dropout(s.dropout)
        plane = (s.rows // s.pool_px, s.columns // s.pool_px)
        second = (s.kernel_frames, *plane) if s.plane == "full" else kernel
        self.conv2 = nn.Conv3d(s.filters, s.units, second, padding=(around, 0, 0))
        self.out = nn.Linear(s.units, s.classes)

    def features(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """EMO_v [batch, frames, units]; frames where `valid` [batch, frames] is False are black."""
        known = torch.ones_like(x[..., 0, 0, 0]).bool() if valid is None else valid.bool()
        known = known[:, None, :, None, None]
        hidden = torch.tanh if self.settings.hidden == "tanh" else torch.relu
        first = hidden(self.conv1(x.movedim(4, 1).where(known, 0.0))) * known
        maps = self.conv2(self.dropout(self.pool(first)))
        values = maps.mean(dim=(3, 4)).transpose(1, 2)
        if self.settings.activation == "softmax":
            return torch.softmax(values, dim=2)
        return torch.tanh(values)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [batch, classes], or [batch, frames, classes] where every frame is labelled."""
        each: Tensor = self.out(self.features(x, valid))
        if self.settings.label == "frame":
            return each
        if valid is None:
            return each.mean(dim=1)
        known = valid.unsqueeze(2)
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp_min(1)
