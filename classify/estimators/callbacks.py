"""What stands beside a training: its budget, its learning rate, its best epoch.

Importing this file imports torch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from classify.estimators.settings import Training
from classify.watching import Epoch, tell

if TYPE_CHECKING:
    from classify.estimators.training import Net

logger = logging.getLogger(__name__)

# An epoch counts as better if it is so by this share, as skorch has it.
_BETTER = 1e-4
_MONITORS = {
    "loss": ("valid_loss", True),
    "auc": ("valid_auc", False),
    "accuracy": ("valid_accuracy", False),
    "train-loss": ("train_loss", True),
    "last": ("train_loss", True),
}


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
        watching = validated or settings.monitor == "train-loss"
        self.counts = watching and settings.monitor != "last"

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
