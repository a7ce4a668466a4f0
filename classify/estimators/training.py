"""How networks are trained: skorch's loop with budgets, balance, schedules and mixed precision.

Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.data import Dataset, WeightedRandomSampler

from classify.estimators.callbacks import BestEpoch, Budget, Finished, Schedule
from classify.estimators.devices import device_of, moved, precision_of, seeded, threads
from classify.estimators.packing import Packed
from classify.estimators.settings import Training

if TYPE_CHECKING:
    from classify.estimators.network import Batch, Example, NetworkEstimator, Reader

__all__ = [
    "Net",
    "Side",
    "Trained",
    "cross_entropy",
    "device_of",
    "moved",
    "padded",
    "seeded",
    "threads",
    "train",
]

_OPTIMISERS: dict[str, Any] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Trained:
    """A trained network and what is worth keeping of its training."""

    module: nn.Module
    card: dict[str, Any]


class Side(Dataset[Any]):
    """The samples of one side that have anything in them, given out as finished batches."""

    def __init__(
        self, estimator: NetworkEstimator, reader: Reader, target: NDArray[np.int64]
    ) -> None:
        self._estimator, self._reader = estimator, reader
        self.target = target[reader.filled]
        self._packed: Packed | None = None

    def pack(self, device: torch.device) -> None:
        """Make every example once, where they fit and nothing but padding joins them."""
        if self._estimator.packs:
            self._packed = Packed.of(self._example, len(self), device)

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, at: int) -> tuple[Batch, Tensor]:
        return self.__getitems__([at])

    def __getitems__(self, places: list[int]) -> tuple[Batch, Tensor]:
        """The batch of these samples, and their targets."""
        target = torch.from_numpy(self.target[places])
        if self._packed is not None:
            return self._packed.batch(places), target
        return self._estimator.collate([self._example(at) for at in places]), target

    def _example(self, at: int) -> Example:
        return self._estimator.example(self._reader[int(self._reader.filled[at])])


def train(
    estimator: NetworkEstimator,
    module: nn.Module,
    weight: NDArray[np.float32],
    training: Side,
    validation: Side | None,
) -> Trained:
    """Train a network; on return it has the weights of its best epoch, on the CPU."""
    settings, options = estimator.settings, estimator.options
    device = device_of(options.device)
    for side in filter(None, (training, validation)):
        side.pack(device)
    best = BestEpoch(settings, validation is not None)
    limits = [Budget(options.minutes), Schedule(settings, options.epochs or settings.epochs)]
    net = Net(
        module,
        criterion=nn.Identity,
        estimator=estimator,
        weight=torch.from_numpy(weight).to(device),
        max_epochs=options.epochs or settings.epochs,
        batch_size=settings.batch,
        device=device,
        callbacks=[*limits, best],
        callbacks__print_log=None,
        train_split=None if validation is None else predefined_split(validation),
        verbose=0,
        **_optimiser(settings),
        **_batches(estimator, training, weight),
    )
    net.fit(training, y=None)
    return Trained(net.module_.cpu(), {**best.card(net), "training_samples": len(training)})


def _optimiser(settings: Training) -> dict[str, Any]:
    told: dict[str, Any] = {
        "optimizer": _OPTIMISERS[settings.optimiser],
        "lr": settings.learning_rate,
        "optimizer__weight_decay": settings.weight_decay,
    }
    if settings.optimiser == "sgd":
        told["optimizer__momentum"] = settings.momentum
        told["optimizer__dampening"] = settings.dampening
    else:
        told["optimizer__betas"] = (settings.beta1, settings.beta2)
    return told


def _batches(
    estimator: NetworkEstimator, training: Side, weight: NDArray[np.float32]
) -> dict[str, Any]:
    """How skorch's loaders draw and join samples."""
    settings = estimator.settings
    told: dict[str, Any] = {
        "iterator_train__collate_fn": _as_it_is,
        "iterator_valid__collate_fn": _as_it_is,
        "iterator_train__drop_last": settings.drop_last and len(training) >= settings.batch,
    }
    if estimator.options.balance != "sample":
        return {**told, "iterator_train__shuffle": True}
    whole = training.target if training.target.ndim == 1 else training.target[:, 0]
    share = 1.0 / np.bincount(whole, minlength=len(weight))[whole]
    return {**told, "iterator_train__sampler": WeightedRandomSampler(share.tolist(), len(whole))}


def _as_it_is(batch: Any) -> Any:
    return batch


class Net(NeuralNet):  # type: ignore[misc]
    """skorch's network whose loss, augmentation and precision are the estimator's."""

    def __init__(
        self, *args: Any, estimator: NetworkEstimator, weight: Tensor, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.estimator, self.weight = estimator, weight

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """As skorch; the precision is settled here too, the device being known."""
        settings = self.estimator.settings
        self.dtype_ = precision_of(settings.precision, torch.device(self.device))
        self.scaler_ = GradScaler(enabled=self.dtype_ is torch.float16)
        self.generator_ = torch.Generator(self.device).manual_seed(self.estimator.options.seed)
        return super().initialize_optimizer(*args, **kwargs)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """One step of the optimiser on one batch."""
        self._set_training(True)
        x, target = moved(batch[0], self.device), batch[1].to(self.device)
        x, target = self.estimator.augment(x, target, self.generator_)
        self.optimizer_.zero_grad()
        with self._mixed():
            out = self.module_(**x)
            loss = self.estimator.loss(out, target, self.weight)
        self.scaler_.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.estimator.settings.clip_norm:
            self.scaler_.unscale_(self.optimizer_)
            nn.utils.clip_grad_norm_(self.module_.parameters(), self.estimator.settings.clip_norm)
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()
        return {"loss": loss, "y_pred": out}

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and output of one batch, in evaluation mode and full precision."""
        self._set_training(False)
        x, target = moved(batch[0], self.device), batch[1].to(self.device)
        with torch.no_grad():
            out = self.module_(**x)
            loss = self.estimator.loss(out, target, self.weight)
        return {"loss": loss, "y_pred": out}

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """As skorch's, but a user's own interrupt is not taken for the end of training."""
        if not self.initialized_:
            self.initialize()
        fit_params.pop("_routing_method", None)
        self.notify("on_train_begin", X=X, y=y)
        with suppress(Finished):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def _mixed(self) -> AbstractContextManager[Any]:
        device = torch.device(self.device).type
        return torch.autocast(device, self.dtype_, enabled=self.dtype_ is not torch.float32)


def padded(examples: Sequence[Example]) -> Batch:
    """Arrays padded with zeros along their first axis and stacked: [batch, longest, …]."""
    out: Batch = {}
    for name, first in examples[0].items():
        arrays = [example[name] for example in examples]
        longest = max(len(a) for a in arrays)
        if all(len(a) == longest for a in arrays):
            out[name] = torch.from_numpy(np.stack(arrays))
            continue
        batch = np.zeros((len(arrays), longest, *first.shape[1:]), dtype=first.dtype)
        for row, array in zip(batch, arrays, strict=True):
            row[: len(array)] = array
        out[name] = torch.from_numpy(batch)
    return out


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the samples whose class is known (not -1); 0 where none is."""
    known = target >= 0
    if not known.any():
        return logits.sum() * 0.0
    return nn.functional.cross_entropy(logits[known], target[known], weight=weight)
