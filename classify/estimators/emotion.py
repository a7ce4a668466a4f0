"""The thesis' emotion networks, trained here; stage 1 runs them as columns (Gino, 5.3 and 5.4).

`avfd fit --target emotion --model emo-lstm --audio compare2016` writes `weights/` into its run,
and `avfd extract --backbone emo-lstm --weights RUN` takes it. The networks live in `avfd.nets`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from avfd.nets.settings import EmoLstmSettings, MlpSettings, ResNet18Settings
from classify.estimators.augmenting import Augmentation, augmented, soft_cross_entropy
from classify.estimators.base import register
from classify.estimators.network import Example, NetworkEstimator
from classify.estimators.scaling import scales
from classify.estimators.settings import Monitor, Training
from classify.estimators.tracks import Tracks
from classify.moments import at_rate

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch, Reader


class EmotionNetwork(NetworkEstimator):
    """A network of `avfd.nets` that looks at one modality's vectors through time.

    Those that stage 1 runs as a column say how (`classify.trained_weights.Exports`).

    Attributes:
        facts_type: the dataclass of the network's own settings.
    """

    facts_type: ClassVar[type[Any]]
    takes = ("audio",)
    needs = ("audio",)

    @property
    def facts(self) -> Any:
        """The network's own settings, with what the data decide."""
        own = {f.name: getattr(self.settings, f.name) for f in fields(self.facts_type)}
        return self.facts_type(**own | self._from_data())

    def _from_data(self) -> dict[str, Any]:
        """Settings that the data decide."""
        return {"classes": self.options.classes}

    @abstractmethod
    def network(self) -> nn.Module: ...

    def exported(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors of the network and its settings, for stage 1."""
        network = cast("nn.Module", self.module_.network)
        state = network.state_dict()
        return {n: t.detach().cpu().contiguous() for n, t in state.items()}, asdict(self.facts)


def wrapped(network: nn.Module, taking: str = "audio") -> nn.Module:
    """The network under the names that `NetworkEstimator` passes."""
    from classify.nets.named import Named

    return Named(network, taking)


# LSTM_I


@dataclass(frozen=True)
class EmoLstmTraining(EmoLstmSettings, Augmentation, Training):
    """LSTM_I as in 5.3.3; what the thesis does not state of the training is ours.

    `emo-lstm` of the preset "augmented" masks and mixes the cached descriptors besides. What is
    done to them is done to standardised values, so that blanks stand at a mean and `level`
    counts its deviations; the network is then given them in their own units, as without.
    """

    learning_rate: float = 3e-4
    epochs: int = 60
    monitor: Monitor = "loss"


LSTM_PAPER = EmoLstmTraining()


@register("emo-lstm")
class EmoLstm(EmotionNetwork):
    """LSTM 64 → LSTM 32 → dense 32 (EMO_s) → classes, on windows of 3 s."""

    weights_name = "emo-lstm"
    reads = "compare2016"
    facts_type = EmoLstmSettings
    default_windows = (3, 1)
    presets: ClassVar = {
        "paper": LSTM_PAPER,
        "augmented": replace(
            LSTM_PAPER,
            learning_rate=1e-3,
            rate_hz=25,
            dropout=0.4,
            mask_slots=15,
            mask_bands=20,
            level=0.1,
            mix=0.3,
            monitor="accuracy",
            patience=15,
        ),
        "small": replace(
            LSTM_PAPER,
            units=16,
            second_units=16,
            rate_hz=5,
            learning_rate=2e-2,
            epochs=30,
            batch=16,
        ),
    }
    settings: EmoLstmTraining

    def _from_data(self) -> dict[str, Any]:
        return {"classes": self.options.classes, "inputs": self.inputs["audio"].dim}

    def check_inputs(self) -> None:
        _need_vectors(self, self.reads)
        _refuse_repetition(self, self.settings.rate_hz)
        _refuse_shift(self)

    def network(self) -> nn.Module:
        import torch

        from avfd.nets.emo_lstm import EmoLstm as Network

        network = Network(self.facts)
        if "scale.low" in self.constants_:
            low, high = self.constants_["scale.low"], self.constants_["scale.high"]
            network.set_range(torch.from_numpy(low), torch.from_numpy(high))
        return wrapped(network)

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """Least and greatest of each descriptor over the training windows.

        Where training is to change descriptors, their means and deviations besides.
        """
        low = np.full(self.inputs["audio"].dim, np.inf, dtype=np.float32)
        high = -low
        for index in reader.filled.tolist():
            example = self.example(reader[index])
            seen = example["audio"][example["audio_mask"]]
            if len(seen):
                low, high = np.minimum(low, seen.min(axis=0)), np.maximum(high, seen.max(axis=0))
        return {"scale.low": low, "scale.high": high} | (
            scales(reader, self.inputs) if self.settings.augments else {}
        )

    def example(self, tracks: Tracks) -> Example:
        return _steps(tracks, self.settings.rate_hz)

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        if not self.settings.augments:
            return batch, target
        import torch

        centre, width = (
            torch.from_numpy(self.constants_[f"scale.audio.{name}"]).to(batch["audio"])
            for name in ("mean", "deviation")
        )
        x, mask, target = augmented(
            (batch["audio"] - centre) / width,
            batch["audio_mask"],
            target,
            self.options.classes,
            self.settings,
            generator,
        )
        return {"audio": x * width + centre, "audio_mask": mask}, target

    def loss(self, out: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return soft_cross_entropy(out, target, weight)


# The perceptron


@dataclass(frozen=True)
class MlpTraining(MlpSettings, Training):
    """The perceptron of 5.3.1 on 10 s of 39 descriptors; the training is not stated."""

    learning_rate: float = 1e-4
    epochs: int = 60


MLP_PAPER = MlpTraining()


@register("mlp")
class Mlp(EmotionNetwork):
    """1024-512-256 on a whole utterance; shorter ones are filled up with zeros, longer ones cut."""

    facts_type = MlpSettings
    presets: ClassVar = {
        "paper": MLP_PAPER,
        "normalised": replace(MLP_PAPER, normalise=True, dropout=0.3),
        "small": replace(
            MLP_PAPER,
            steps=15,
            rate_hz=5,
            first_units=32,
            second_units=16,
            third_units=8,
            normalise=True,
            learning_rate=1e-2,
            epochs=30,
            batch=16,
        ),
    }
    settings: MlpTraining

    def _from_data(self) -> dict[str, Any]:
        return {"classes": self.options.classes, "columns": self.inputs["audio"].dim}

    def check_inputs(self) -> None:
        _need_vectors(self, "emobase2010")
        _refuse_repetition(self, self.settings.rate_hz)

    def network(self) -> nn.Module:
        from avfd.nets.mlp import EmoMlp

        return wrapped(EmoMlp(self.facts))

    def example(self, tracks: Tracks) -> Example:
        """Exactly `settings.steps` slots."""
        found = _steps(tracks, self.settings.rate_hz)
        steps = self.settings.steps
        return {name: _fitted(array, steps) for name, array in found.items()}


# The MFCC network of 2D3MF


@dataclass(frozen=True)
class ResNet18Training(ResNet18Settings, Training):
    """2D3MF's emotion network; of its training the file name says batch 32 and rate 1e-3."""

    learning_rate: float = 1e-3
    epochs: int = 250
    patience: int = 25


RESNET_PAPER = ResNet18Training()


@register("resnet18")
class ResNet18(EmotionNetwork):
    """A map of MFCCs a second → 512 features; a clip's logits are the mean over its seconds."""

    weights_name = "resnet18"
    reads = "mfcc"
    facts_type = ResNet18Settings
    presets: ClassVar = {
        "paper": RESNET_PAPER,
        "small": replace(RESNET_PAPER, width=8, epochs=20, learning_rate=1e-2, batch=16),
    }
    settings: ResNet18Training

    def _from_data(self) -> dict[str, Any]:
        coefficients, frames = self.inputs["audio"].shape
        return {"classes": self.options.classes, "coefficients": coefficients, "frames": frames}

    def check_inputs(self) -> None:
        if len(self.inputs["audio"].shape) != 2:
            raise _unfit(self, "maps [coefficients, frames]", self.reads)

    def network(self) -> nn.Module:
        from avfd.nets.resnet18 import AudioResNet18
        from classify.nets.named import MeanOverSeconds

        return MeanOverSeconds(AudioResNet18(self.facts))


# What they share


def _steps(tracks: Tracks, rate_hz: int) -> Example:
    """Values [steps, dim] at a rate, and mask [steps]; up to the last valid step."""
    slots = tracks["audio"]
    values, valid = at_rate(slots.values, slots.valid, rate_hz)
    mask = valid.reshape(-1)
    stop = max(1, int(np.flatnonzero(mask)[-1]) + 1 if mask.any() else 1)
    return {"audio": values.reshape(-1, values.shape[2])[:stop], "audio_mask": mask[:stop]}


def _fitted(array: NDArray[Any], steps: int) -> NDArray[Any]:
    """The first `steps` along the first axis, zeros where there are fewer."""
    lacking = max(0, steps - len(array))
    return np.pad(array[:steps], [(0, lacking), *[(0, 0)] * (array.ndim - 1)])


def _refuse_shift(estimator: EmoLstm) -> None:
    """Refuse to move descriptors into each other's places."""
    if estimator.settings.shift_bands:
        raise InputError(
            "descriptors are no neighbouring bands, so they cannot be shifted",
            where=f"--model {estimator.name}:shift_bands",
            found=estimator.settings.shift_bands,
            accepted="0",
            next_step="leave it out, or take --model mel-cnn --audio mel",
        )


def _refuse_repetition(estimator: EmotionNetwork, rate_hz: int) -> None:
    """Refuse more steps a second than the column has: they would only be repeated."""
    there = estimator.inputs["audio"].rate_hz
    if rate_hz > there:
        raise InputError(
            "the column has fewer rows a second",
            where=f"--model {estimator.name}:rate_hz",
            found=rate_hz,
            accepted=f"1 to {there}",
            next_step=f"ask for {estimator.name}:rate_hz={there}, or less",
        )


def _need_vectors(estimator: EmotionNetwork, column: str) -> None:
    seen = estimator.inputs["audio"]
    if len(seen.shape) != 1 or not seen.rate_hz:
        raise _unfit(estimator, "vectors a second", column)


def _unfit(estimator: EmotionNetwork, accepted: str, column: str) -> InputError:
    seen = estimator.inputs["audio"]
    return InputError(
        f"{estimator.name} cannot look at this column",
        where="--audio",
        found=f"{seen.rate_hz} a second, each {list(seen.shape)}",
        accepted=accepted,
        next_step=f"take --audio {column}",
    )
