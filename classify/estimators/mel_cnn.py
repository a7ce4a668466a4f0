"""`mel-cnn`: a small CNN on log-mel spectra, the recipe of ours beside the thesis' networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.augmenting import Augmentation, augmented, soft_cross_entropy
from classify.estimators.base import register
from classify.estimators.network import Example, NetworkEstimator
from classify.estimators.scaling import standardised
from classify.estimators.settings import Monitor, Scheduled, Training
from classify.estimators.tracks import Tracks
from classify.moments import at_rate

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch


@dataclass(frozen=True)
class MelCnnSettings(Augmentation, Training):
    """What `mel-cnn` can be told.

    Attributes:
        widths: channels of the stages; each halves time and frequency.
        drop: share of the pooled features dropped in training.
        rate_hz: spectra a second after averaging.
        quiet: slots at both ends so far (in deviations of the column) below the loud parts of
            the clip are cut off; 0: none.
    """

    epochs: int = 60
    patience: int = 0
    monitor: Monitor = "last"
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    schedule: Scheduled = "cosine"
    standardise: bool = True
    mask_slots: int = 20
    mask_bands: int = 12
    shift_bands: int = 4
    level: float = 0.3
    mix: float = 0.3
    widths: tuple[int, ...] = (32, 64, 128, 192)
    drop: float = 0.3
    rate_hz: int = 50
    quiet: float = 1.5


PAPER = MelCnnSettings()
PLAIN = MelCnnSettings(mask_slots=0, mask_bands=0, shift_bands=0, level=0.0, mix=0.0)
SMALL = MelCnnSettings(
    widths=(8, 16),
    rate_hz=10,
    epochs=15,
    batch=16,
    learning_rate=1e-2,
    mask_slots=2,
    mask_bands=1,
    shift_bands=0,
    quiet=0.0,
    monitor="loss",
)

LOUD_PERCENTILE = 95
KEPT_SECONDS = 0.1
"""Kept before the first and after the last loud slot."""


@register("mel-cnn")
class MelCnn(NetworkEstimator):
    """Convolutions on spectra, pooled over time by attention and maximum."""

    takes = ("audio",)
    needs = ("audio",)
    presets: ClassVar = {"paper": PAPER, "small": SMALL, "plain": PLAIN}
    settings: MelCnnSettings

    def check_inputs(self) -> None:
        seen = self.inputs["audio"]
        if len(seen.shape) != 1 or seen.rate_hz < self.settings.rate_hz:
            raise InputError(
                "mel-cnn needs spectra",
                where="--audio",
                found=f"{seen.rate_hz} a second, each {seen.shape}",
                accepted=f"vectors, {self.settings.rate_hz} a second or more",
                next_step="take --audio mel",
            )

    def network(self) -> nn.Module:
        from classify.nets.mel_cnn import MelCnn as Network

        seen = self.inputs["audio"]
        told = self.settings
        return Network(seen.dim, self.options.classes, told.widths, told.drop)

    def example(self, tracks: Tracks) -> Example:
        """Scaled spectra [slots, bands] and mask [slots], quiet ends cut off."""
        slots = tracks["audio"]
        values, valid = at_rate(slots.values, slots.valid, self.settings.rate_hz)
        flat, mask = values.reshape(-1, values.shape[2]), valid.reshape(-1)
        scaled = standardised(flat, mask, self.constants_, "audio")
        first, stop = self._loud(scaled.mean(axis=1), mask)
        return {"audio": scaled[first:stop], "audio_mask": mask[first:stop]}

    def _loud(self, level: NDArray[Any], mask: NDArray[Any]) -> tuple[int, int]:
        """First and one past the last slot worth looking at."""
        there = np.flatnonzero(mask)
        if not len(there):
            return 0, 1
        if self.settings.quiet:
            bar = np.percentile(level[there], LOUD_PERCENTILE) - self.settings.quiet
            there = there[level[there] > bar]
        around = round(KEPT_SECONDS * self.settings.rate_hz) if self.settings.quiet else 0
        return max(0, int(there[0]) - around), min(len(mask), int(there[-1]) + 1 + around)

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        x, mask, target = augmented(
            batch["audio"],
            batch["audio_mask"],
            target,
            self.options.classes,
            self.settings,
            generator,
        )
        return {"audio": x, "audio_mask": mask}, target

    def loss(self, out: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return soft_cross_entropy(out, target, weight)
