"""What the {2+1}-stream network can be told (Zhou and Lim). Importing this imports no torch.

The paper publishes no code; what it leaves open (FACTS.md, 12.1) is an option whose default and
reason docs/classifiers/syncstream.md gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LAYERS = 4


@dataclass(frozen=True)
class SyncShape:
    """The network; the defaults are the paper's, or ours where it is silent.

    Attributes:
        fusion: "sync": a third stream, centrally connected to both (3.3); "late": the last
            features added (3.2); "independent": no whole verdict but the OR of both (3.1).
        attention: in the sync stream: "none", "inter" (equations 7 and 8), "inter-intra" (and 9)
            or "joint" (10).
        connections: the layers whose features enter the sync stream, of "1234" (Figure 3).
        seconds, frames_hz: of what the network sees; 3 s at 10 pictures a second.
        size_px: side of the face pictures. Not stated; 112 follows from the attention's sizes.
        width: channels of the first layer, doubled at 2, 3 and 4; audio begins with twice as many.
        blocks: of each video layer; R(2+1)D-18 has 2.
        pixels: scale of pictures. Not stated; "kinetics" by mean and deviation of the published
            weights, "unit" to [0, 1].
        empty: what a missing picture is. "zero": 0 after scaling, the mean colour; "black".
        audio_kernel, audio_stride: of the first audio convolution.
        audio_padding: "none", or "same", which keeps a stride-1 layer's length. Not stated.
        audio_norm: batch norm after each audio convolution, before ReLU and pooling. Not stated.
        audio_level: "as-is", or "rms": every sample to the same loudness. Not stated.
        norm_momentum: share of a batch in the running statistics of batch norms. Not stated; few
            and small batches want more than PyTorch's 0.1.
        align: how a connection brings audio to the length of video. Not stated. "fit": stride
            and kernel that cover the audio exactly; "pool": kernel 1, then adaptive mean.
        connection_norm: batch norm and ReLU after that convolution. Not stated.
        first_input: what the sync stream's first convolutions read. Not stated. "fused": the
            sum of that layer's video and audio; "video": the video before the layer; "none":
            there are no such convolutions.
        sync_residual: whether a sync layer has a shortcut as video blocks do. Not stated.
        heads: of the attention in layer 1; further layers have one (Table 1).
        head_split: how heads share the plane. Not stated. "blocks": each some neighbouring rows;
            "interleaved": each every heads-th number.
        head_scale: d in the softmax's √d. Not stated. "head": numbers of one head; "full": all.
        unpool: how attended planes get their channels back. Not stated. "learned": a weight for
            each channel; "broadcast": the same to all.
        both: of inter-intra. Not stated. "sum": both on the same planes; "sequence": inter on
            what intra has already changed.
    """

    fusion: Literal["sync", "late", "independent"] = "sync"
    attention: Literal["none", "inter", "inter-intra", "joint"] = "inter"
    connections: str = "1234"
    seconds: int = 3
    frames_hz: int = 10
    size_px: int = 112
    width: int = 64
    blocks: int = 2
    pixels: Literal["kinetics", "unit"] = "kinetics"
    empty: Literal["zero", "black"] = "zero"
    audio_kernel: int = 80
    audio_stride: int = 4
    audio_padding: Literal["none", "same"] = "none"
    audio_norm: bool = True
    audio_level: Literal["as-is", "rms"] = "as-is"
    norm_momentum: float = 0.1
    align: Literal["fit", "pool"] = "fit"
    connection_norm: bool = False
    first_input: Literal["fused", "video", "none"] = "fused"
    sync_residual: bool = True
    heads: int = 4
    head_split: Literal["blocks", "interleaved"] = "blocks"
    head_scale: Literal["head", "full"] = "head"
    unpool: Literal["learned", "broadcast"] = "learned"
    both: Literal["sum", "sequence"] = "sum"

    @property
    def frames(self) -> int:
        """Pictures that the network sees."""
        return self.seconds * self.frames_hz

    @property
    def channels(self) -> list[int]:
        """Of each video and sync layer: 64, 128, 256, 512."""
        return [self.width << i for i in range(LAYERS)]

    @property
    def audio_channels(self) -> list[int]:
        """Of each audio layer: 128, 128, 256, 512."""
        return [2 * self.width, *self.channels[1:]]

    @property
    def connected(self) -> list[int]:
        """Connected layers from 0."""
        return [int(digit) - 1 for digit in self.connections]

    def video_shapes(self) -> list[tuple[int, int]]:
        """(frames, side) after each video layer: (30, 56), (15, 28), (8, 14), (4, 7)."""
        frames, side = self.frames, _halved(self.size_px)
        shapes = [(frames, side)]
        for _ in range(LAYERS - 1):
            frames, side = _halved(frames), _halved(side)
            shapes.append((frames, side))
        return shapes

    def audio_lengths(self, samples: int) -> list[int]:
        """Steps after each audio layer: 4129, 1031, 257, 63 of 66,150 samples; 0: none left."""
        lengths: list[int] = []
        length = samples
        for layer in range(LAYERS):
            kernel = AUDIO_KERNEL if layer else self.audio_kernel
            stride = 1 if layer else self.audio_stride
            around = 2 * self.audio_pad(layer)
            length = max(0, (length + around - kernel) // stride + 1) // AUDIO_POOL
            lengths.append(length)
        return lengths

    def audio_pad(self, layer: int) -> int:
        """Zeros on either side of an audio layer's input."""
        if self.audio_padding == "none":
            return 0
        return (AUDIO_KERNEL if layer else self.audio_kernel) // 2


AUDIO_KERNEL = 3  # of the later audio layers
AUDIO_POOL = 4


def _halved(size: int) -> int:
    """What a stride of 2 leaves of a side, kernel and padding as in R(2+1)D."""
    return (size - 1) // 2 + 1
