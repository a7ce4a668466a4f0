"""{2+1}-stream joint detection: a video stream, an audio stream and one between them.

After Zhou and Lim (ICCV 2021). Video and audio keep verdicts of their own; the sync stream sees
both at several depths and gives the verdict on the whole clip.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from avfd.errors import InputError
from classify.nets.r2plus1d import (
    KINETICS_DEVIATION,
    KINETICS_MEAN,
    Block,
    R2Plus1d,
    initialise,
)
from classify.nets.syncstream_options import LAYERS, SyncShape
from classify.nets.syncstream_parts import AudioStream, Connection, TimeAttention


class Verdicts(NamedTuple):
    """What the network says of a batch.

    Attributes:
        whole: logits [batch, classes] of the clip; None without a joint stream.
        video, audio: logits of each track; None where the network lacks the stream.
        present: which of video and audio a sample has at all, bool [batch, 2].
        joined: [batch, 8 * width], the last features of the streams that are there, added; what
            the paper draws as t-SNE.
    """

    whole: Tensor | None
    video: Tensor | None
    audio: Tensor | None
    present: Tensor
    joined: Tensor


class SyncStream(nn.Module):
    """The sync stream: central connections, (2+1)D convolutions and attention, layer by layer.

    Layer i is video_i + audio_i (brought to its length and tiled over the plane) + what attention
    adds + the convolutions of layer i on what came before.
    """

    def __init__(self, shape: SyncShape, samples: int) -> None:
        super().__init__()
        self.shape, self.first = shape, shape.connected[0]
        steps, sizes = shape.audio_lengths(samples), shape.video_shapes()
        audio, video = shape.audio_channels, shape.channels
        self.connection = nn.ModuleDict(
            {
                str(i): Connection(audio[i], video[i], steps[i], sizes[i][0], shape)
                for i in shape.connected
            }
        )
        self.conv = nn.ModuleDict()
        for i in range(self.first, LAYERS):
            before = self._inputs(i)
            if before is not None:
                stride = 1 if i == 0 or before == video[i] else 2
                self.conv[str(i)] = Block(before, video[i], stride, shape.sync_residual)
        self.attention = nn.ModuleDict()
        if shape.attention != "none":
            for i in shape.connected:
                heads = 1 if i else shape.heads
                self.attention[str(i)] = TimeAttention(video[i], *sizes[i], heads, shape)
        initialise(self.conv)

    def _inputs(self, layer: int) -> int | None:
        """Channels that a layer's convolutions read; None where it has none."""
        channels = self.shape.channels
        if layer > self.first:
            return channels[layer - 1]
        if self.shape.first_input == "video":
            return channels[max(0, layer - 1)]
        return channels[layer] if self.shape.first_input == "fused" else None

    def forward(self, video: list[Tensor], audio: list[Tensor], present: Tensor) -> Tensor:
        """The last layer [batch, 8 * width, frames, side, side].

        Args:
            video: of stem and layers, absent videos as zeros.
            audio: of the layers.
            present: bool [batch, 2], video and audio; what is absent adds nothing.
        """
        flow = self._start(video, audio, present)
        for i in range(self.first + 1, LAYERS):
            flow = self.conv[str(i)](flow)
            if str(i) in self.connection:
                fused, extra = self._fused(i, video, audio, present)
                flow = flow + fused + extra
        return flow

    def _start(self, video: list[Tensor], audio: list[Tensor], present: Tensor) -> Tensor:
        """The first connected layer."""
        fused, extra = self._fused(self.first, video, audio, present)
        if self.shape.first_input == "none":
            return fused + extra
        before = fused if self.shape.first_input == "fused" else video[self.first]
        flow: Tensor = self.conv[str(self.first)](before)
        return flow + fused + extra

    def _fused(
        self, layer: int, video: list[Tensor], audio: list[Tensor], present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Video + audio of a layer, and what attention adds (nothing where one is absent)."""
        key, seen = str(layer), video[layer + 1]
        aligned = self.connection[key](audio[layer]) * _like(present[:, 1], audio[layer])
        fused = seen + aligned[..., None, None]
        if key not in self.attention:
            return fused, torch.zeros_like(fused)
        extra = self.attention[key](seen, aligned)
        return fused, extra * _like(present.all(dim=1), extra)


class SyncStreamNetwork(nn.Module):
    """Both streams, their heads and what joins them.

    Args:
        shape: see `SyncShape`.
        samples: audio samples of a whole input; 66,150 in the paper. 0: there is no audio.
        classes: of each verdict.
        video: whether there is video. With one stream alone there is no whole verdict.
        fixed: both streams keep the weights that they have ("+Fix-indp-audvid").
    """

    def __init__(
        self,
        shape: SyncShape,
        samples: int,
        classes: int = 2,
        video: bool = True,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        check_shape(shape, samples, video)
        self.shape, self.samples, self.fixed = shape, samples, fixed
        width = shape.channels[-1]
        self.video = R2Plus1d(shape.width, shape.blocks) if video else None
        self.video_head = nn.Linear(width, classes) if video else None
        self.audio = AudioStream(shape) if samples else None
        self.audio_head = nn.Linear(width, classes) if samples else None
        joint = video and samples > 0 and shape.fusion != "independent"
        self.sync = SyncStream(shape, samples) if joint and shape.fusion == "sync" else None
        self.whole_head = nn.Linear(width, classes) if joint else None
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d):
                module.momentum = shape.norm_momentum
        if fixed:
            for part in self.streams:
                part.requires_grad_(False)

    @property
    def streams(self) -> list[nn.Module]:
        """Video, audio and their heads, as far as they are there."""
        parts = (self.video, self.video_head, self.audio, self.audio_head)
        return [part for part in parts if part is not None]

    def train(self, mode: bool = True) -> SyncStreamNetwork:
        """As usual, but fixed streams keep their running statistics too."""
        super().train(mode)
        if self.fixed:
            for part in self.streams:
                part.eval()
        return self

    def forward(
        self,
        video: Tensor | None = None,
        video_mask: Tensor | None = None,
        audio: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Verdicts:
        """Verdicts on a batch.

        Args:
            video: uint8 RGB [batch, frames, size_px, size_px, 3].
            video_mask: bool [batch, frames]; False: no picture.
            audio: [batch, samples], 0 where there is no sound.
            audio_mask: bool [batch, slots].
        """
        has_video, has_audio = _any(video_mask, audio_mask), _any(audio_mask, video_mask)
        frames, sounds = [], []
        if self.video is not None and video is not None and video_mask is not None:
            frames = [
                f * _like(has_video, f) for f in self.video.layers(self.seen(video, video_mask))
            ]
        else:
            has_video = torch.zeros_like(has_video)
        if self.audio is not None and audio is not None:
            sounds = [s * _like(has_audio, s) for s in self.audio.layers(audio)]
        else:
            has_audio = torch.zeros_like(has_audio)
        present = torch.stack([has_video, has_audio], dim=1)
        return self._judged(frames, sounds, present)

    def _judged(self, frames: list[Tensor], sounds: list[Tensor], present: Tensor) -> Verdicts:
        last_video = frames[-1].mean(dim=(2, 3, 4)) if frames else None
        last_audio = sounds[-1].mean(dim=2) if sounds else None
        joined = torch.stack([x for x in (last_video, last_audio) if x is not None]).sum(dim=0)
        fused = joined
        if self.sync is not None:
            fused = self.sync(frames, sounds, present).mean(dim=(2, 3, 4))
        return Verdicts(
            None if self.whole_head is None else self.whole_head(fused),
            None if self.video_head is None else self.video_head(last_video),
            None if self.audio_head is None else self.audio_head(last_audio),
            present,
            joined,
        )

    def seen(self, video: Tensor, mask: Tensor) -> Tensor:
        """Pictures as the video stream wants them, [batch, 3, frames, side, side]."""
        x = video.float() / 255
        if self.shape.pixels == "kinetics":
            x = (x - x.new_tensor(KINETICS_MEAN)) / x.new_tensor(KINETICS_DEVIATION)
        if self.shape.empty == "zero":
            x = x * mask[:, :, None, None, None]
        return x.movedim(4, 1)


def check_shape(shape: SyncShape, samples: int, video: bool) -> None:
    """Refuse connections that do not exist and inputs that are too short or too small."""
    digits = shape.connections
    if not digits or digits != "".join(sorted(set(digits) & set("1234"))):
        raise InputError(
            "connections are layers in order, each once",
            where="syncstream:connections",
            found=digits,
            accepted="1234, 234, 34, 4, 13, …",
        )
    if samples and shape.audio_lengths(samples)[-1] < 1:
        raise InputError(
            "too few audio samples for four layers of convolution and pooling",
            where="syncstream",
            found=samples,
            accepted="1,772 or more in all its `seconds`, with the kernels of the paper",
            next_step="take a column with more samples a second, such as waveform",
        )
    side = shape.video_shapes()[0][1]
    if video and shape.attention != "none" and side * side % shape.heads:
        raise InputError(
            "the plane of layer 1 cannot be shared by so many heads",
            where="syncstream:heads",
            found=f"{side} x {side} numbers, {shape.heads} heads",
        )


def _like(present: Tensor, x: Tensor) -> Tensor:
    """[batch] as numbers that multiply `x` [batch, …]."""
    return present.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def _any(mask: Tensor | None, other: Tensor | None) -> Tensor:
    """Which samples a mask shows anything of, [batch]; none where there is no mask."""
    if mask is not None:
        return mask.any(dim=1)
    if other is None:
        raise InputError("neither audio nor video", where="syncstream")
    return torch.zeros_like(other[:, 0])
