"""Dense optical flow between two gray pictures, in plain tensor arithmetic.

Neither Ji et al. nor the thesis says which algorithm made their flow maps, so there are two:
Lucas and Kanade's least squares in a window, refined from coarse to fine, and Horn and Schunck's
smooth field. Flow (x, y) in pixels says where a point of the first picture stands in the second:
second[row + y, column + x] = first[row, column].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from avfd.nets.settings import FlowName

WINDOW_SIGMA_PX = 2.0  # of the Gaussian window of the least squares
FLATNESS = 1e-5  # added to the diagonal: where the picture is flat, nothing moves
REFINEMENTS = 2  # warps at each size
LONGEST_STEP_PX = 1.0  # of one refinement: beyond it a picture is no plane any more
SMALLEST_PX = 12  # no picture of the pyramid is smaller
SMOOTHNESS = 0.03  # Horn and Schunck's alpha for gray in [0, 1]
SWEEPS = 100


def optical_flow(first: Tensor, second: Tensor, name: FlowName = "lucas-kanade") -> Tensor:
    """Flow [..., 2, rows, columns] (x, then y; pixels) of gray pictures [..., rows, columns].

    Args:
        first, second: gray in [0, 1].
        name: the algorithm.
    """
    *batch, rows, columns = first.shape
    pair = (picture.reshape(-1, 1, rows, columns) for picture in (first, second))
    return _ALGORITHMS[name](*pair).reshape(*batch, 2, rows, columns)


def central(x: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives along columns (x) and rows (y): central, one-sided at the border."""
    along_y, along_x = torch.gradient(x, dim=(-2, -1))
    return along_x, along_y


def lucas_kanade(first: Tensor, second: Tensor) -> Tensor:
    """Coarse to fine; pictures [n, 1, rows, columns] → flow [n, 2, rows, columns]."""
    if min(first.shape[-2:]) >= 2 * SMALLEST_PX:
        halves = (F.avg_pool2d(picture, 2, ceil_mode=True) for picture in (first, second))
        coarse = lucas_kanade(*halves)
        flow = 2 * F.interpolate(coarse, size=first.shape[-2:], mode="bilinear")
    else:
        flow = first.new_zeros((len(first), 2, *first.shape[-2:]))
    for _ in range(REFINEMENTS):
        flow = flow + _step(first, warped(second, flow)).clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX)
    return flow


def _step(first: Tensor, second: Tensor) -> Tensor:
    """The move that best explains the difference within a Gaussian window, per pixel."""
    along_x, along_y = central((first + second) / 2)
    ahead = first - second
    products = (along_x**2, along_y**2, along_x * along_y, along_x * ahead, along_y * ahead)
    xx, yy, xy, bx, by = torch.split(_blurred(torch.cat(products, dim=1)), 1, dim=1)
    xx, yy = xx + FLATNESS, yy + FLATNESS
    scale = xx * yy - xy**2
    return torch.cat([(yy * bx - xy * by) / scale, (xx * by - xy * bx) / scale], dim=1)


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    """The picture [n, 1, rows, columns] read where the flow points, bilinear."""
    rows, columns = picture.shape[-2:]
    y = torch.arange(rows, dtype=picture.dtype, device=picture.device).view(-1, 1)
    x = torch.arange(columns, dtype=picture.dtype, device=picture.device)
    at_x = 2 * (x + flow[:, 0]) / max(columns - 1, 1) - 1
    at_y = 2 * (y + flow[:, 1]) / max(rows - 1, 1) - 1
    grid = torch.stack([at_x, at_y], dim=3)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=True)


def _blurred(x: Tensor) -> Tensor:
    """Gaussian mean in the plane of [..., rows, columns]; border repeated."""
    return _blurring(x.shape[-2], x) @ x @ _blurring(x.shape[-1], x).T


def _blurring(size: int, like: Tensor) -> Tensor:
    """Weights [size, size] of what each place takes from every other.

    A product of matrices, as a convolution of single channels is many times slower on a CPU.
    """
    reach = int(3 * WINDOW_SIGMA_PX)
    offsets = torch.arange(-reach, reach + 1, device=like.device)
    weights = torch.softmax(-(offsets.to(like.dtype) ** 2) / (2 * WINDOW_SIGMA_PX**2), dim=0)
    places = torch.arange(size, device=like.device).unsqueeze(1)
    taken = (places + offsets).clamp(0, size - 1)
    matrix = like.new_zeros(size, size)
    return matrix.scatter_add_(1, taken, weights.expand(size, -1))


def horn_schunck(first: Tensor, second: Tensor) -> Tensor:
    """One size, Jacobi sweeps; pictures [n, 1, rows, columns] → flow [n, 2, rows, columns].

    Each sweep moves the mean of the neighbours' flow (1/6 beside, 1/12 across corners, as
    published) along the gradient until brightness is constant, held back by the smoothness.
    """
    along_x, along_y = central((first + second) / 2)
    change = second - first
    gradient = torch.cat([along_x, along_y], dim=1)
    weight = gradient / (SMOOTHNESS**2 + (gradient**2).sum(dim=1, keepdim=True))
    flow = torch.zeros_like(gradient)
    for _ in range(SWEEPS):
        mean = _neighbours(flow)
        flow = mean - weight * ((gradient * mean).sum(dim=1, keepdim=True) + change)
    return flow


def _neighbours(x: Tensor) -> Tensor:
    """Mean of the eight around, 1/6 beside and 1/12 across corners; border repeated."""
    around = F.pad(x, (1, 1, 1, 1), mode="replicate")
    rows = around[..., :-2, :] + 2 * around[..., 1:-1, :] + around[..., 2:, :]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:] - 4 * x) / 12


_ALGORITHMS: dict[FlowName, Callable[[Tensor, Tensor], Tensor]] = {
    "lucas-kanade": lucas_kanade,
    "horn-schunck": horn_schunck,
}
