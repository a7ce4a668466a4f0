"""Parts of the {2+1}-stream network: audio stream, central connection, attention in time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

from classify.nets.syncstream_options import AUDIO_KERNEL, AUDIO_POOL, LAYERS, SyncShape

UNPOOL_DEVIATION = 0.1  # at the start: attention adds little to the features
QUIET = 1e-4  # loudness below which "rms" does not raise a sample further


class AudioStream(nn.Module):
    """Four 1-D convolutions on raw samples, each with ReLU and max pooling (Table 1)."""

    def __init__(self, shape: SyncShape) -> None:
        super().__init__()
        channels = [1, *shape.audio_channels]
        self.conv = nn.ModuleList(
            nn.Conv1d(
                channels[layer],
                channels[layer + 1],
                AUDIO_KERNEL if layer else shape.audio_kernel,
                1 if layer else shape.audio_stride,
                padding=shape.audio_pad(layer),
                bias=not shape.audio_norm,
            )
            for layer in range(LAYERS)
        )
        self.norm = nn.ModuleList(
            nn.BatchNorm1d(width) if shape.audio_norm else nn.Identity() for width in channels[1:]
        )
        self.pool = nn.MaxPool1d(AUDIO_POOL)
        self.level = shape.audio_level

    def layers(self, samples: Tensor) -> list[Tensor]:
        """What each layer gives of samples [batch, samples]: [batch, channels, steps]."""
        if self.level == "rms":
            loudness = samples.square().mean(dim=1, keepdim=True).sqrt()
            samples = samples / loudness.clamp_min(QUIET)
        out = [samples.unsqueeze(1)]
        for conv, norm in zip(self.conv, self.norm, strict=True):
            out.append(self.pool(torch.relu(norm(conv(out[-1])))))
        return out[1:]


class Connection(nn.Module):
    """Audio brought to the length and channels of video, by one strided convolution (Fig. 2d).

    Args:
        inputs, outputs: channels of the audio and of the video.
        steps, frames: lengths of the audio and of the video. Where audio is the shorter one it
            is stretched.
        shape: `align` and `connection_norm`.
    """

    def __init__(
        self, inputs: int, outputs: int, steps: int, frames: int, shape: SyncShape
    ) -> None:
        super().__init__()
        self.frames = frames
        fits = shape.align == "fit" and steps >= frames
        stride = steps // frames if fits else 1
        kernel = steps - (frames - 1) * stride if fits else 1
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=not shape.connection_norm)
        self.norm = nn.BatchNorm1d(outputs) if shape.connection_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[batch, outputs, frames] of audio [batch, inputs, steps]; tiled over the plane later."""
        out = self.conv(x)
        if self.norm is not None:
            out = torch.relu(self.norm(out))
        return out if out.shape[2] == self.frames else adaptive_avg_pool1d(out, self.frames)


class TimeAttention(nn.Module):
    """Attention between the time steps of video and audio (3.3, equations 7 to 10).

    Channels are pooled to one with learned weights, so each time step is a plane of d numbers;
    these carry a positional encoding. No projections: the planes themselves are queries, keys and
    values. What comes out is unpooled and to be added to the features.

    Args:
        channels, frames, side: of the features.
        heads: of the attention.
        shape: kind, and how the paper's open points are read.
    """

    position: Tensor

    def __init__(self, channels: int, frames: int, side: int, heads: int, shape: SyncShape) -> None:
        super().__init__()
        self.shape, self.heads, self.side = shape, heads, side
        self.pool_video = nn.Conv3d(channels, 1, 1, bias=False)
        self.pool_audio = nn.Conv1d(channels, 1, 1, bias=False)
        self.unpool_video = self._unpool(channels)
        self.unpool_audio = self._unpool(channels) if shape.attention != "joint" else None
        self.register_buffer("position", positions(frames, side * side).float(), persistent=False)
        for pool in (self.pool_video, self.pool_audio):
            nn.init.constant_(pool.weight, 1 / channels)

    def _unpool(self, channels: int) -> nn.Conv3d | None:
        if self.shape.unpool == "broadcast":
            return None
        unpool = nn.Conv3d(1, channels, 1, bias=False)
        nn.init.normal_(unpool.weight, std=UNPOOL_DEVIATION)
        return unpool

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """What to add to video + audio, [batch, channels, frames, side, side].

        Args:
            video: [batch, channels, frames, side, side].
            audio: [batch, channels, frames]; its planes are the same number all over.
        """
        v = self.pool_video(video).flatten(3)[:, 0] + self.position
        a = self.pool_audio(audio)[:, 0, :, None] + self.position
        if self.shape.attention == "joint":
            return self._unpooled(self.attended(v, a, v + a), self.unpool_video, video)
        extra_v, extra_a = torch.zeros_like(v), torch.zeros_like(a)
        seen_v, seen_a = v, a
        if self.shape.attention == "inter-intra":
            extra_v, extra_a = self.attended(v, v, v), self.attended(a, a, a)
            if self.shape.both == "sequence":
                seen_v, seen_a = v + extra_v, a + extra_a
        extra_v = extra_v + self.attended(seen_a, seen_v, seen_v)
        extra_a = extra_a + self.attended(seen_v, seen_a, seen_a)
        return self._unpooled(extra_v, self.unpool_video, video) + self._unpooled(
            extra_a, self.unpool_audio, video
        )

    def attended(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """softmax(query · keyᵀ / √d) · value of [batch, frames, d], head by head."""
        q, k, v = (self._split(x) for x in (query, key, value))
        d = q.shape[-1] if self.shape.head_scale == "head" else query.shape[-1]
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d), dim=-1)
        return self._joined(weights @ v)

    def _split(self, x: Tensor) -> Tensor:
        """[batch, frames, d] → [batch, heads, frames, d / heads]."""
        batch, frames, _ = x.shape
        if self.shape.head_split == "blocks":
            return x.reshape(batch, frames, self.heads, -1).transpose(1, 2)
        return x.reshape(batch, frames, -1, self.heads).permute(0, 3, 1, 2)

    def _joined(self, x: Tensor) -> Tensor:
        if self.shape.head_split == "blocks":
            return x.transpose(1, 2).flatten(2)
        return x.permute(0, 2, 3, 1).flatten(2)

    def _unpooled(self, planes: Tensor, unpool: nn.Conv3d | None, like: Tensor) -> Tensor:
        """Planes [batch, frames, d] → [batch, channels, frames, side, side]."""
        whole = planes.reshape(len(planes), 1, -1, self.side, self.side)
        if unpool is None:
            return whole.expand_as(like)
        out: Tensor = unpool(whole)
        return out


def positions(steps: int, dim: int) -> Tensor:
    """Sines and cosines in turn, float64 [steps, dim] (Vaswani et al. 2017)."""
    step = torch.arange(steps, dtype=torch.float64).unsqueeze(1)
    rate = torch.exp(-math.log(10_000.0) * torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    out = torch.zeros(steps, dim, dtype=torch.float64)
    out[:, 0::2] = torch.sin(step * rate)
    out[:, 1::2] = torch.cos(step * rate)[:, : dim // 2]
    return out
