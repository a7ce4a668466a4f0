"""The thesis' emotion networks: nobody publishes them, `avfd fit` trains them."""

from __future__ import annotations

from extract.weights.facts import Weights

_LICENCE = "by the data that it is trained on"


def _trained(
    name: str, size_bytes: int, needed_by: str, reader: str, trained_as: str | None = None
) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=size_bytes,
        licence=_LICENCE,
        source="trained here, by `avfd fit --target emotion`",
        needed_by=(needed_by,),
        checkpoint=f"extract.nets.emo_files:{reader}",
        trained_here=True,
        trained_as=trained_as,
    )


def _own(name: str, size_bytes: int, reader: str) -> Weights:
    """Of the two-layer network, for which `avfd fit` has no model."""
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=size_bytes,
        licence=_LICENCE,
        source="nobody publishes it; tensors of avfd.nets.frames_cnn3d that you trained yourself",
        needed_by=("emo-cnn3d",),
        checkpoint=f"extract.nets.emo_files:{reader}",
    )


WEIGHTS = (
    _trained("emo-lstm", 265_000, "emo-lstm", "LSTM"),
    _trained("emo-lstm-small", 50_000, "emo-lstm", "LSTM_SMALL"),
    _trained("emo-cnn3d", 745_000, "emo-cnn3d", "CNN3D", "cnn3d"),
    _trained("emo-cnn3d-small", 90_000, "emo-cnn3d", "CNN3D_SMALL", "cnn3d"),
    _own("emo-cnn3d-frames", 1_770_000, "FRAMES"),
    _own("emo-cnn3d-frames-small", 30_000, "FRAMES_SMALL"),
)
