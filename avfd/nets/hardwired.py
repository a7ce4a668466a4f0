"""The 33 hardwired maps of 7 faces: 7 gray, 7 + 7 gradients, 6 + 6 optical flow.

First layer of the 3D CNN of Ji et al., as the thesis uses it (Gino, 4.4 and 4.6.2). The papers say
neither which gradient, which flow nor which scaling; each is a setting here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avfd.errors import InputError
from avfd.nets.flow import central, optical_flow
from avfd.nets.settings import MapScaling, MapSettings

DEFAULT = MapSettings()
FRAMES = 7
KINDS = 5  # gray, x and y gradient, x and y flow
MAPS = 3 * FRAMES + 2 * (FRAMES - 1)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# What "fixed" takes off and divides by: about the mean and the spread of each kind on face crops.
GRAY_MEAN, GRAY_SPREAD, GRADIENT_SPREAD, FLOW_SPREAD_PX = 0.5, 0.25, 0.05, 0.5


@dataclass(frozen=True)
class FrameMaps:
    """The maps of consecutive faces, before they are stacked by sevens.

    Attributes:
        gray, gradient_x, gradient_y: [..., frames, rows, columns].
        flow_x, flow_y: [..., frames - 1, rows, columns], from each frame to the next.
        scaling: applied on stacking.
    """

    gray: Tensor
    gradient_x: Tensor
    gradient_y: Tensor
    flow_x: Tensor
    flow_y: Tensor
    scaling: MapScaling

    def stack(self, starts: Tensor | NDArray[np.intp] | list[int]) -> Tensor:
        """[..., stacks, 33, rows, columns] of the sevens that begin at `starts` [stacks]."""
        first = torch.as_tensor(starts, device=self.gray.device).view(-1, 1)
        offsets = torch.arange(FRAMES, device=self.gray.device)
        parts = [
            getattr(self, name)[..., first + offsets[: FRAMES - name.startswith("flow")], :, :]
            for name in KIND_NAMES
        ]
        return self._joined(parts)

    def joined(self) -> Tensor:
        """[..., 33, rows, columns] where there are seven frames exactly."""
        return self._joined([getattr(self, name) for name in KIND_NAMES])

    def _joined(self, parts: list[Tensor]) -> Tensor:
        if self.scaling == "fixed":
            flow = [part / FLOW_SPREAD_PX for part in parts[3:]]
            slopes = [part / GRADIENT_SPREAD for part in parts[1:3]]
            parts = [(parts[0] - GRAY_MEAN) / GRAY_SPREAD, *slopes, *flow]
        elif self.scaling == "standard":
            parts = [_standard(part) for part in parts]
        elif self.scaling == "raw":
            parts = [part * 255 for part in parts[:3]] + parts[3:]
        return torch.cat(parts, dim=-3)


KIND_NAMES = [field.name for field in fields(FrameMaps) if field.name != "scaling"]


def hardwired_maps(faces: Tensor | NDArray[np.uint8], settings: MapSettings = DEFAULT) -> Tensor:
    """The maps of stacks of seven faces, float32 [..., 33, rows, columns].

    Args:
        faces: [..., 7, height, width, 3], RGB as uint8, or floats in [0, 1].
        settings: see there.

    Order: gray of the 7, their x gradients, their y gradients, x flow of the 6 steps, y flow.
    """
    if faces.ndim < 4 or faces.shape[-4] != FRAMES:
        raise InputError(
            "a stack has seven faces", found=tuple(faces.shape), accepted="[..., 7, h, w, 3]"
        )
    return frame_maps(faces, settings).joined()


def frame_maps(faces: Tensor | NDArray[np.uint8], settings: MapSettings = DEFAULT) -> FrameMaps:
    """The maps of any number of consecutive faces [..., frames, height, width, 3]."""
    return maps_of_gray(resized_gray(torch.as_tensor(faces), settings), settings)


def maps_of_gray(gray: Tensor, settings: MapSettings = DEFAULT) -> FrameMaps:
    """The maps of consecutive gray pictures in [0, 1], [..., frames, rows, columns]."""
    gradient_x, gradient_y = _GRADIENTS[settings.gradient](gray)
    flow = optical_flow(gray[..., :-1, :, :], gray[..., 1:, :, :], settings.flow)
    return FrameMaps(
        gray, gradient_x, gradient_y, flow[..., 0, :, :], flow[..., 1, :, :], settings.scaling
    )


def resized_gray(faces: Tensor, settings: MapSettings = DEFAULT) -> Tensor:
    """Gray in [0, 1], [..., rows, columns], of RGB faces [..., height, width, 3]; bicubic.

    Rounded to whole 255ths, as pictures of 8 bits are, so it can be kept as such.
    """
    if faces.shape[-1] != 3:
        raise InputError("faces are RGB", found=tuple(faces.shape), accepted="[..., h, w, 3]")
    values = faces.float() / 255 if faces.dtype == torch.uint8 else faces.float()
    gray = values @ values.new_tensor(LUMA)
    *batch, height, width = gray.shape
    size = (settings.rows, settings.columns)
    flat = gray.reshape(-1, 1, height, width)
    if (height, width) != size:
        flat = F.interpolate(flat, size=size, mode="bicubic", antialias=settings.antialias)
    return (flat.clamp(0, 1) * 255).round().reshape(*batch, *size) / 255


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives smoothed by 1 2 1 across, a unit slope giving 1; border repeated."""
    rows, columns = x.shape[-2:]
    padded = F.pad(x.reshape(-1, 1, rows, columns), (1, 1, 1, 1), mode="replicate")
    smooth, slope = x.new_tensor([0.25, 0.5, 0.25]), x.new_tensor([-0.5, 0.0, 0.5])
    both = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)]).unsqueeze(1)
    along_x, along_y = F.conv2d(padded, both).unbind(dim=1)
    return along_x.reshape(x.shape), along_y.reshape(x.shape)


def forward_difference(x: Tensor) -> tuple[Tensor, Tensor]:
    """Next minus this; 0 in the last column and row."""
    along_x = F.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1))
    along_y = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return along_x, along_y


_GRADIENTS = {"central": central, "sobel": sobel, "forward": forward_difference}


def _standard(part: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over a stack's maps of one kind; a constant kind is 0."""
    axes = (-3, -2, -1)
    centred = part - part.mean(dim=axes, keepdim=True)
    return centred / centred.square().mean(dim=axes, keepdim=True).sqrt().clamp_min(1e-6)
