"""The fine-grained detector on cached faces and samples (Astrid, Ghorbel and Aouada 2024).

See docs/classifiers/finegrained.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from avfd.errors import InputError
from classify.estimators.base import Validation, register
from classify.estimators.by_second import Looked, SecondsEstimator, SecondsSettings
from classify.estimators.network import Example, Input
from classify.estimators.settings import Monitor
from classify.estimators.starting import Start, read_start
from classify.estimators.tracks import TrackReader, Tracks
from classify.features import Features, Index, Mask, Slots
from classify.nets.finegrained_options import FineGrainedOptions

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch
    from classify.nets.finegrained import FineGrained as Network

SAMPLE_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FAKE = 1


@dataclass(frozen=True)
class FineGrainedSettings(SecondsSettings, FineGrainedOptions):
    """What `finegrained` can be told; the network's part is in `FineGrainedOptions`.

    Attributes:
        pseudo_fakes: probability that a training sample becomes a pseudo-fake; only where the
            classes are real and fake.
        r_min, r_max: shortest and longest stretch of a pseudo-fake, as a share of its second;
            r_min=0 is the paper's "about 0", two frames or samples.
        least_valid: a second counts if this share of its frames and of its samples is there.
        weights: what training starts from: the authors' file, or a run of this model.
    """

    epochs: int = 100
    patience: int = 0
    monitor: Monitor = "train-loss"
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    pseudo_fakes: float = 0.5
    r_min: float = 0.3
    r_max: float = 1.0
    least_valid: float = 0.5
    weights: str | None = None


PAPER = FineGrainedSettings()
CODE = FineGrainedSettings(learning_rate=1e-4, batch_norm="batch")
SMALL = FineGrainedSettings(
    epochs=30, patience=8, monitor="loss", learning_rate=3e-3, size_px=32, channels=8
)


class ClipTracks(dict[str, Slots]):
    """The tracks of a sample, and the clip that it was cut from.

    Attributes:
        clip: its number in the column.
    """

    def __init__(self, tracks: Tracks, clip: int) -> None:
        super().__init__(tracks)
        self.clip = clip


class BothReader(TrackReader):
    """Samples that have a second in which every modality is there."""

    def __init__(self, features: Features, estimator: FineGrained) -> None:
        super().__init__(features, estimator.views)
        self._modalities, self._least = tuple(features), estimator.least_valid
        self._clips = clips_of(features).tolist()

    def __getitem__(self, index: int) -> ClipTracks:
        return ClipTracks(super().__getitem__(index), self._clips[index])

    @cached_property
    def filled(self) -> Index:
        """Samples in which a second counts."""
        return np.flatnonzero([self._counts(i) for i in range(len(self))])

    def _counts(self, index: int) -> bool:
        there = [_there(self.validity(m, index), self._least) for m in self._modalities]
        rows = min(len(one) for one in there)
        return bool(np.logical_and.reduce([one[:rows] for one in there]).any())


def clips_of(features: Features) -> Index:
    """The clip that each sample was cut from, as its number in the column, [samples]."""
    return np.asarray(next(iter(features.values())).spans[:, 0])


def owners_of(clips: Index, groups: Sequence[str]) -> Index:
    """Number of the group of each clip, by the clip's number; the samples of a clip are one.

    Args:
        clips: clip of each sample, [samples].
        groups: group of each sample, [samples]; that of a clip is its first sample's.

    >>> owners_of(np.array([2, 2, 0, 5]), ["b", "c", "a", "b"]).tolist()
    [0, -1, 1, -1, -1, 1]
    """
    numbers, first = np.unique(clips, return_index=True)
    out = np.full(numbers[-1] + 1, -1, dtype=np.intp)
    out[numbers] = np.unique(np.asarray(groups)[first], return_inverse=True)[1]
    return out


def _there(mask: Mask, least: float) -> Mask:
    """Rows of a mask [rows, rate] of which at least this share is valid."""
    return np.asarray(mask.any(axis=1) & (mask.mean(axis=1) >= least))


@register("finegrained")
class FineGrained(SecondsEstimator):
    """Needs faces and samples of the same seconds; others have no score."""

    takes = ("audio", "video")
    needs = ("audio", "video")
    both = True
    presets: ClassVar = {"paper": PAPER, "code": CODE, "small": SMALL}
    settings: FineGrainedSettings
    #: Clip number → group number, of the training side.
    _owners: Index

    def usable(self, features: Features) -> Mask:
        """Samples that have both modalities."""
        return np.asarray(np.stack([s.covered for s in features.values()]).all(axis=0))

    def reader(self, features: Features) -> TrackReader:
        """Samples with a second in which both modalities are there."""
        self.check({m: Input(s.rate_hz, s.shape) for m, s in features.items()})
        return BothReader(features, self)

    @property
    def tracks(self) -> tuple[str, ...]:
        return ("video", "audio")

    @property
    def least_valid(self) -> float:
        return self.settings.least_valid

    @property
    def apart(self) -> bool:
        """Where the batch norm takes its statistics from what it sees, that is one clip."""
        return self.settings.batch_norm == "batch"

    def check(self, inputs: Mapping[str, Input]) -> None:
        """Refuse columns that hold something else than faces and samples."""
        from classify.nets.finegrained_branches import fewest_samples, visual_steps

        self.check_pictures(inputs["video"])
        self._check_stretches()
        samples, frames = inputs["audio"].rate_hz * inputs["audio"].dim, inputs["video"].rate_hz
        if len(inputs["audio"].shape) > 1 or samples not in SAMPLE_RATES_HZ:
            raise InputError(
                "finegrained hears the samples themselves",
                where="audio",
                found=f"{inputs['audio'].shape}, {inputs['audio'].rate_hz} a second",
                accepted=f"a waveform of {', '.join(map(str, SAMPLE_RATES_HZ))} Hz",
                next_step="avfd extract --backbone waveform:sample_rate_hz=48000",
            )
        least = fewest_samples(visual_steps(frames, self.settings.blocks))
        if samples < least:
            raise InputError(
                "too few samples for so many frames",
                where="audio",
                found=f"{samples} samples and {frames} frames a second",
                accepted=f"{least} samples or more",
            )

    def _check_stretches(self) -> None:
        r_min, r_max = self.settings.r_min, self.settings.r_max
        if not 0 <= r_min <= r_max <= 1:
            raise InputError(
                "a pseudo-fake's stretch is a share of its second",
                where="finegrained:r_min, r_max",
                found=f"{r_min}, {r_max}",
                accepted="0 <= r_min <= r_max <= 1",
            )

    def block(self) -> nn.Module:
        from classify.nets.finegrained import FineGrained as Network

        told, frames = self.settings, self.inputs["video"].rate_hz
        audio = self.inputs["audio"]
        return Network(frames, told.size_px, audio.rate_hz * audio.dim, told, self.options.classes)

    def start(self, block: nn.Module) -> list[Start]:
        from classify.nets.finegrained_weights import load_detector

        if not self.settings.weights:
            return []
        start = read_start(self.settings.weights, (self.name,))
        load_detector(cast("Network", block), start.tensors, start.path)
        return [start]

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        self._owners = owners_of(clips_of(features), groups)
        super()._fit(features, y, groups, validation)

    def example(self, tracks: Any) -> Example:
        """As others have it, and `clip` [seconds]: the number of the clip, for pseudo-fakes."""
        out = super().example(tracks)
        return {**out, "clip": np.full(len(out["video"]), tracks.clip)}

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Random seconds, some of them made pseudo-fakes."""
        seconds, sample = self.drawn(batch, generator)
        target = target[sample]
        if not self.settings.pseudo_fakes or self.options.classes != 2:
            return seconds, target
        return self._with_pseudo_fakes(seconds, target, self._owner(seconds["clip"]), generator)

    def _owner(self, clips: Tensor) -> Tensor:
        """Number of the group of each second, [seconds]; `clips` [seconds, 1]."""
        import torch

        return torch.as_tensor(self._owners, device=clips.device)[clips[:, 0]]

    def _with_pseudo_fakes(
        self, seconds: Batch, target: Tensor, owner: Tensor, generator: Generator
    ) -> tuple[Batch, Tensor]:
        from classify.nets.finegrained import minmax
        from classify.nets.pseudo_fakes import Stretches, with_pseudo_fakes

        told = self.settings
        audio = seconds["audio"].flatten(1)
        if told.audio_scale == "minmax":
            audio = minmax(audio)  # before the cut, so that its level does not give it away
        tracks = {"audio": audio, "video": seconds["video"][:, 0]}
        how = Stretches(told.pseudo_fakes, told.r_min, told.r_max)
        made, changed = with_pseudo_fakes(tracks, owner, how, generator)
        pieces = {
            "audio": made["audio"].view_as(seconds["audio"]),
            "video": made["video"].unsqueeze(1),
        }
        return {**seconds, **pieces}, target.masked_fill(changed, FAKE)

    def maps(self, features: Features) -> Iterator[Looked]:
        """M, A and M̂ of every second that counts, for figures.

        `out` has `distance`, `attention` and `weighted`, [seconds, height, width] each.
        """
        return self.looks(features)
