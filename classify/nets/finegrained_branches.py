"""The two branches of the fine-grained detector (Astrid et al. 2024, 3.1.1; FACTS.md, 11)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from classify.nets.finegrained_options import BranchOptions

AUDIO_KERNEL, AUDIO_STRIDE, AUDIO_POOL = 80, 8, 4
LEAST_POOLED = 2
"""Steps left after pooling for each step that the distance map wants."""


class VisualBlock(nn.Module):
    """Two convolutions with batch norm and a shortcut (ResNet's basic block in 3-D).

    Args:
        inputs, outputs: channels.
        stride: of the first convolution, in time, height and width.
        last: whether the sum is left as it is, without a ReLU.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        options: BranchOptions,
        stride: tuple[int, int, int] = (1, 1, 1),
        last: bool = False,
    ) -> None:
        super().__init__()
        kernel, pad = ((3, 3, 3), (1, 1, 1)) if options.blocks == "3d" else ((1, 3, 3), (0, 1, 1))
        self.conv1 = nn.Conv3d(inputs, outputs, kernel, stride, pad, bias=False)
        self.bn1 = _batch_norm(outputs, options)
        self.conv2 = nn.Conv3d(outputs, outputs, kernel, padding=pad, bias=False)
        self.bn2 = _batch_norm(outputs, options)
        self.downsample: nn.Sequential | None = None
        if stride != (1, 1, 1) or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride, bias=False), _batch_norm(outputs, options)
            )
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, time, height, width]."""
        short = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return x + short if self.last else torch.relu(x + short)


class VisualBranch(nn.Module):
    """Frames → F^v: [batch, 3, T, size, size] → [batch, C', T', size / 8, size / 8].

    The first blocks of MDS' visual stream; T' is T / 2 with 3-D blocks, else T.
    """

    def __init__(self, options: BranchOptions) -> None:
        super().__init__()
        half = options.channels // 2
        self.conv1 = nn.Conv3d(3, half, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.bn1 = _batch_norm(half, options)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.layer1 = nn.Sequential(
            VisualBlock(half, half, options), VisualBlock(half, half, options)
        )
        stride = (2 if options.blocks == "3d" else 1, 2, 2)
        self.layer2 = nn.Sequential(
            VisualBlock(half, options.channels, options, stride),
            VisualBlock(options.channels, options.channels, options, last=True),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """F^v [batch, C', T', H', W']."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(frames))))
        out: Tensor = self.layer2(self.layer1(x))
        return out


class AudioBranch(nn.Module):
    """Waveform → F^a: [batch, 1, samples] → [batch, C', T'].

    Args:
        samples: of a second.
        steps: T', as many as the visual branch gives; the kernel and stride of the layer that
            goes to them follow: 111 and 99 for 48,000 samples and 15 steps.
    """

    def __init__(self, samples: int, steps: int, options: BranchOptions) -> None:
        super().__init__()
        wide, half, out = options.channels * 3 // 2, options.channels // 2, options.channels
        self.layer1 = nn.Sequential(
            nn.Conv1d(1, out, AUDIO_KERNEL, AUDIO_STRIDE, bias=False),
            nn.BatchNorm1d(out),
            nn.ReLU(),
        )
        self.layer2 = nn.Sequential(
            nn.MaxPool1d(AUDIO_POOL),
            nn.Conv1d(out, wide, 3, padding=1, bias=False),
            nn.BatchNorm1d(wide),
            nn.ReLU(),
            nn.Conv1d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm1d(wide),
        )
        kernel, stride = to_steps(pooled_steps(samples), steps)
        self.to_visual = nn.Sequential(
            nn.Conv1d(wide, half, kernel, stride, bias=False),
            nn.BatchNorm1d(half),
            nn.ReLU(),
            nn.Conv1d(half, out, 3, padding=1),
        )

    def forward(self, samples: Tensor) -> Tensor:
        """F^a [batch, C', T']."""
        out: Tensor = self.to_visual(self.layer2(self.layer1(samples)))
        return out


def pooled_steps(samples: int) -> int:
    """Steps after the first convolution and the pooling: 1,497 of 48,000 samples."""
    return ((samples - AUDIO_KERNEL) // AUDIO_STRIDE + 1) // AUDIO_POOL


def to_steps(pooled: int, steps: int) -> tuple[int, int]:
    """Kernel and stride that turn `pooled` steps into `steps`, using all of them.

    >>> to_steps(1497, 15)
    (111, 99)
    """
    stride = pooled // steps
    return pooled - (steps - 1) * stride, stride


def fewest_samples(steps: int) -> int:
    """Samples of the shortest block that gives so many steps of F^a."""
    return AUDIO_KERNEL + AUDIO_STRIDE * (AUDIO_POOL * LEAST_POOLED * steps - 1)


def visual_steps(frames: int, blocks: str) -> int:
    """T' of T frames."""
    return (frames + 1) // 2 if blocks == "3d" else frames


def _batch_norm(channels: int, options: BranchOptions) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, track_running_stats=options.batch_norm == "running")
