"""The x-vector network of SpeechBrain and its speaker classifier, two files."""

from __future__ import annotations

from extract.weights.facts import Weights

_PAGE = "https://huggingface.co/speechbrain/spkrec-xvect-voxceleb"
_SOURCE = "speechbrain/spkrec-xvect-voxceleb on Hugging Face (SpeechBrain; x-vectors: Snyder 2018)"
_BOTH = ("xvector", "xvector-posterior")
_POSTERIOR = ("xvector-posterior",)


def _published(
    name: str, file: str, size_bytes: int, checkpoint: str, needed_by: tuple[str, ...]
) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),  # none was ever published
        size_bytes=size_bytes,
        licence="Apache-2.0",
        source=f"{file} of {_SOURCE}",
        needed_by=needed_by,
        urls=(f"{_PAGE}/resolve/main/{file}",),
        checkpoint=f"extract.nets.xvector:{checkpoint}",
    )


def _small(name: str, checkpoint: str, needed_by: tuple[str, ...]) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=50_000,
        licence="none needed",
        source="nobody publishes it: the same network with few channels, for tests",
        needed_by=needed_by,
        checkpoint=f"extract.nets.xvector:{checkpoint}",
    )


WEIGHTS = (
    _published("xvector", "embedding_model.ckpt", 16_900_000, "EMBEDDING", _BOTH),
    _published("xvector-classifier", "classifier.ckpt", 15_900_000, "CLASSIFIER", _POSTERIOR),
    _small("xvector-tiny", "SMALL_EMBEDDING", _BOTH),
    _small("xvector-tiny-classifier", "SMALL_CLASSIFIER", _POSTERIOR),
)
