"""MARLIN: three published encoders, and a tiny one for tests."""

from __future__ import annotations

from extract.weights.facts import Weights

_RELEASE = "https://github.com/ControlNet/MARLIN/releases/download/model_v1"


def _published(size: str, numbers: int) -> Weights:
    model = f"marlin_vit_{size}_ytf"
    return Weights(
        name=f"marlin-{size}",
        file_name=f"marlin-{size}.safetensors",
        sha256=(),  # none was ever published
        size_bytes=4 * numbers,
        licence="CC BY-NC 4.0: no commercial use",
        source=f"{model} of MARLIN (Cai et al., CVPR 2023), github.com/ControlNet/MARLIN; its "
        ".encoder.pt, .full.pt, a Lightning .ckpt, or the safetensors on Hugging Face",
        needed_by=(f"marlin-{size}", f"marlin-{size}-tokens"),
        urls=(
            f"{_RELEASE}/{model}.encoder.pt",
            f"https://huggingface.co/ControlNet/{model}/resolve/main/model.safetensors",
        ),
        checkpoint=f"extract.nets.marlin:ENCODER_{size.upper()}",
    )


_SIZES = {"small": 22_482_048, "base": 87_431_424, "large": 305_466_368}

WEIGHTS = (
    *(_published(size, numbers) for size, numbers in _SIZES.items()),
    Weights(
        name="marlin-tiny",
        file_name="marlin-tiny.safetensors",
        sha256=(),
        size_bytes=650_000,
        licence="none needed",
        source="nobody publishes it: the same network, two narrow layers on 64 px, for tests",
        needed_by=tuple(f"marlin-{size}{kind}" for size in _SIZES for kind in ("", "-tokens")),
        checkpoint="extract.nets.marlin:ENCODER_TINY",
    ),
)
