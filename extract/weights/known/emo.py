"""The thesis' emotion networks: nobody publishes them, `avfd fit` trains them."""

from __future__ import annotations

from extract.weights.facts import Weights

_LICENCE = "by the data that it is trained on"
_SMALL = "nobody publishes it: the same network, narrow, for tests"


def _trained(
    name: str, size_bytes: int, needed_by: str, reader: str, trained_as: str | None = None
) -> Weights:
    small = name.endswith("-small")
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=size_bytes,
        licence=_LICENCE,
        source=_SMALL if small else "trained here, by `avfd fit --target emotion`",
        needed_by=(needed_by,),
        checkpoint=f"extract.nets.emo_files:{reader}",
        trained_here=True,
        trained_as=trained_as,
    )


WEIGHTS = (
    _trained("emo-lstm", 265_000, "emo-lstm", "LSTM"),
    _trained("emo-lstm-small", 50_000, "emo-lstm", "LSTM_SMALL"),
    _trained("emo-cnn3d", 745_000, "emo-cnn3d", "CNN3D", "cnn3d"),
    _trained("emo-cnn3d-small", 90_000, "emo-cnn3d", "CNN3D_SMALL", "cnn3d"),
    _trained("emo-cnn3d-frames", 1_770_000, "emo-cnn3d", "FRAMES", "cnn3d-frames"),
    _trained("emo-cnn3d-frames-small", 30_000, "emo-cnn3d", "FRAMES_SMALL", "cnn3d-frames"),
)
