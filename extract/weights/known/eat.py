"""EAT, the Efficient Audio Transformer: four published files, and a small preset for tests."""

from __future__ import annotations

from extract.weights.facts import Weights

_HUB = "https://huggingface.co/worstchan"
_MADE_BY = "EAT (Chen et al. 2024), github.com/cwx-worst-one/EAT"
# On Hugging Face's pages; no digest of the others, nor of the fairseq files, was ever published.
_BASE_SHA256 = "8623072d09aac4f3ad1168b4fed3a24e4f68fe1da25b9fe733375efb237e5f48"


def _published(name: str, checkpoint: str, page: str, size: int, *sha256: str) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=sha256,
        size_bytes=size,
        licence="MIT",
        source=f"{_MADE_BY}; {page} on Hugging Face, or the fairseq file that the README links",
        needed_by=(name,),
        urls=(f"{_HUB}/{page}/resolve/main/model.safetensors",),
        checkpoint=f"extract.nets.eat_files:{checkpoint}",
    )


def _small(name: str, checkpoint: str, *needed_by: str) -> Weights:
    return Weights(
        name=name,
        file_name=f"{name}.safetensors",
        sha256=(),
        size_bytes=1_000_000,
        licence="none needed",
        source="nobody publishes it: the same network with two narrow layers, for tests",
        needed_by=needed_by,
        checkpoint=f"extract.nets.eat_files:{checkpoint}",
    )


WEIGHTS = (
    _published("eat", "PRETRAINED_BASE", "EAT-base_epoch30_pretrain", 359_890_944, _BASE_SHA256),
    _published("eat-large", "PRETRAINED_LARGE", "EAT-large_epoch20_pretrain", 1_235_468_288),
    _published("eat-finetuned", "FINETUNED_BASE", "EAT-base_epoch30_finetune_AS2M", 361_518_140),
    _published(
        "eat-large-finetuned", "FINETUNED_LARGE", "EAT-large_epoch20_finetune_AS2M", 1_237_637_180
    ),
    _small("eat-small", "PRETRAINED_SMALL", "eat", "eat-large"),
    _small("eat-finetuned-small", "FINETUNED_SMALL", "eat-finetuned", "eat-large-finetuned"),
)
