"""`cnn1d`: a small CNN over vectors through time, for descriptors of a voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.augmenting import Augmentation, augmented, soft_cross_entropy
from classify.estimators.base import register
from classify.estimators.network import Example, NetworkEstimator
from classify.estimators.settings import Monitor, Scheduled, Training
from classify.estimators.tracks import Tracks
from classify.moments import at_rate

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch, Reader


@dataclass(frozen=True)
class Cnn1dSettings(Augmentation, Training):
    """What `cnn1d` can be told.

    Attributes:
        width: channels of each of the four layers.
        drop: share of the pooled features dropped in training; half as much between the layers.
        lost: share of the input's numbers that training does without, each for a whole clip.
        rate_hz: vectors a second after averaging; a column with fewer is taken as it is.
        quantiles: every number is laid on a normal curve by so many quantiles of the training
            clips, which tames descriptors of any tail.
    """

    epochs: int = 40
    patience: int = 0
    monitor: Monitor = "last"
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    schedule: Scheduled = "cosine"
    mask_slots: int = 15
    mask_bands: int = 20
    level: float = 0.05
    mix: float = 0.3
    width: int = 192
    drop: float = 0.4
    lost: float = 0.1
    rate_hz: int = 50
    quantiles: int = 101


PAPER = Cnn1dSettings()
SMALL = Cnn1dSettings(
    width=16,
    rate_hz=10,
    epochs=20,
    batch=16,
    learning_rate=1e-2,
    mask_slots=2,
    mask_bands=0,
    drop=0.1,
    lost=0.0,
    mix=0.0,
    quantiles=21,
)

FARTHEST = 3.0
"""Beyond so many deviations of the normal curve everything is this far."""


@register("cnn1d")
class Cnn1d(NetworkEstimator):
    """Convolutions over the vectors of one modality, pooled over time."""

    presets: ClassVar = {"paper": PAPER, "small": SMALL}
    takes = ("audio",)
    needs = ("audio",)
    settings: Cnn1dSettings

    @property
    def modality(self) -> str:
        """The one that it is fitted on."""
        (only,) = self.inputs
        return only

    def check_inputs(self) -> None:
        seen = self.inputs[self.modality]
        if len(seen.shape) != 1 or not seen.rate_hz:
            raise InputError(
                "cnn1d needs vectors a second",
                where=f"--{self.modality}",
                found=f"{seen.rate_hz} a second, each {list(seen.shape)}",
                next_step="take compare2016 or mel",
            )

    def network(self) -> nn.Module:
        from classify.nets.cnn1d import Cnn1d as Network
        from classify.nets.named import Named

        seen = self.inputs[self.modality]
        told = self.settings
        network = Network(seen.dim, self.options.classes, told.width, told.drop, told.lost)
        return Named(network, self.modality)

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """Quantiles of every number over the training clips' valid slots, [quantiles, dim]."""
        parts = [self._steps(reader[index]) for index in reader.filled.tolist()]
        seen = np.concatenate([values[mask] for values, mask in parts])
        shares = np.linspace(0, 1, self.settings.quantiles)
        return {"scale.quantiles": np.quantile(seen, shares, axis=0).astype(np.float32)}

    def example(self, tracks: Tracks) -> Example:
        """Values [slots, dim] on the normal curve and mask [slots], from first to last valid."""
        values, mask = self._steps(tracks)
        there = np.flatnonzero(mask)
        first, stop = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 1)
        name = self.modality
        normal = on_normal_curve(values[first:stop], self.constants_["scale.quantiles"])
        known = mask[first:stop]
        return {name: normal * known[:, None], f"{name}_mask": known}

    def _steps(self, tracks: Tracks) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        slots = tracks[self.modality]
        rate = min(self.settings.rate_hz, slots.valid.shape[1])
        values, valid = at_rate(slots.values, slots.valid, rate)
        return values.reshape(-1, values.shape[2]), valid.reshape(-1)

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        name, mask_name = self.modality, f"{self.modality}_mask"
        x, mask, target = augmented(
            batch[name],
            batch[mask_name],
            target,
            self.options.classes,
            self.settings,
            generator,
        )
        return {name: x, mask_name: mask}, target

    def loss(self, out: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return soft_cross_entropy(out, target, weight)


def on_normal_curve(values: NDArray[Any], quantiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values [slots, dim] by their rank among quantiles [q, dim], as deviations of a normal curve.

    A number that is constant in training is 0.
    """
    from scipy.stats import norm

    heights = np.clip(norm.ppf(np.linspace(0, 1, len(quantiles))), -FARTHEST, FARTHEST)
    out = np.zeros(values.shape, np.float32)
    for column in np.flatnonzero(quantiles[-1] > quantiles[0]):
        out[:, column] = np.interp(values[:, column], quantiles[:, column], heights)
    return out
