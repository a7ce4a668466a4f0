"""emotion2vec and its plus models, and small presets for tests."""

from __future__ import annotations

from extract.weights.facts import Weights

_HUB = "https://huggingface.co/emotion2vec"
_LICENCE = (
    "unclear: the code is MIT, the weights point to the FunASR model licence; do not pass them on"
)
_MADE_BY = "emotion2vec (Ma et al. 2024), github.com/ddlBoJack/emotion2vec"
# The revision of the hub's repository that the digest was read at.
_PLUS_LARGE_REVISION = "6c303ba987b86b93193de93e34bb2b077a6bedc4"
_PLUS_LARGE_SHA256 = "be501a01f26fcdc7663a062dff86af839afbaef7c4de32f5e42d7e1ad2784da4"


def _published(
    name: str,
    checkpoint: str,
    page: str,
    file: str,
    size: int,
    *sha256: str,
    revision: str = "main",
) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=sha256,
        size_bytes=size,
        licence=_LICENCE,
        source=f"{_MADE_BY}; {page} on Hugging Face, iic/{page} on ModelScope",
        needed_by=(name,),
        urls=(f"{_HUB}/{page}/resolve/{revision}/{file}",),
        checkpoint=f"extract.nets.emotion2vec_files:{checkpoint}",
    )


def _small(name: str, checkpoint: str, *needed_by: str) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=500_000,
        licence="none needed",
        source="nobody publishes it: the same network with three narrow blocks, for tests",
        needed_by=needed_by,
        checkpoint=f"extract.nets.emotion2vec_files:{checkpoint}",
    )


_PLUS = ("emotion2vec-plus-seed", "emotion2vec-plus-base", "emotion2vec-plus-large")

# Only the size of plus-large is known; the others' are three times their tensors (weights and two
# moments of the optimiser), as its is, and may be less.
WEIGHTS = (
    _published(
        "emotion2vec", "BASE_FILE", "emotion2vec_base", "emotion2vec_base.pt", 1_118_054_544
    ),
    *(
        _published(name, "PLUS_BASE_FILE", name.replace("-", "_"), "model.pt", 1_118_137_596)
        for name in _PLUS[:2]
    ),
    _published(
        "emotion2vec-plus-large",
        "PLUS_LARGE_FILE",
        "emotion2vec_plus_large",
        "model.pt",
        1_945_790_254,
        _PLUS_LARGE_SHA256,
        revision=_PLUS_LARGE_REVISION,
    ),
    _small("emotion2vec-small", "SMALL_FILE", "emotion2vec"),
    _small("emotion2vec-plus-small", "PLUS_SMALL_FILE", *_PLUS),
)
