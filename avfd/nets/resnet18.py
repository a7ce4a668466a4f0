"""AudioResNet18: the emotion network that 2D3MF takes audio features from.

A ResNet18 for small one-channel maps: its stem keeps the size (3 x 3, stride 1, no max pool). Key
names and shapes are those of the published files (FACTS.md, section 6): 122 tensors, 11,171,784
trainable numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avfd.nets.settings import ResNet18Settings

BLOCKS = 2  # in each stage


PUBLISHED = ResNet18Settings()
SMALL = ResNet18Settings(width=8)


class AudioResNet18(nn.Module):
    """MFCC map of a second → 512 features → logits.

    It starts in evaluation mode: 2D3MF's own extraction left batch normalisation in training
    mode, where a vector depends on nothing but itself only by chance.
    """

    def __init__(self, settings: ResNet18Settings = PUBLISHED) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.conv1 = nn.Sequential(*_conv(1, width, 3, 1), nn.ReLU())
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(settings.dim, settings.classes)
        self.eval()

    def features(self, x: Tensor) -> Tensor:
        """[batch, 512] of MFCC maps [batch, coefficients, frames] or [batch, 1, …]."""
        maps: Tensor = x.unsqueeze(1) if x.ndim == 3 else x
        maps = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(maps)))))
        return maps.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, classes]; `x` as in `features`."""
        logits: Tensor = self.fc(self.features(x))
        return logits


class _Block(nn.Module):
    """Two convolutions beside an identity, or a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.left = nn.Sequential(
            *_conv(inputs, outputs, 3, stride), nn.ReLU(), *_conv(outputs, outputs, 3, 1)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Sequential(*(() if same else _conv(inputs, outputs, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.left(x) + self.shortcut(x))


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    rest = [_Block(outputs, outputs, 1) for _ in range(BLOCKS - 1)]
    return nn.Sequential(_Block(inputs, outputs, stride), *rest)
