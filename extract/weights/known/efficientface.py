"""EfficientFace; its authors share the files through a drive that no program may fetch from."""

from __future__ import annotations

from extract.weights.facts import Weights

_SOURCE = (
    "github.com/zengqunzhao/EfficientFace, linked there: "
    "EfficientFace_Trained_on_AffectNet7.pth.tar and others"
)


def _weights(suffix: str, size_bytes: int, source: str = _SOURCE) -> Weights:
    reader = f"READER{suffix.upper().replace('-', '_')}"
    return Weights(
        name=f"efficientface{suffix}",
        file_name=f"efficientface{suffix}.safetensors",
        sha256=(),
        size_bytes=size_bytes,
        licence="code MIT; of the weights nothing is said",
        source=source,
        needed_by=("efficientface",),
        checkpoint=f"extract.nets.efficientface_files:{reader}",
    )


WEIGHTS = (
    _weights("", 5_200_000),
    _weights("-7", 5_230_000),
    _weights("-8", 5_230_000),
    _weights("-small", 100_000, "nobody publishes it: a small network for tests"),
)
