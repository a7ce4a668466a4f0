"""The base of every estimator that is a PyTorch network.

How to add one, say `mine` (twenty lines; `td3mf.py` and `iat.py` are examples):

1. The network goes to `classify/nets/mine.py` (to `avfd/nets/` if stage 1 runs it too): plain
   `torch.nn.Module`s that know nothing of clips, files or training.

2. The estimator goes to `classify/estimators/mine.py`, which imports torch inside functions only,
   and into `_FILED` in `classify/estimators/__init__.py`:

       @dataclass(frozen=True)
       class MineSettings(Training):        # all of it can be asked for: `--model mine:hidden=64`
           hidden: int = 128
           learning_rate: float = 1e-4      # of Training; see there what else there is

       @register("mine")
       class Mine(NetworkEstimator):
           takes = ("audio", "video")       # alone or together; what it cannot miss: `needs = …`
           presets: ClassVar = {"paper": MineSettings(), "small": MineSettings(hidden=8, epochs=20)}

           def network(self) -> nn.Module:
               from classify.nets.mine import MineNetwork
               return MineNetwork(self.inputs, self.settings.hidden, self.options.classes)

   `self.inputs` maps each modality that is there to its `Input` (rate_hz, shape of a vector).
   Annotate `settings: MineSettings` in the class body for the type checker.

3. What the network is given. By default `forward(audio=…, audio_mask=…, video=…, video_mask=…)`:
   values [batch, slots, *shape] (float32; pictures uint8, to be made floats by the network, on its
   device) and bool masks [batch, slots], each modality at its own rate, so T_a and T_v differ. A
   missing modality is zeros with a mask of False all over; the clip is scored all the same. A
   modality that no column was asked for is not passed at all. Override, as needed:

   * `search`: what `--trials` draws its settings from, as data;
   * `views`: pictures at another size: `{"video": View(size_px=112)}`;
   * `example(tracks)`: one sample as a dict of arrays (never random: it may be made once and
     kept), from {modality: Slots(values [rows, rate,
     *shape], valid [rows, rate])}; rows are seconds, aligned over the modalities, so
     `values.reshape(rows, rate, …)` are chunks of one second;
   * `collate(examples)`: a batch of them; by default every array is padded with zeros (masks with
     False) along its first axis. Every tensor's first axis is the batch;
   * `augment(batch, target, generator)`: in training only, on the training device: modality
     dropout, pseudo-fakes out of batch mates; it may return a larger batch;
   * `loss(out, target, weight)`: by default cross-entropy of logits [batch, classes];
   * `probabilities(out)`: [batch, classes]; by default the softmax of the logits;
   * `check_inputs()`: refuses columns that it cannot look at, before anything is read;
   * `learn_constants(reader)`: arrays learnt from the training samples before training and saved
     with the weights, found again in `self.constants_`; by default the scale, if
     `settings.standardise`.

   Labels of the tracks alone: `uses_parts = True` makes `target` [batch, 3], int64: whole, audio,
   video (`PARTS`), -1 where unknown; `training.cross_entropy` leaves -1 out. Else `target` is
   [batch].

4. What the base does: batches, early stopping and best epoch on validation, budgets of epochs and
   minutes, optimiser and schedule, balance, mixed precision on a GPU, seeds, progress, safetensors
   with a small card. Scores come from batches of equal shapes, in float32, network in evaluation
   mode, so neither padding nor batch mates can change them; that stays true as long as the network
   has no batch statistics in evaluation mode. `outputs(features)` gives the raw outputs of all
   samples, for figures and extra heads.

5. Tests: the contract suite (`tests/contracts/test_estimator_contract.py`) picks the estimator up
   by itself, at preset `small`, with vectors of 3 numbers at 10 a second; an estimator that takes
   other shapes says so in `CASES` there. Add parameter counts, shapes and equations of its own.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from classify.estimators.base import (
    Estimator,
    Floats,
    Parts,
    Validation,
    check_classes,
    class_weights,
)
from classify.estimators.settings import UNVALIDATED, Span, Training
from classify.estimators.tracks import TrackReader, Tracks
from classify.features import Features, Index, Mask
from classify.held import AS_IT_IS, View

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.training import Trained

    Batch = dict[str, Tensor]

Example = dict[str, NDArray[Any]]
"""One sample as a network takes it: name → array, the first axis is time."""

PARTS = ("audio", "video")
CARD_FILE = "card.json"
SCORED_AT_ONCE = 64
SCORED_BYTES = 256 << 20


@dataclass(frozen=True)
class Input:
    """What one modality looks like to the network.

    Attributes:
        rate_hz: vectors a second; 0: one vector a clip.
        shape: of a vector: (1024,), (10, 87), (224, 224, 3), ….
    """

    rate_hz: int
    shape: tuple[int, ...]

    @property
    def dim(self) -> int:
        return int(np.prod(self.shape, dtype=int))


class Reader(Protocol):
    """Samples by number; `filled` are those with anything in them."""

    @property
    def filled(self) -> Index: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


class NetworkEstimator(Estimator):
    """Trains and scores a PyTorch network; see the module's text for what a subclass gives."""

    stops_early = True
    draws = True
    settings: Training
    search: ClassVar[Mapping[str, Span | tuple[Any, ...]]] = {
        "learning_rate": Span(1e-4, 1e-2, log=True),
        "weight_decay": Span(1e-6, 1e-2, log=True),
        "batch": (16, 32, 64),
    }
    #: Samples scored together, at the most.
    scored_at_once: ClassVar[int] = SCORED_AT_ONCE

    module_: nn.Module
    constants_: dict[str, NDArray[np.float32]]

    @property
    def needs_validation(self) -> bool:
        """Whether the settings choose the epoch by validation."""
        return self.settings.monitor not in UNVALIDATED

    # What a subclass gives or changes.

    @abstractmethod
    def network(self) -> nn.Module:
        """The network for `inputs`, freshly initialised."""

    @property
    def views(self) -> Mapping[str, View]:
        """How columns are to be seen; as they are where not named."""
        return {}

    def reader(self, features: Features) -> Reader:
        """Where samples are read from."""
        return TrackReader(features, self.views)

    def check_inputs(self) -> None:
        """Refuse `inputs` that the network cannot look at; called before training."""

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """What `example` must know of the training samples."""
        from classify.estimators.scaling import scales

        return scales(reader, self.inputs) if self.settings.standardise else {}

    def example(self, tracks: Tracks) -> Example:
        """Values [slots, *shape] and mask [slots] of each modality, up to its last valid slot."""
        from classify.estimators.scaling import standardised

        out: Example = {}
        for modality, slots in tracks.items():
            valid = slots.valid.reshape(-1)
            stop = max(1, int(np.flatnonzero(valid)[-1]) + 1 if valid.any() else 1)
            values = slots.values.reshape(-1, *slots.values.shape[2:])[:stop]
            out[modality] = standardised(values, valid[:stop], self.constants_, modality)
            out[f"{modality}_mask"] = valid[:stop]
        return out

    def collate(self, examples: Sequence[Example]) -> Batch:
        """A batch: every array padded with zeros along its first axis."""
        from classify.estimators.training import padded

        return padded(examples)

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """What training does to a batch."""
        return batch, target

    def loss(self, out: Any, target: Tensor, weight: Tensor) -> Tensor:
        """Mean loss of a batch; `weight` [classes] balances the classes."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(out, target, weight=weight)

    def probabilities(self, out: Any) -> Tensor:
        """Class probabilities [batch, classes] of the network's output."""
        import torch

        return torch.softmax(out.double(), dim=1)

    @property
    def packs(self) -> bool:
        """Whether examples may be made once and kept: none is random, collating only pads."""
        return type(self).collate is NetworkEstimator.collate

    # What the base does with it.

    @property
    def inputs(self) -> dict[str, Input]:
        """Modality → what it looks like, of those that the estimator is fitted on."""
        views = self.views
        return {
            m: Input(self.rates_[m], views.get(m, AS_IT_IS).shape(shape))
            for m, shape in self.shapes_.items()
        }

    def usable(self, features: Features) -> Mask:
        """Samples that a modality covers; those without a valid slot are found on reading."""
        return np.asarray(np.stack([s.covered for s in features.values()]).any(axis=0))

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        from classify.estimators.training import Side, seeded, train

        self.check_inputs()
        reader = self.reader(features)
        check_classes(y[reader.filled], self.options.classes)
        self.constants_ = self.learn_constants(reader)
        held = None
        if validation is not None:
            apart = self.reader(validation.features)
            if len(apart.filled):
                held = Side(self, apart, self._target(validation.y, validation.parts))
        weight = np.ones(self.options.classes, dtype=np.float32)
        seen = y[reader.filled]
        weight[seen] = class_weights(seen, self.options)
        training = Side(self, reader, self._target(y, self._parts))
        with seeded(self.options.seed, self.settings.threads):
            self._trained(train(self, self.network(), weight, training, held))

    def _target(self, y: Index, parts: Parts) -> NDArray[np.int64]:
        """[samples], or with the parts [samples, 3], -1 where unknown."""
        if not self.uses_parts:
            return y.astype(np.int64)
        unknown = np.full(len(y), -1)
        return np.stack([y, *(parts.get(p, unknown) for p in PARTS)], axis=1).astype(np.int64)

    def _trained(self, trained: Trained) -> None:
        self.module_ = trained.module.eval()
        self.card_: dict[str, Any] = {
            "estimator": self.name,
            "parameters": sum(p.numel() for p in self.module_.parameters()),
            **trained.card,
        }

    def _predict(self, features: Features) -> Floats:
        out = np.full((len(next(iter(features.values()))), self.options.classes), np.nan)
        for index, said in self.outputs(features):
            out[index] = self.probabilities(said).cpu().numpy()
        return out

    def outputs(self, features: Features) -> Iterator[tuple[list[int], Any]]:
        """Sample numbers and the network's raw output for them, all samples that have a slot."""
        import torch

        from classify.estimators.training import device_of, moved, threads

        reader = self.reader(features)
        device = device_of(self.options.device, strict=False)
        module = self.module_.to(device)
        with threads(self.settings.threads), torch.inference_mode():
            for examples in self._in_portions(reader):
                for same in equal_shapes(examples):
                    batch = self.collate([examples[i] for i in same])
                    yield same, module(**moved(batch, device))

    def _in_portions(self, reader: Reader) -> Iterator[dict[int, Example]]:
        """Number → example, so many at once as fit."""
        portion: dict[int, Example] = {}
        size = 0
        for i in reader.filled.tolist():
            portion[i] = self.example(reader[i])
            size += sum(array.nbytes for array in portion[i].values())
            if len(portion) >= self.scored_at_once or size >= SCORED_BYTES:
                yield portion
                portion, size = {}, 0
        if portion:
            yield portion

    def started_keys(self) -> frozenset[str]:
        """Clips that trained the weights which training began with, as their cards say."""
        return self._started_facts("training_keys")

    def started_media(self) -> frozenset[str]:
        return self._started_facts("training_media")

    def _started_facts(self, name: str) -> frozenset[str]:
        started = getattr(self, "card_", {}).get("started_from") or []
        cards = [started] if isinstance(started, dict) else started
        return frozenset(each for card in cards for each in card.get(name, ()))

    def _save(self, folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        constants = {name: torch.from_numpy(array) for name, array in self.constants_.items()}
        state = {k: v.detach().cpu().contiguous() for k, v in self.module_.state_dict().items()}
        save_file({**state, **constants}, self._weights(folder))
        (folder / CARD_FILE).write_text(json.dumps(self.card_, indent=2))

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        from classify.estimators.training import seeded

        state = load_file(self._weights(folder))
        names = [name for name in state if name.startswith("scale.")]
        self.constants_ = {name: state.pop(name).numpy() for name in names}
        with seeded(0):
            self.module_ = self.network()
        self.module_.load_state_dict(state, strict=True)
        self.module_.eval()
        card = folder / CARD_FILE
        self.card_ = json.loads(card.read_text()) if card.is_file() else {"estimator": self.name}

    def _weights(self, folder: Path) -> Path:
        return folder / f"{self.name}.safetensors"


def equal_shapes(examples: Mapping[int, Example]) -> Iterator[list[int]]:
    """The numbers of examples whose arrays have the same shapes, together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, example in examples.items():
        groups.setdefault(tuple(a.shape for a in example.values()), []).append(i)
    for shapes in sorted(groups):
        yield groups[shapes]
