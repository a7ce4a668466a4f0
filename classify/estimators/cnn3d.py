"""The thesis' 3D CNN straight on faces, real against fake (Gino, 5.5.2); docs/classifiers/cnn3d.md.

With `--target emotion` the same network learns emotions, and stage 1 runs it as `emo-cnn3d`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from avfd.nets.settings import Cnn3dShape, EmoCnn3dSettings, MapSettings
from classify.estimators.base import Validation, register
from classify.estimators.network import Example, NetworkEstimator, Reader
from classify.estimators.settings import Training
from classify.estimators.starting import Start, read_start
from classify.estimators.tracks import TrackReader, Tracks
from classify.features import Features, Index, Mask, Sequences
from classify.held import View

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from classify.estimators.network import Batch
    from classify.estimators.training import Trained
    from classify.nets.cnn3d import StackLogits

FRAMES = 7  # of a stack


@dataclass(frozen=True)
class Cnn3dSettings(Training, Cnn3dShape):
    """What `cnn3d` can be told; the network's part is in `avfd.nets.settings.Cnn3dShape`.

    Attributes:
        step_frames: from one stack of seven faces to the next; 7 is the thesis' "every 7 frames".
        train_stacks: random stacks of a clip that a training step looks at; 0: all.
        start: run or weight file to start from, its output layer left out: the thesis' second
            training, after that on emotions.
    """

    learning_rate: float = 2e-4
    step_frames: int = 7
    train_stacks: int = 8
    start: str | None = None


PAPER = Cnn3dSettings()
SMALL = Cnn3dSettings(
    long_px=40, short_px=30, train_stacks=4, learning_rate=3e-3, epochs=20, batch=16
)


@dataclass(frozen=True)
class GrayView(View):
    """Pictures in gray at the size of the maps, 8 bits.

    Attributes:
        maps: size, orientation and interpolation.
    """

    maps: MapSettings = field(default_factory=MapSettings)

    def shape(self, native: tuple[int, ...]) -> tuple[int, ...]:
        """[rows, columns] of a map."""
        return self.maps.rows, self.maps.columns

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """uint8 [rows, rate, *map] of RGB pictures [rows, rate, height, width, 3]."""
        import torch

        from avfd.nets.hardwired import resized_gray

        if not values.size:
            return np.zeros((*values.shape[:2], *self.shape(())), dtype=np.uint8)
        gray = resized_gray(torch.from_numpy(np.ascontiguousarray(values)), self.maps)
        return np.asarray((gray * 255).round().to(torch.uint8).numpy())


@register("cnn3d", also="emo-cnn3d")
class Cnn3d(NetworkEstimator):
    """Every stack of seven faces has a verdict; a clip's is their mean."""

    takes = ("video",)
    needs = ("video",)
    presets: ClassVar = {"paper": PAPER, "small": SMALL}
    scored_at_once = 16
    settings: Cnn3dSettings
    weights_name = "emo-cnn3d"
    reads = "faces"
    _fresh = False
    _started: Start | None = None

    @property
    def facts(self) -> EmoCnn3dSettings:
        """The network's own settings, classes included."""
        own = {f.name: getattr(self.settings, f.name) for f in fields(Cnn3dShape)}
        return EmoCnn3dSettings(**own, classes=self.options.classes)

    def network(self) -> nn.Module:
        from classify.nets.checkpoint import put_into
        from classify.nets.cnn3d import StackedCnn3d

        network = StackedCnn3d(self.facts, self.options.classes)
        self._started = None
        if self._fresh and self.settings.start:
            self._started = read_start(self.settings.start, (self.weights_name, self.name))
            own = {n: t for n, t in network.state_dict().items() if n.startswith("out.")}
            others = self._started.tensors.items()
            kept = {n: t for n, t in others if not n.startswith("out.")}
            put_into(network, {**kept, **own}, self._started.path)
        return network

    @property
    def views(self) -> Mapping[str, View]:
        """Gray pictures at the size of the maps."""
        known = {f.name: getattr(self.settings, f.name) for f in fields(MapSettings)}
        return {"video": GrayView(maps=MapSettings(**known))}

    def reader(self, features: Features) -> TrackReader:
        """The column, after a look at what it is."""
        check_pictures(self.name, features["video"])
        return TrackReader(features, self.views)

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """None: the maps have fixed scales."""
        return {}

    def example(self, tracks: Tracks) -> Example:
        """Stacks [stacks, 7, rows, columns] of consecutive faces, lost ones left out, and mask."""
        slots = tracks["video"]
        gray = slots.values.reshape(-1, *slots.values.shape[2:])
        at = stacks_of(slots.valid.reshape(-1), self.settings.step_frames)
        return {"video": gray[at], "video_mask": np.ones(len(at), dtype=bool)}

    def _fit(
        self, features: Features, y: Index, groups: list[str], validation: Validation | None
    ) -> None:
        self._fresh = True
        try:
            super()._fit(features, y, groups, validation)
        finally:
            self._fresh = False

    def augment(self, batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
        """Some random stacks of each clip."""
        from classify.nets.cnn3d import drawn_stacks

        if not self.settings.train_stacks:
            return batch, target
        count = self.settings.train_stacks
        video, mask = drawn_stacks(batch["video"], batch["video_mask"], count, generator)
        return {"video": video, "video_mask": mask}, target

    def loss(self, out: StackLogits, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy of every stack against its clip's class."""
        from torch.nn.functional import cross_entropy

        labels = target.unsqueeze(1).expand(out.there.shape)
        return cross_entropy(out.logits[out.there], labels[out.there], weight=weight)

    def probabilities(self, out: StackLogits) -> Tensor:
        """Mean over the clip's stacks."""
        p = out.logits.double().softmax(dim=2) * out.there.unsqueeze(2)
        return p.sum(dim=1) / out.there.sum(dim=1, keepdim=True).clamp_min(1)

    def _trained(self, trained: Trained) -> None:
        super()._trained(trained)
        if self._started is not None:
            self.card_["started_from"] = self._started.card

    def exported(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors of the network and its settings, for stage 1's `emo-cnn3d`."""
        state = self.module_.state_dict()
        return {n: t.detach().cpu().contiguous() for n, t in state.items()}, asdict(self.facts)


def check_pictures(name: str, faces: Sequences) -> None:
    """Refuse a column that has no pictures a second."""
    if not faces.rate_hz or len(faces.shape) != 3 or faces.source.dtype != np.uint8:
        raise InputError(
            f"{name} looks at pictures of faces",
            where=faces.source.name,
            found=f"{faces.rate_hz} a second, each {list(faces.shape)}",
            accepted="a column of pictures (height, width, 3)",
            next_step="avfd extract --backbone faces:rate_hz=30, then --video faces",
        )


def stacks_of(valid: Mask, step: int) -> Index:
    """Frames of each stack of seven, [stacks, 7], none across a lost face.

    Where no seven follow each other, the longest stretch is one stack, its ends repeated.

    >>> stacks_of(np.ones(15, bool), 7)[:, 0].tolist()
    [0, 7]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(int)))
    stretches = edges.reshape(-1, 2).tolist()
    starts = [s for first, stop in stretches for s in range(first, stop - FRAMES + 1, step)]
    if starts:
        return np.array(starts, dtype=np.intp)[:, None] + np.arange(FRAMES)
    if not stretches:
        return np.zeros((0, FRAMES), dtype=np.intp)
    first, stop = max(stretches, key=lambda pair: pair[1] - pair[0])
    before = (FRAMES - (stop - first)) // 2
    around = np.arange(first - before, first - before + FRAMES)
    return np.clip(around, first, stop - 1)[None].astype(np.intp)
