"""How networks are trained: skorch's loop with budgets, balance, schedules and mixed precision.

Importing this file imports torch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.data import Dataset, WeightedRandomSampler

from avfd.errors import InputError
from classify.estimators.packing import Packed
from classify.estimators.settings import Training
from classify.watching import Epoch, tell

if TYPE_CHECKING:
    from classify.estimators.network import Batch, Example, NetworkEstimator, Reader

logger = logging.getLogger(__name__)

# An epoch counts as better if it is so by this share, as skorch has it.
_BETTER = 1e-4
_MONITORS = {
    "loss": ("valid_loss", True),
    "auc": ("valid_auc", False),
    "accuracy": ("valid_accuracy", False),
    "train-loss": ("train_loss", True),
}
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
        self.dtype_ = _precision(settings.precision, torch.device(self.device))
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


class Finished(Exception):
    """Training ends here, as planned."""


class Budget(Callback):  # type: ignore[misc]
    """Ends training after so many minutes, in the middle of an epoch if need be."""

    def __init__(self, minutes: float | None) -> None:
        self.minutes = minutes

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        self.end_ = math.inf if self.minutes is None else time.monotonic() + 60 * self.minutes

    def on_batch_end(self, net: Net, training: bool = False, **kwargs: Any) -> None:
        if training and time.monotonic() > self.end_:
            raise Finished


class Schedule(Callback):  # type: ignore[misc]
    """Lowers the learning rate as the settings say, and ends training where they say so."""

    def __init__(self, settings: Training, epochs: int) -> None:
        self.settings, self.epochs = settings, epochs

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        told, optimiser = self.settings, net.optimizer_
        rules: dict[str, Callable[[], Any]] = {
            "none": lambda: None,
            "plateau": lambda: torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser,
                factor=told.decay,
                patience=told.plateau_patience,
                min_lr=told.lowest_rate,
            ),
            "milestones": lambda: torch.optim.lr_scheduler.MultiStepLR(
                optimiser, list(told.milestones), told.decay
            ),
            "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(
                optimiser, self.epochs, told.lowest_rate
            ),
        }
        self.rule_ = rules[told.schedule]()

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        if self.rule_ is None:
            return
        if self.settings.schedule == "plateau":
            self.rule_.step(net.history[-1, "train_loss"])
        else:
            self.rule_.step()
        if net.optimizer_.param_groups[0]["lr"] <= self.settings.stop_rate:
            raise Finished


class BestEpoch(Callback):  # type: ignore[misc]
    """Keeps the weights of the best epoch, and ends training when no better one comes."""

    def __init__(self, settings: Training, validated: bool) -> None:
        self.settings, self.validated = settings, validated
        self.name, self.lower = _MONITORS[settings.monitor]
        self.counts = validated or settings.monitor == "train-loss"

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        self.bar_ = math.inf if self.lower else -math.inf
        self.best_, self.misses_, self.state_ = 0, 0, None
        self.said_: list[tuple[Tensor, Tensor]] = []
        self.log_: list[dict[str, float]] = []

    def on_batch_end(
        self, net: Net, batch: Any = None, training: bool = False, y_pred: Any = None, **kw: Any
    ) -> None:
        if not training and self.name in ("valid_auc", "valid_accuracy"):
            p = net.estimator.probabilities(y_pred).cpu()
            self.said_.append((p, batch[1] if batch[1].ndim == 1 else batch[1][:, 0]))

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        if self.said_:
            net.history.record(self.name, self._measured())
        row = net.history[-1]
        value = row[self.name] if self.counts else None
        if value is not None:
            self._judge(net, value)
        self._tell(net, row, value)
        if self.misses_ and self.misses_ == self.settings.patience:
            raise Finished

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        if self.state_ is not None and self.best_ != net.history[-1, "epoch"]:
            net.module_.load_state_dict(self.state_)

    def card(self, net: Net) -> dict[str, Any]:
        """What the model's card says of the training."""
        return {
            "epochs": len(self.log_),
            "best_epoch": self.best_ or None,
            "monitor": self.settings.monitor if self.counts else None,
            "log": self.log_,
        }

    def _judge(self, net: Net, value: float) -> None:
        better = value < self.bar_ if self.lower else value > self.bar_
        if not better:
            self.misses_ += 1
            return
        self.misses_, self.best_ = 0, net.history[-1, "epoch"]
        self.bar_ = value - _BETTER * value if self.lower else value + _BETTER * value
        self.state_ = deepcopy(net.module_.state_dict())

    def _tell(self, net: Net, row: Mapping[str, Any], value: float | None) -> None:
        names = ("epoch", "train_loss", "valid_loss", "valid_auc", "valid_accuracy")
        self.log_.append({name: row[name] for name in names if name in row})
        logger.debug("%s %s", net.estimator.name, self.log_[-1])
        name, most = net.estimator.name, net.max_epochs
        tell(Epoch(name, row["epoch"], most, row["train_loss"], value, self.best_))

    def _measured(self) -> float:
        """AUC or accuracy of the epoch's validation."""
        from sklearn.metrics import roc_auc_score

        p = torch.cat([p for p, _ in self.said_]).numpy()
        y = torch.cat([y for _, y in self.said_]).numpy()
        self.said_ = []
        if self.name == "valid_accuracy":
            return float((p.argmax(axis=1) == y).mean())
        if len(np.unique(y)) < p.shape[1]:
            return 0.5  # undefined: no epoch is better than another
        if p.shape[1] == 2:
            return float(roc_auc_score(y, p[:, 1]))
        return float(roc_auc_score(y, p, multi_class="ovr"))


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


def moved(batch: Mapping[str, Tensor], device: Any) -> Batch:
    """The batch on a device."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def device_of(asked: str, strict: bool = True) -> torch.device:
    """The device that was asked for; "auto" is a GPU where there is one.

    Args:
        strict: a GPU that is asked for and not there is an error, else the CPU serves.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there and strict:
        raise InputError("no CUDA device here", where="--device", found=asked, accepted="auto, cpu")
    return torch.device("cuda" if asked != "cpu" and there else "cpu")


def _precision(asked: str, device: torch.device) -> torch.dtype:
    """Number type of the forward pass in training; on a CPU always float32."""
    if device.type != "cuda":
        return torch.float32
    if asked == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    kind: torch.dtype = getattr(torch, asked)
    return kind


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """PyTorch on so many threads; with one, the same sums in the same order on every load."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, count: int = 1) -> Iterator[None]:
    """Threads as in `threads` and the generators at `seed`; the caller's are left as they were."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with threads(count), torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
