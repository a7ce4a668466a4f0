"""The thesis' 3D CNNs on the faces of a clip (Gino, 5.4 and 5.5.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from avfd.nets.emo_cnn3d import Cnn3dLayers
from avfd.nets.frames_cnn3d import FramesCnn3d, prepared
from avfd.nets.hardwired import maps_of_gray
from avfd.nets.settings import FramesCnn3dSettings

STACKS_AT_ONCE = 128  # where no gradient is wanted; a matter of memory


class StackLogits(NamedTuple):
    """What the network says of every stack of a batch.

    Attributes:
        logits: [batch, stacks, classes].
        there: which stacks there are, bool [batch, stacks].
    """

    logits: Tensor
    there: Tensor


class StackedCnn3d(Cnn3dLayers):
    """Gray faces → hardwired maps → a verdict a stack; parameters are named as in `EmoCnn3d`."""

    def forward(self, video: Tensor, video_mask: Tensor) -> StackLogits:
        """Verdicts on stacks.

        Args:
            video: uint8 gray [batch, stacks, 7, rows, columns].
            video_mask: which stacks there are, bool [batch, stacks].
        """
        each = video[video_mask]
        size = STACKS_AT_ONCE if not torch.is_grad_enabled() else max(1, len(each))
        said = [self.logits(self.maps(part)) for part in torch.split(each, size)]
        found = torch.cat(said) if len(each) else self.out.weight.new_zeros(0, len(self.out.weight))
        logits = found.new_zeros((*video_mask.shape, found.shape[1]))
        logits[video_mask] = found
        return StackLogits(logits, video_mask)

    def maps(self, gray: Tensor) -> Tensor:
        """Hardwired maps [stacks, 33, rows, columns] of uint8 gray faces [stacks, 7, …]."""
        with torch.autocast(gray.device.type, enabled=False):
            return maps_of_gray(gray.float() / 255, self.settings).joined()


class FrameLogits(NamedTuple):
    """What the two-layer network says of a batch.

    Attributes:
        logits: [batch, classes], or [batch, frames, classes] where every frame has a verdict.
        there: which frames there are, bool [batch, frames].
    """

    logits: Tensor
    there: Tensor


class PlainCnn3d(nn.Module):
    """The two-layer network on faces as they are cached."""

    def __init__(self, settings: FramesCnn3dSettings) -> None:
        super().__init__()
        self.network = FramesCnn3d(settings)

    def forward(self, video: Tensor, video_mask: Tensor) -> FrameLogits:
        """Verdicts on uint8 RGB faces [batch, frames, height, width, 3]."""
        with torch.autocast(video.device.type, enabled=False):
            faces = prepared(video, self.network.settings)
        return FrameLogits(self.network(faces, video_mask), video_mask)


def drawn_stacks(
    video: Tensor, there: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random stacks of each clip, none twice: [batch, count, 7, …] and which of them there are."""
    count = min(count, there.shape[1])
    draw = torch.rand(there.shape, generator=generator, device=there.device)
    at = (draw + (~there).to(draw.dtype)).argsort(dim=1)[:, :count]
    clip = torch.arange(len(video), device=video.device).unsqueeze(1)
    return video[clip, at], there[clip, at]
