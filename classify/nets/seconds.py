"""Networks that look at one second, applied to clips of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Tracks = Mapping[str, Tensor]
"""`<modality>`: [clips, seconds, …] and `<modality>_mask`: bool [clips, seconds, slots]."""


class SecondLogits(NamedTuple):
    """What is said of each second.

    Attributes:
        logits: [clips, seconds, classes]; 0 where a second does not count.
        counted: bool [clips, seconds].
    """

    logits: Tensor
    counted: Tensor


def counted_seconds(tracks: Tracks, *, both: bool, least_valid: float) -> Tensor:
    """Which seconds count, bool [clips, seconds].

    Args:
        tracks: their masks are looked at.
        both: whether a second counts only if every modality is there, else if any is.
        least_valid: share of a second's slots that must be valid for a modality to be there;
            with 0 one slot is enough.
    """
    there = [
        mask.any(dim=2) & (mask.float().mean(dim=2) >= least_valid)
        for name, mask in tracks.items()
        if name.endswith("_mask")
    ]
    stacked = torch.stack(there)
    return stacked.all(dim=0) if both else stacked.any(dim=0)


class SecondsNetwork(nn.Module):
    """Gives every second that counts to a network, by itself.

    In training all seconds of the batch are one batch; in evaluation mode they are looked at in
    portions.

    Args:
        block: called with the tracks of some seconds by name; its output has `logits`
            [seconds, classes].
        names: the tracks that it wants.
        both, least_valid: which seconds count; see `counted_seconds`.
        at_once: seconds of a portion.
        apart: a portion is one whole clip, for networks to which batch mates matter.
    """

    def __init__(
        self,
        block: nn.Module,
        names: tuple[str, ...],
        *,
        both: bool,
        least_valid: float,
        at_once: int,
        apart: bool = False,
    ) -> None:
        super().__init__()
        self.block, self.names = block, names
        self.both, self.least_valid = both, least_valid
        self.at_once, self.apart = at_once, apart

    def forward(self, **tracks: Tensor) -> SecondLogits:
        """Of tracks as in `Tracks`; at least one second counts."""
        counted = self.counted(tracks)
        if self.training:
            said = self.look({name: tracks[name][counted] for name in self.names}).logits
        else:
            said = torch.cat([out.logits for _, out in self.looks(tracks)])
        logits = said.new_zeros(*counted.shape, said.shape[1])
        logits[counted] = said
        return SecondLogits(logits, counted)

    def counted(self, tracks: Tracks) -> Tensor:
        """Which seconds count, bool [clips, seconds]."""
        return counted_seconds(tracks, both=self.both, least_valid=self.least_valid)

    def look(self, seconds: Tracks) -> Any:
        """The network's output for seconds [seconds, …] taken out of their clips."""
        return self.block(**seconds)

    def looks(self, tracks: Tracks) -> Iterator[tuple[Tensor, Any]]:
        """Clip and second of each that counts, [seconds, 2], and the network's output for them."""
        places = self.counted(tracks).nonzero()
        sizes = places[:, 0].bincount()
        portions = sizes[sizes > 0].tolist() if self.apart else self.at_once
        for some in torch.split(places, portions):
            clips, seconds = some.unbind(dim=1)
            yield some, self.look({name: tracks[name][clips, seconds] for name in self.names})


def drawn_seconds(
    tracks: Tracks, counted: Tensor, count: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """So many seconds of each clip that count, drawn at random; all of them where there are fewer.

    Args:
        tracks: [clips, seconds, …] each.
        counted: [clips, seconds].
        count: 0: all.

    Returns:
        the tracks as clips of one second, [drawn, 1, …] each, and the clip of each, [drawn].
    """
    if count:
        priority = torch.rand(counted.shape, generator=generator, device=counted.device)
        ranked = priority.masked_fill(~counted, 2.0).argsort(dim=1).argsort(dim=1)
        counted = counted & (ranked < count)
    owner = counted.nonzero()[:, 0]
    return {name: values[counted].unsqueeze(1) for name, values in tracks.items()}, owner


def mean_probabilities(out: SecondLogits) -> Tensor:
    """Class probabilities of clips, [clips, classes]: the mean over the seconds that count."""
    counted = out.counted.unsqueeze(2)
    p = out.logits.double().softmax(dim=2) * counted
    return p.sum(dim=1) / counted.sum(dim=1)


def seconds_loss(out: SecondLogits, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of each second that counts against its clip's class, every clip the same.

    Args:
        target: class of each clip, [clips].
        weight: of each class, [classes].
    """
    wanted = target.unsqueeze(1).expand_as(out.counted)
    each = cross_entropy(out.logits.float().transpose(1, 2), wanted, reduction="none")
    clips = (each * out.counted).sum(dim=1) / out.counted.sum(dim=1)
    weights = weight[target]
    return (weights * clips).sum() / weights.sum()
