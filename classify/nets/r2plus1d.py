"""R(2+1)D-18: video by convolutions in the plane, then in time (Tran et al. 2018).

Names, shapes and arithmetic are those of torchvision's `r2plus1d_18`, so its Kinetics weights
load (FACTS.md, 12.2); other widths and numbers of blocks serve small networks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_DEVIATION = (0.22803, 0.22145, 0.216989)
STEM_MIDDLE, FULL_WIDTH = 45, 64  # of the published network


class Conv2Plus1d(nn.Sequential):
    """1 x 3 x 3 convolution → batch norm → ReLU → 3 x 1 x 1 convolution; no biases."""

    def __init__(self, inputs: int, outputs: int, middle: int, stride: int = 1) -> None:
        in_plane = nn.Conv3d(
            inputs, middle, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1), bias=False
        )
        in_time = nn.Conv3d(
            middle, outputs, (3, 1, 1), (stride, 1, 1), padding=(1, 0, 0), bias=False
        )
        super().__init__(in_plane, nn.BatchNorm3d(middle), nn.ReLU(), in_time)


class Block(nn.Module):
    """Two (2+1)D convolutions, and a shortcut beside them.

    Args:
        inputs, outputs: channels.
        stride: of the first convolution, in time and plane.
        residual: whether there is the shortcut (1 x 1 x 1 where the shape changes).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool = True) -> None:
        super().__init__()
        middle = middle_width(inputs, outputs)
        first = Conv2Plus1d(inputs, outputs, middle, stride)
        second = Conv2Plus1d(outputs, outputs, middle)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(outputs), nn.ReLU())
        self.conv2 = nn.Sequential(second, nn.BatchNorm3d(outputs))
        self.residual = residual
        self.downsample: nn.Sequential | None = None
        if residual and (stride != 1 or inputs != outputs):
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, outputs, frames, rows, columns], time and plane divided by the stride."""
        out: Tensor = self.conv2(self.conv1(x))
        if self.residual:
            out = out + (x if self.downsample is None else self.downsample(x))
        return torch.relu(out)


class R2Plus1d(nn.Module):
    """A stem and four layers; no head.

    Args:
        width: channels of stem and first layer.
        blocks: of each layer.
    """

    def __init__(self, width: int = FULL_WIDTH, blocks: int = 2) -> None:
        super().__init__()
        middle = max(1, STEM_MIDDLE * width // FULL_WIDTH)
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(),
            nn.Conv3d(middle, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
        self.layer1 = _layer(width, width, 1, blocks)
        self.layer2 = _layer(width, 2 * width, 2, blocks)
        self.layer3 = _layer(2 * width, 4 * width, 2, blocks)
        self.layer4 = _layer(4 * width, 8 * width, 2, blocks)
        initialise(self)

    def layers(self, x: Tensor) -> list[Tensor]:
        """What stem and each layer give of `x` [batch, 3, frames, rows, columns]."""
        out = [self.stem(x)]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            out.append(layer(out[-1]))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's mean over time and plane, [batch, 8 * width]."""
        return self.layers(x)[-1].mean(dim=(2, 3, 4))


def middle_width(inputs: int, outputs: int) -> int:
    """Channels between plane and time that give a (2+1)D block the parameters of a 3D one."""
    return (27 * inputs * outputs) // (9 * inputs + 3 * outputs)


def initialise(module: nn.Module) -> None:
    """Kaiming's normal initialisation of convolutions, by what goes out, as torchvision does."""
    for part in module.modules():
        if isinstance(part, nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a published file has for `R2Plus1d`: all but the head."""
    return {name: value for name, value in tensors.items() if not name.startswith("fc.")}


def _layer(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    rest = [Block(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(inputs, outputs, stride), *rest)
