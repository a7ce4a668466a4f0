"""x-vectors (Snyder et al. 2018) as SpeechBrain trained them on VoxCeleb.

Key names and shapes are those of the published files (FACTS.md, section 3). One thing differs from
SpeechBrain on purpose: its pooling adds noise of 1e-5 to 9e-5 to the mean, in evaluation too, so
that no two runs agree; here the mean stays as it is.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from extract.nets.checkpoints import StateDict
from extract.nets.xvector_settings import (
    FLOOR_POWER,
    HOP,
    MEL_BANDS,
    PUBLISHED,
    RANGE_DB,
    SAMPLE_RATE_HZ,
    SMALL,
    WINDOW,
    XVectorSettings,
)

KERNELS = (5, 3, 3, 1, 1)
DILATIONS = (1, 2, 3, 1, 1)
LEAK = 0.01
SPREAD_FLOOR = 1e-5  # added to the standard deviation


class MelLevels(nn.Module):
    """Samples [batch, n] → mel levels in dB [batch, 24, 1 + n // 160]; always in full precision.

    Frames are centred on multiples of 10 ms, with zeros around the sound. Levels are cut off 80 dB
    below the loudest one of the window.
    """

    window: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hamming_window(WINDOW))
        self.register_buffer("bands", mel_bands())

    def forward(self, samples: Tensor) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):
            spectrum = torch.stft(
                samples, WINDOW, HOP, window=self.window, pad_mode="constant", return_complex=True
            )
            power = torch.view_as_real(spectrum).square().sum(-1)
            levels = 10 * torch.log10(torch.clamp(self.bands @ power, min=FLOOR_POWER))
            loudest = levels.amax(dim=(1, 2), keepdim=True)
            return torch.maximum(levels, loudest - RANGE_DB)


def mel_bands() -> Tensor:
    """Triangles over the power spectrum, [24, 201], as wide above their centre as below, in Hz.

    Elsewhere a mel triangle reaches up to the next centre, which is farther.
    """
    mels = torch.linspace(0, 2595 * math.log10(1 + SAMPLE_RATE_HZ / 2 / 700), MEL_BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    centres, widths = edges[1:-1, None], edges.diff()[:-1, None]
    bins = torch.linspace(0, SAMPLE_RATE_HZ // 2, WINDOW // 2 + 1)
    return torch.clamp(1 - ((bins - centres) / widths).abs(), min=0)


class XVector(nn.Module):
    """Mel levels [batch, 24, frames] → x-vectors [batch, 512]; at least 8 frames."""

    def __init__(self, settings: XVectorSettings = PUBLISHED) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = MEL_BANDS
        for outputs, kernel, dilation in zip(settings.channels, KERNELS, DILATIONS, strict=True):
            layers += _time_delay(inputs, outputs, kernel, dilation)
            inputs = outputs
        layers += [_Statistics(), _under("w", nn.Linear(2 * inputs, settings.dim))]
        self.blocks = nn.Sequential(*layers)

    def forward(self, levels: Tensor) -> Tensor:
        vectors: Tensor = self.blocks(levels - levels.mean(dim=2, keepdim=True))
        return vectors


class SpeakerClassifier(nn.Module):
    """x-vectors [batch, 512] → log posteriors of the training speakers [batch, 7205]."""

    def __init__(self, settings: XVectorSettings = PUBLISHED) -> None:
        super().__init__()
        self.act = nn.LeakyReLU(LEAK)
        self.norm = _under("norm", nn.BatchNorm1d(settings.dim))
        hidden = OrderedDict(
            linear=_under("w", nn.Linear(settings.dim, settings.dim)),
            act=nn.LeakyReLU(LEAK),
            norm=_under("norm", nn.BatchNorm1d(settings.dim)),
        )
        self.DNN = _under("block_0", nn.Sequential(hidden))
        self.out = _under("w", nn.Linear(settings.dim, settings.speakers))

    def forward(self, vectors: Tensor) -> Tensor:
        return _full(self.out(self.DNN(self.norm(self.act(vectors))))).log_softmax(dim=1)


class _Statistics(nn.Module):
    """[batch, channels, frames] → mean and standard deviation, [batch, 2 · channels]."""

    def forward(self, x: Tensor) -> Tensor:
        x = _full(x)
        return torch.cat([x.mean(dim=2), x.std(dim=2) + SPREAD_FLOOR], dim=1)


def _full(x: Tensor) -> Tensor:
    """Half precision as float32: sums over many numbers need it."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _time_delay(inputs: int, outputs: int, kernel: int, dilation: int) -> list[nn.Module]:
    """Convolution, activation, then normalisation; the length stays."""
    around = dilation * (kernel - 1) // 2
    conv = nn.Conv1d(
        inputs, outputs, kernel, dilation=dilation, padding=around, padding_mode="reflect"
    )
    return [_under("conv", conv), nn.LeakyReLU(LEAK), _under("norm", nn.BatchNorm1d(outputs))]


def _under(name: str, layer: nn.Module) -> nn.Sequential:
    """The layer under a name of its own, as SpeechBrain's wrappers put it into key names."""
    return nn.Sequential(OrderedDict([(name, layer)]))


EMBEDDING = StateDict(XVector)
CLASSIFIER = StateDict(SpeakerClassifier)
SMALL_EMBEDDING = StateDict(partial(XVector, SMALL))
SMALL_CLASSIFIER = StateDict(partial(SpeakerClassifier, SMALL))
