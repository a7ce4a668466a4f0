"""The simple two-layer 3D CNN on plain faces (Gino, 5.4.1 and 5.4.2); docs/classifiers/cnn3d.md.

`avfd fit --target emotion --model cnn3d-frames --video faces` trains what stage 1 runs as
`emo-cnn3d:network=frames`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from avfd.nets.settings import FramesCnn3dSettings
from classify.estimators.base import register
from classify.estimators.cnn3d import check_pictures
from classify.estimators.network import NetworkEstimator, Reader
from classify.estimators.settings import Training
from classify.estimators.tracks import TrackReader
from classify.features import Features
from classify.held import View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from classify.nets.cnn3d import FrameLogits, PlainCnn3d


@dataclass(frozen=True)
class Cnn3dFramesSettings(FramesCnn3dSettings, Training):
    """What `cnn3d-frames` can be told; the network's part is in `FramesCnn3dSettings`."""

    learning_rate: float = 2e-4
    batch: int = 8


PAPER = Cnn3dFramesSettings()


@register("cnn3d-frames", also="emo-cnn3d-frames")
class Cnn3dFrames(NetworkEstimator):
    """Conv3D 2 → max pooling → Conv3D 32 → dense, on 10 s of faces."""

    takes = ("video",)
    needs = ("video",)
    default_windows = (10, 10)
    presets: ClassVar = {
        "paper": PAPER,
        "experiment-1": replace(PAPER, activation="softmax", label="frame"),
        "small": replace(PAPER, rows=24, columns=24, learning_rate=3e-3, epochs=20),
    }
    scored_at_once = 4
    settings: Cnn3dFramesSettings
    weights_name = "emo-cnn3d-frames"
    reads = "faces"
    module_: PlainCnn3d

    @property
    def facts(self) -> FramesCnn3dSettings:
        """The network's own settings."""
        own = {f.name: getattr(self.settings, f.name) for f in fields(FramesCnn3dSettings)}
        return FramesCnn3dSettings(**own | {"classes": self.options.classes})

    def network(self) -> nn.Module:
        from classify.nets.cnn3d import PlainCnn3d

        return PlainCnn3d(self.facts)

    @property
    def views(self) -> Mapping[str, View]:
        """Faces whose side is the longer one of a frame; the network squeezes them."""
        return {"video": View(max(self.settings.rows, self.settings.columns))}

    def reader(self, features: Features) -> TrackReader:
        """The column, after a look at what it is."""
        check_pictures(self.name, features["video"])
        return TrackReader(features, self.views)

    def learn_constants(self, reader: Reader) -> dict[str, NDArray[np.float32]]:
        """None: pictures are as they are."""
        return {}

    def loss(self, out: FrameLogits, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy of every window (5.4.2), or of every frame (5.4.1)."""
        from torch.nn.functional import cross_entropy

        if out.logits.ndim == 2:
            return cross_entropy(out.logits, target, weight=weight)
        labels = target.unsqueeze(1).expand(out.there.shape)
        return cross_entropy(out.logits[out.there], labels[out.there], weight=weight)

    def probabilities(self, out: FrameLogits) -> Tensor:
        """Of the window, or the mean over its frames."""
        p = out.logits.double().softmax(dim=-1)
        if p.ndim == 2:
            return p
        p = p * out.there.unsqueeze(2)
        return p.sum(dim=1) / out.there.sum(dim=1, keepdim=True).clamp_min(1)

    def exported(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors of the network and its settings, for stage 1."""
        state = self.module_.network.state_dict()
        return {n: t.detach().cpu().contiguous() for n, t in state.items()}, asdict(self.facts)
