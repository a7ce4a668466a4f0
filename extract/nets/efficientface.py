"""EfficientFace: a light network for emotions of faces (Zhao, Liu, Zhou, AAAI 2021).

ShuffleNetV2 units; after the first stage a modulator weighs channels and places, and what four
quarters of the picture give by themselves is added. Key names and shapes are those of the
published files (FACTS.md, section 5): 418 tensors, 1,275,293 trainable numbers with 7 classes.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from extract.nets.efficientface_settings import PUBLISHED, EfficientFaceSettings

REDUCTION = 16  # channels over those inside the modulator
DILATION = 4
QUARTERS = ((0, 0), (1, 0), (0, 1), (1, 1))  # (lower, right) of local.conv1 … conv4


class EfficientFace(nn.Module):
    """Normalised pictures [batch, 3, size, size] → 1024 features → logits where there are any."""

    def __init__(self, settings: EfficientFaceSettings = PUBLISHED) -> None:
        super().__init__()
        self.settings = settings
        stem, second, third, fourth, last = settings.channels
        self.conv1 = nn.Sequential(*_conv(3, stem, 3, stride=2), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(stem, second, settings.units[0])
        self.local = _Local(stem, second)
        self.modulator = _Modulator(second)
        self.stage3 = _stage(second, third, settings.units[1])
        self.stage4 = _stage(third, fourth, settings.units[2])
        self.conv5 = nn.Sequential(*_conv(fourth, last, 1), nn.ReLU())
        if settings.classes:
            self.fc = nn.Linear(last, settings.classes)

    def features(self, x: Tensor) -> Tensor:
        """[batch, 1024] of pictures [batch, 3, size, size]."""
        stem = self.maxpool(self.conv1(x))
        maps = self.modulator(self.stage2(stem)) + self.local(stem)
        maps = self.conv5(self.stage4(self.stage3(maps)))
        mean: Tensor = maps.mean(dim=(2, 3))
        return mean

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, classes], or the features where the network has no classes."""
        values = self.features(x)
        if not self.settings.classes:
            return values
        logits: Tensor = self.fc(values)
        return logits


class _Unit(nn.Module):
    """A ShuffleNetV2 unit: half the channels pass by; where the size halves, both are worked on."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.halves = stride == 1
        if not self.halves:
            self.branch1 = nn.Sequential(
                *_conv(inputs, inputs, 3, stride, groups=inputs), *_conv(inputs, half, 1), nn.ReLU()
            )
        self.branch2 = nn.Sequential(
            *_conv(half if self.halves else inputs, half, 1),
            nn.ReLU(),
            *_conv(half, half, 3, stride, groups=half),
            *_conv(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.halves:
            passed, worked = x.chunk(2, dim=1)
        else:
            passed, worked = self.branch1(x), x
        both = torch.stack([passed, self.branch2(worked)], dim=2)  # channels of both in turn
        return both.flatten(1, 2)


class _Local(nn.Module):
    """Each quarter of the picture by itself, through two grouped convolutions of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for i in range(1, len(QUARTERS) + 1):
            first, first_norm = _conv(inputs, outputs, 3, stride=2, groups=inputs)
            second, second_norm = _conv(outputs, outputs, 3, groups=outputs)
            self.add_module(f"conv{i}_1", first)
            self.add_module(f"bn{i}_1", first_norm)
            self.add_module(f"conv{i}_2", second)
            self.add_module(f"bn{i}_2", second_norm)

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[2] // 2
        one, two, three, four = (
            self._quarter(i, x[:, :, low * half :][:, :, :half, right * half :][..., :half])
            for i, (low, right) in enumerate(QUARTERS, start=1)
        )
        return torch.cat([torch.cat([one, two], dim=2), torch.cat([three, four], dim=2)], dim=3)

    def _quarter(self, i: int, x: Tensor) -> Tensor:
        for layer in (1, 2):
            conv, norm = (
                self.get_submodule(f"conv{i}_{layer}"),
                self.get_submodule(f"bn{i}_{layer}"),
            )
            x = torch.relu(norm(conv(x)))
        return x


class _Modulator(nn.Module):
    """Scales maps by the sigmoid of what their channels and their places are worth."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(1, channels // REDUCTION)
        self.channel_att = _Channels(channels, few)
        self.spatial_att = _Places(channels, few)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.channel_att(x) * self.spatial_att(x))


class _Channels(nn.Module):
    """What each channel is worth, [batch, channels, 1, 1]."""

    def __init__(self, channels: int, few: int) -> None:
        super().__init__()
        self.gate_c = nn.Sequential(
            OrderedDict(
                gate_c_fc_0=nn.Linear(channels, few),
                gate_c_bn_1=nn.BatchNorm1d(few),
                gate_c_relu_1=nn.ReLU(),
                gate_c_fc_final=nn.Linear(few, channels),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        worth: Tensor = self.gate_c(x.mean(dim=(2, 3)))
        return worth[:, :, None, None]


class _Places(nn.Module):
    """What each place is worth, [batch, 1, rows, columns]."""

    def __init__(self, channels: int, few: int) -> None:
        super().__init__()
        self.gate_s = nn.Sequential(
            OrderedDict(
                gate_s_conv_reduce0=nn.Conv2d(channels, few, 1),
                gate_s_bn_reduce0=nn.BatchNorm2d(few),
                gate_s_relu_reduce0=nn.ReLU(),
                gate_s_conv_di_0=_dilated(few),
                gate_s_bn_di_0=nn.BatchNorm2d(few),
                gate_s_relu_di_0=nn.ReLU(),
                gate_s_conv_di_1=_dilated(few),
                gate_s_bn_di_1=nn.BatchNorm2d(few),
                gate_s_relu_di_1=nn.ReLU(),
                gate_s_conv_final=nn.Conv2d(few, 1, 1),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        worth: Tensor = self.gate_s(x)
        return worth


def _dilated(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=DILATION, dilation=DILATION)


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the size (over the stride), and its batch normalisation."""
    around = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, around, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs)


def _stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
    rest = (_Unit(outputs, outputs, stride=1) for _ in range(units - 1))
    return nn.Sequential(_Unit(inputs, outputs, stride=2), *rest)
