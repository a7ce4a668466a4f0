"""Estimators whose network looks at one second at a time.

Where no windows are asked for, a sample is a window of one second, as in the papers: an epoch sees
every second, and a clip's score is the mean of its seconds'. Whole clips (in a decision fusion with
models that want them, say) do as well: one random second of each then stands for it in training
(`train_seconds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Floats, Validation
from classify.estimators.network import Example, Input, NetworkEstimator
from classify.estimators.settings import Training
from classify.estimators.starting import Start
from classify.estimators.tracks import TrackReader, Tracks
from classify.features import Features, Index
from classify.held import View

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch
    from classify.estimators.training import Trained
    from classify.nets.seconds import SecondsNetwork


@dataclass(frozen=True)
class SecondsSettings(Training):
    """What all of them can be told besides.

    Attributes:
        size_px: side of the face pictures that the network sees; others are resized.
        train_seconds: random seconds of a sample that a training step looks at, where a sample
            has more than one; 0: all.
        at_once: seconds that are scored together; a matter of memory.
    """

    size_px: int = 224
    train_seconds: int = 1
    at_once: int = 8


class Looked(NamedTuple):
    """What the network made of some seconds of a sample.

    Attributes:
        sample: its number.
        seconds: numbers of the seconds, from 0.
        out: the network's output for them, its fields as float arrays [seconds, …].
    """

    sample: int
    seconds: list[int]
    out: Any


class SecondsEstimator(NetworkEstimator):
    """Gives the network of a subclass (`block`) each second of each clip."""

    default_windows = (1, 1)
    settings: SecondsSettings
    module_: SecondsNetwork
    #: Whether a second counts only if every modality is there, else if any is.
    both: ClassVar[bool] = False
    _fresh = False
    _started: Sequence[Start] = ()

    def block(self) -> nn.Module:
        """The network for one second, freshly initialised."""
        raise NotImplementedError

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of what the block is given: modalities and masks."""
        return tuple(name for m in self.inputs for name in (m, f"{m}_mask"))

    @property
    def least_valid(self) -> float:
        """Share of a second's slots that must be valid for a modality to be there; 0: one slot."""
        return 0.0

    @property
    def apart(self) -> bool:
        """Whether every clip is scored by itself, because batch mates would matter."""
        return False

    def check(self, inputs: Mapping[str, Input]) -> None:
        """Refuse columns that the network cannot work on, given as they are."""
        raise NotImplementedError

    def reader(self, features: Features) -> TrackReader:
        """The columns, after a look at what they are."""
        self.check({m: Input(s.rate_hz, s.shape) for m, s in features.items()})
        return TrackReader(features, self.views)

    def start(self, block: nn.Module) -> list[Start]:
        """Load what training starts from, where the settings name it, and say what it was."""
        return []

    @property
    def views(self) -> dict[str, View]:
        """The pictures in the wanted size."""
        return {"video": View(self.settings.size_px)}

    def network(self) -> nn.Module:
        """The block for clips."""
        from classify.nets.seconds import SecondsNetwork

        block = self.block()
        if self._fresh:
            self._started = self.start(block)
        return SecondsNetwork(
            block,
            self.tracks,
            both=self.both,
            least_valid=self.least_valid,
            at_once=self.settings.at_once,
            apart=self.apart,
        )

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        self._fresh = True
        try:
            super()._fit(features, y, groups, validation)
        finally:
            self._fresh = False

    def _trained(self, trained: Trained) -> None:
        super()._trained(trained)
        if self._started:
            self.card_["started_from"] = [start.card for start in self._started]

    def example(self, tracks: Tracks) -> Example:
        """Values [seconds, slots, *shape] and mask [seconds, slots] of each modality."""
        from classify.estimators.scaling import standardised

        out: Example = {}
        for modality, slots in tracks.items():
            out[modality] = standardised(slots.values, slots.valid, self.constants_, modality)
            out[f"{modality}_mask"] = slots.valid
        return out

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Random seconds of the clips instead of the whole clips."""
        seconds, owner = self.drawn(batch, generator)
        return seconds, target[owner]

    def drawn(self, batch: Batch, generator: Generator) -> tuple[Batch, Tensor]:
        """Random seconds as clips of one second, and the clip of each."""
        from classify.nets.seconds import counted_seconds, drawn_seconds

        counted = counted_seconds(batch, both=self.both, least_valid=self.least_valid)
        return drawn_seconds(batch, counted, self.settings.train_seconds, generator)

    def loss(self, out: Any, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy of every second against its clip's class."""
        from classify.nets.seconds import seconds_loss

        return seconds_loss(out, target, weight)

    def probabilities(self, out: Any) -> Tensor:
        """The mean over the clip's seconds."""
        from classify.nets.seconds import mean_probabilities

        return mean_probabilities(out)

    def second_probabilities(self, features: Features) -> list[Floats]:
        """Class probabilities of every second, [seconds, classes] a sample; NaN where none."""
        self._check_same(features)
        spans = np.stack([s.spans for s in features.values()])
        rows = (spans[:, :, 2] - spans[:, :, 1]).max(axis=0)
        found = [np.full((n, self.options.classes), np.nan) for n in rows.tolist()]
        for index, said in self.outputs(features):
            p = said.logits.double().softmax(dim=2).cpu().numpy()
            counted = said.counted.cpu().numpy()
            for at, sample in enumerate(index):
                places = np.flatnonzero(counted[at])
                found[sample][places] = p[at, places]
        return found

    def looks(self, features: Features) -> Iterator[Looked]:
        """What the network makes of every second that counts, for figures."""
        import torch

        from classify.estimators.training import device_of, moved, threads

        self._check_same(features)
        reader = self.reader(features)
        device = device_of(self.options.device, strict=False)
        module = self.module_.to(device)
        with threads(self.settings.threads), torch.inference_mode():
            for sample in reader.filled.tolist():
                batch = moved(self.collate([self.example(reader[sample])]), device)
                for places, out in module.looks(batch):
                    arrays = [field.double().cpu().numpy() for field in out]
                    yield Looked(sample, places[:, 1].tolist(), type(out)(*arrays))

    def check_pictures(self, facts: Input) -> None:
        """Refuse a video column that has no pictures a second."""
        if facts.rate_hz > 0 and len(facts.shape) == 3 and facts.shape[2] == 3:
            return
        raise InputError(
            f"{self.name} looks at pictures of faces",
            where="video",
            found=f"{facts.shape}, {facts.rate_hz} a second",
            accepted="a column of pictures (height, width, 3), such as faces",
            next_step="avfd extract --backbone faces:rate_hz=30, then --video faces",
        )
