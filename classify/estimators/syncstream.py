"""{2+1}-stream joint detection (Zhou and Lim, ICCV 2021); see docs/classifiers/syncstream.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from classify.estimators.base import EstimatorOptions, Floats, Validation, class_weights, register
from classify.estimators.network import PARTS, Example, NetworkEstimator, Reader
from classify.estimators.starting import Start, read_start
from classify.estimators.syncstream_settings import PAPER, SMALL, SyncStreamSettings
from classify.estimators.track_verdicts import either, of_clips
from classify.estimators.tracks import TrackReader, Tracks, filled_rows
from classify.features import Features, Index, Mask, Slots
from classify.held import View
from classify.windows import Windows

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch
    from classify.estimators.training import Trained
    from classify.nets.syncstream import SyncStreamNetwork, Verdicts


class Pictures(NamedTuple):
    """What the network sees of a sample's film.

    Attributes:
        sample: its number.
        seen: uint8 [frames, size, size, 3].
        mask: [frames]; False: no picture.
        faces: the same pictures as the column has them.
    """

    sample: int
    seen: NDArray[np.uint8]
    mask: Mask
    faces: NDArray[np.uint8]


@register("syncstream")
class SyncStream(NetworkEstimator):
    """Faces and waveform, or one of them; the tracks have verdicts of their own."""

    takes = ("audio", "video")
    presets: ClassVar = {"paper": PAPER, "small": SMALL}
    uses_parts = True
    scored_at_once = 16
    settings: SyncStreamSettings
    module_: SyncStreamNetwork
    _fresh = False
    _started: Start | None = None

    def network(self) -> nn.Module:
        from classify.nets.syncstream import SyncStreamNetwork

        network = SyncStreamNetwork(
            self.settings,
            self.samples,
            self.options.classes,
            video="video" in self.inputs,
            fixed=self.settings.fixed,
        )
        if self._fresh:
            self._start(network)
        return network

    @property
    def samples(self) -> int:
        """Audio samples that the network sees; 0 without audio."""
        audio = self.inputs.get("audio")
        return audio.rate_hz * audio.dim * self.settings.seconds if audio else 0

    @property
    def views(self) -> Mapping[str, View]:
        """Pictures at the network's size."""
        return {"video": View(self.settings.size_px)}

    def reader(self, features: Features) -> TrackReader:
        """The columns, after a look at what they are."""
        for modality, sequences in features.items():
            picture = len(sequences.shape) == 3 and sequences.shape[2] == 3
            good = picture if modality == "video" else len(sequences.shape) < 2
            if not good or not sequences.rate_hz:
                raise InputError(
                    f"syncstream cannot look at this {modality} column",
                    where=sequences.source.name,
                    found=f"{sequences.rate_hz} a second, each {list(sequences.shape)}",
                    accepted="pictures of faces; raw samples",
                    next_step="take --video faces --audio waveform",
                )
        return TrackReader(features, self.views)

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """None: pictures and samples are as they are."""
        return {}

    def example(self, tracks: Tracks) -> Example:
        """The first seconds: pictures, samples and masks of fixed lengths."""
        told, out = self.settings, Example()
        if "video" in tracks:
            pictures = first_seconds(tracks["video"], told.seconds)
            at = self._at(pictures.values.shape[1])
            out["video"] = pictures.values.reshape(-1, *pictures.values.shape[2:])[at]
            out["video_mask"] = pictures.valid.reshape(-1)[at]
        if "audio" in tracks:
            sound = first_seconds(tracks["audio"], told.seconds)
            out["audio"] = sound.values.reshape(-1)
            out["audio_mask"] = sound.valid.reshape(-1)
        return out

    def _at(self, rate_hz: int) -> Index:
        """Which of the column's pictures the network sees."""
        times = (np.arange(self.settings.frames) + 0.5) / self.settings.frames_hz
        return np.floor(times * rate_hz).astype(np.intp)

    # Training

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        self._check()
        windows = self.settings.training_windows
        cut, owner = self._cut(features, windows)
        self._parts = {part: labels[owner] for part, labels in self._parts.items()}
        if validation is not None:
            apart, of = self._cut(validation.features, windows)
            parts = {part: labels[of] for part, labels in validation.parts.items()}
            validation = Validation(apart, validation.y[of], parts)
        labels = self._target(y[owner], self._parts)
        self._part_weights = {
            part: part_weights(self._own(labels, i + 1), self.options)
            for i, part in enumerate(PARTS)
        }
        self._fresh = True
        try:
            super()._fit(cut, y[owner], [groups[i] for i in owner.tolist()], validation)
        finally:
            self._fresh = False

    def _own(self, target: Any, column: int) -> Any:
        """A track's own label, or what stands in for it: target [batch, 3] → [batch]."""
        own = target[:, column] + 0
        if self.settings.unknown_parts == "whole":
            unknown = own < 0
            own[unknown] = target[:, 0][unknown]
        return own

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Audio of other clips, if asked for; a clip is fake where any of its tracks is."""
        if not self.settings.shuffle_audio or not {"audio", "video"} <= set(batch):
            return batch, target
        import torch

        device = target.device
        order = torch.randperm(len(target), generator=generator, device=device)
        names = ("audio", "audio_mask")
        shuffled = {**batch, **{name: batch[name][order] for name in names}}
        audio, video = self._own(target, 1)[order], self._own(target, 2)
        known = (audio >= 0) & (video >= 0)
        whole = torch.where(known, torch.maximum(audio, video), -1)
        return shuffled, torch.stack([whole, audio, video], dim=1)

    def loss(self, out: Verdicts, target: Tensor, weight: Tensor) -> Tensor:
        """The three cross-entropies, weighted (equation 5); absent tracks learn nothing."""
        from classify.estimators.training import cross_entropy

        told, terms = self.settings, []
        if out.whole is not None:
            terms.append(told.weight_whole * cross_entropy(out.whole, target[:, 0], weight))
        heads = ((out.audio, told.weight_audio, 1), (out.video, told.weight_video, 0))
        for column, (logits, share, place) in enumerate(heads, start=1):
            if logits is None or (told.fixed and out.whole is not None):
                continue
            own = self._own(target, column).masked_fill(~out.present[:, place], -1)
            classes = weight.new_tensor(self._part_weights[PARTS[column - 1]])
            terms.append(share * cross_entropy(logits, own, classes))
        return cast("Tensor", sum(terms))

    def _check(self) -> None:
        told, both = self.settings, set(self.inputs) == {"audio", "video"}
        if told.fixed and (not told.streams or told.fusion == "independent" or not both):
            raise InputError(
                "fixed streams need streams to start from, and something beside them to train",
                where="syncstream:fixed",
                found=f"streams={told.streams}, fusion={told.fusion}, {', '.join(self.inputs)}",
                next_step="give streams=RUN of an independent run, with fusion sync or late",
            )

    def _start(self, network: SyncStreamNetwork) -> None:
        """Load what training starts from."""
        from classify.nets.checkpoint import put_into
        from classify.nets.r2plus1d import published

        told, self._started = self.settings, None
        if told.kinetics and network.video is not None:
            self._started = read_start(told.kinetics, ("r2plus1d_18-91a641e6", "r2plus1d_18"))
            put_into(network.video, published(self._started.tensors), self._started.path)
        if told.streams:
            self._started = read_start(told.streams, (self.name,))
            for name in ("video", "video_head", "audio", "audio_head"):
                part = getattr(network, name)
                if part is not None:
                    put_into(part, below(name, self._started), self._started.path)

    def _trained(self, trained: Trained) -> None:
        super()._trained(trained)
        if self._started is not None:
            self.card_["started_from"] = self._started.card

    # Scoring

    def probabilities(self, out: Verdicts) -> Tensor:
        """Class probabilities of the clip: see `verdict`."""
        import torch

        tracks = either(out)
        if out.whole is None or self.settings.verdict == "or":
            return tracks
        whole = torch.softmax(out.whole.double(), dim=1)
        if self.settings.verdict == "cascade" and whole.shape[1] == 2:
            fake = torch.minimum(whole[:, 1], tracks[:, 1])
            return torch.stack([1 - fake, fake], dim=1)
        return whole

    def _predict(self, features: Features) -> Floats:
        cut, owner = self._cut(features, self.settings.windows)
        p = super()._predict(cut)
        return of_clips(p, owner, _count(features), self.settings.aggregate)

    def track_probabilities(self, features: Features) -> dict[str, Floats]:
        """P(fake) of each track by its own stream, [samples]; NaN where a sample lacks it."""
        _, video, audio = self._said(features)
        own = {"audio": audio, "video": video}
        return {part: p for part, p in own.items() if part in self.dims_}

    def joined(self, features: Features) -> Floats:
        """The streams' last features added (t-SNE, Figure 5), [samples, 8 * width]; NaN without."""
        self._check_same(features)
        cut, _ = self._cut(features, "first")
        rows = np.full((_count(features), self.settings.channels[-1]), np.nan)
        for index, out in self.outputs(cut):
            rows[index] = out.joined.double().cpu().numpy()
        return rows

    def pictures(self, features: Features) -> Iterator[Pictures]:
        """The pictures that the network sees of each sample that has any."""
        cut, owner = self._cut({"video": features["video"]}, "first")
        reader = self.reader(cut)
        for i in reader.filled.tolist():
            example = self.example(reader[i])
            whole = first_seconds(cut["video"].native(i), self.settings.seconds).values
            faces = whole.reshape(-1, *whole.shape[2:])[self._at(whole.shape[1])]
            yield Pictures(int(owner[i]), example["video"], example["video_mask"], faces)

    def _said(self, features: Features) -> list[Floats]:
        """P(fake) of the whole, the picture and the sound, [samples] each; NaN where not there."""
        import torch

        self._check_same(features)
        cut, owner = self._cut(features, self.settings.windows)
        said = np.full((len(owner), 3), np.nan)
        for index, out in self.outputs(cut):
            heads = (out.whole, out.video, out.audio)
            for column, logits in enumerate(heads):
                if logits is not None:
                    p = torch.softmax(logits.double(), dim=1)[:, 1].cpu().numpy()
                    there = out.present.cpu().numpy()
                    seen = there[:, column - 1] if column else np.ones(len(p), dtype=bool)
                    said[index, column] = np.where(seen, p, np.nan)
            if out.whole is None:
                said[index, 0] = either(out)[:, 1].cpu().numpy()
        return [of_clips(said[:, [i]], owner, _count(features), "mean")[:, 0] for i in range(3)]

    def _cut(self, features: Features, which: str) -> tuple[Features, Index]:
        """The features in windows, and the sample of each window."""
        reader, told = self.reader(features), self.settings
        windows = Windows(told.seconds, min(told.hop_seconds, told.seconds))
        spans: list[tuple[int, int, int]] = []
        for i in range(len(reader)):
            rows = max(filled_rows(reader.validity(m, i)) for m in features)
            found = windows.spans(rows) if rows else [(0, 0)]
            spans += [(i, *span) for span in (found if which == "sliding" else found[:1])]
        table = np.array(spans, dtype=np.intp).reshape(-1, 3)
        owner = table[:, 0]
        cut = {
            m: s.cut(np.column_stack([s.spans[owner, 0], s.spans[owner, 1:2] + table[:, 1:]]))
            for m, s in features.items()
        }
        return cut, owner


def _count(features: Features) -> int:
    return len(next(iter(features.values())))


def first_seconds(slots: Slots, seconds: int) -> Slots:
    """Exactly so many rows; nothing valid in those that the sample lacks."""
    lacking = max(0, seconds - len(slots.values))
    values, valid = slots.values[:seconds], slots.valid[:seconds]
    rest = np.zeros((lacking, *values.shape[1:]), dtype=values.dtype)
    none = np.zeros((lacking, valid.shape[1]), dtype=bool)
    return Slots(np.concatenate([values, rest]), np.concatenate([valid, none]))


def part_weights(labels: Index, options: EstimatorOptions) -> list[float]:
    """Weight of each class of a track, from its known labels."""
    weights = np.ones(options.classes)
    known = labels[labels >= 0]
    if len(known):
        weights[known] = class_weights(known, options)
    return [float(w) for w in weights]


def below(name: str, start: Start) -> dict[str, Tensor]:
    """The tensors of one part of a network, without the part's name."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in start.tensors.items() if k.startswith(prefix)}
