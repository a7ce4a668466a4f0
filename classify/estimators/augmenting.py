"""What training may do to cached spectra: masking, shifting, mixing (a recipe of ours).

Masking after SpecAugment (Park et al. 2019), mixing after mixup (Zhang et al. 2018). Everything is
drawn from one generator, so the same seed gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Augmentation:
    """How much is done to a batch; 0 each: nothing.

    Attributes:
        mask_slots, mask_bands: longest stretch of time and of bands that is blanked, twice each.
        shift_bands: the spectrum is moved up or down by up to so many bands.
        level: deviation of a constant added to a clip, in deviations of the column.
        mix: alpha of the Beta distribution by which half of the batches are mixed in pairs.
    """

    mask_slots: int = 0
    mask_bands: int = 0
    shift_bands: int = 0
    level: float = 0.0
    mix: float = 0.0

    @property
    def augments(self) -> bool:
        """Whether anything is done at all."""
        return any((self.mask_slots, self.mask_bands, self.shift_bands, self.level, self.mix))


def augmented(
    x: Tensor, mask: Tensor, target: Tensor, classes: int, how: Augmentation, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch as training is to see it.

    Args:
        x: [batch, slots, bands], scaled: 0 is a band's mean, which blanks are set to.
        mask: bool [batch, slots].
        target: [batch], class numbers.

    Returns:
        x, mask and target; mixed targets are probabilities [batch, classes].
    """
    x = x.clone()
    if how.shift_bands:
        x = _shifted(x, how.shift_bands, generator)
    if how.level:
        x = x + how.level * _normal((len(x), 1, 1), x, generator)
    x = _blanked(_blanked(x, how.mask_slots, 1, generator), how.mask_bands, 2, generator)
    x = x * mask.unsqueeze(2)
    if how.mix and _uniform(generator) < 0.5:
        return _mixed(x, mask, target, classes, how.mix, generator)
    return x, mask, target


def _shifted(x: Tensor, most: int, generator: Generator) -> Tensor:
    """Each sample moved by its own number of bands; the edge band is repeated."""
    import torch

    bands = x.shape[2]
    by = torch.randint(-most, most + 1, (len(x), 1), generator=generator, device=x.device)
    source = (torch.arange(bands, device=x.device) - by).clamp(0, bands - 1)
    return x.gather(2, source.unsqueeze(1).expand_as(x))


def _blanked(x: Tensor, longest: int, axis: int, generator: Generator) -> Tensor:
    """Two stretches along an axis set to 0 in each sample."""
    import torch

    if not longest:
        return x
    size = x.shape[axis]
    at = torch.arange(size, device=x.device)
    for _ in range(2):
        draw = torch.rand((2, len(x), 1), generator=generator, device=x.device)
        length = (draw[0] * (min(longest, size // 2) + 1)).floor()
        first = (draw[1] * (size - length + 1)).floor()
        inside = (at >= first) & (at < first + length)
        x = x.masked_fill(inside.unsqueeze(3 - axis), 0.0)
    return x


def _mixed(
    x: Tensor, mask: Tensor, target: Tensor, classes: int, alpha: float, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    import numpy as np
    import torch
    from torch.nn.functional import one_hot

    seed = int(torch.randint(1 << 30, (1,), generator=generator, device=x.device))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    mate = torch.randperm(len(x), generator=generator, device=x.device)
    soft = one_hot(target, classes).float()
    return (
        share * x + (1 - share) * x[mate],
        mask | mask[mate],
        share * soft + (1 - share) * soft[mate],
    )


def _normal(shape: tuple[int, ...], like: Tensor, generator: Generator) -> Tensor:
    import torch

    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(generator: Generator) -> float:
    import torch

    return float(torch.rand(1, generator=generator, device=generator.device))


def soft_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with class numbers [batch] or probabilities [batch, classes]."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, target, weight=weight)
