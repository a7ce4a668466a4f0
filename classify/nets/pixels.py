"""Pictures as networks want them: uint8 RGB in, scaled floats out, and frames made into tokens."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def imagenet_scaled(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Pictures [..., height, width, 3] of 0 to 255 by ImageNet's mean and deviation."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=dtype, device=pixels.device)
    deviation = torch.tensor(IMAGENET_DEVIATION, dtype=dtype, device=pixels.device)
    return (pixels.to(dtype) / 255.0 - mean) / deviation


def centred(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Pictures of 0 to 255 as numbers from -1 to 1."""
    return (pixels.to(dtype) / 255.0 - 0.5) / 0.5


def frame_tokens(frames: Tensor, order: str = "permute") -> Tensor:
    """A token a frame: [batch, frames, height, width, 3] → [batch, frames, height * width * 3].

    Args:
        frames: pictures in time order.
        order: "permute": a token is a frame (the paper, II-A). "reshape": as AVT2-DWF's training
            code does it, which turns [frames, channels, …] into [channels, frames * height, …]
            without exchanging the axes, so that a token mixes channels of several frames.
    """
    if order == "permute":
        return frames.flatten(2)
    batch, count, height, width, channels = frames.shape
    stacked = frames.permute(0, 1, 4, 2, 3).reshape(batch, channels, count, height, width)
    return stacked.permute(0, 2, 3, 4, 1).flatten(2)


def patches(frames: Tensor, size_px: int) -> Tensor:
    """Square patches, row by row: [batch, frames, cells, size_px² * 3].

    `frames` is [batch, frames, height, width, 3], both sides multiples of `size_px`.
    """
    batch, count, height, width, channels = frames.shape
    rows, columns = height // size_px, width // size_px
    grid = frames.reshape(batch, count, rows, size_px, columns, size_px, channels)
    return grid.transpose(3, 4).reshape(batch, count, rows * columns, -1)


def mixed_patches(cells: Tensor, valid: Tensor, priority: Tensor) -> Tensor:
    """One picture's worth of patches, each taken from some valid frame (Table V).

    Args:
        cells: patches [batch, frames, cells, size].
        valid: [batch, frames]; samples without a valid frame take from any.
        priority: random numbers. [batch, frames, cells]: each cell keeps its place and is taken
            from the frame where its number is lowest. [batch, frames * cells]: the patches with
            the lowest numbers, wherever they stand, none twice.

    Returns:
        [batch, cells, size].
    """
    count, size = cells.shape[2:]
    late = (~valid).to(priority.dtype) * 2.0  # after all valid ones, whose numbers are below 1
    if priority.ndim == 3:
        frame = (priority + late[:, :, None]).argmin(dim=1)
        return cells.gather(1, frame[:, None, :, None].expand(-1, 1, -1, size))[:, 0]
    ranked = (priority + late.repeat_interleave(count, dim=1)).argsort(dim=1)
    return cells.flatten(1, 2).gather(1, ranked[:, :count, None].expand(-1, -1, size))
