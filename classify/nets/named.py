"""Networks of both stages under the names that stage 2 passes its tracks by."""

from __future__ import annotations

from torch import Tensor, nn


class Named(nn.Module):
    """`network(values, mask)`, called with one modality's `<name>` and `<name>_mask`."""

    def __init__(self, network: nn.Module, taking: str = "audio") -> None:
        super().__init__()
        self.network = network
        self.taking = taking

    def forward(self, **tracks: Tensor) -> Tensor:
        """The network's logits of that modality."""
        logits: Tensor = self.network(tracks[self.taking], tracks[f"{self.taking}_mask"])
        return logits


class MeanOverSeconds(nn.Module):
    """Logits of each valid second, averaged: `audio` [batch, seconds, *map] → [batch, classes]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, audio: Tensor, audio_mask: Tensor) -> Tensor:
        """Logits; only valid seconds go through the network, so gaps touch no statistics."""
        each: Tensor = self.network(audio[audio_mask])
        owner = audio_mask.nonzero()[:, 0]
        total = each.new_zeros((len(audio), each.shape[1])).index_add(0, owner, each)
        logits: Tensor = total / audio_mask.sum(dim=1, keepdim=True).clamp_min(1)
        return logits
