"""AudioResNet18, the emotion network of 2D3MF."""

from __future__ import annotations

from extract.weights.facts import Weights

WEIGHTS = (
    Weights(
        name="resnet18",
        file_name="resnet18.safetensors",
        sha256=(),
        size_bytes=44_800_000,
        licence="nothing is said of the weights; 2D3MF is CC BY-NC 4.0, RAVDESS CC BY-NC-SA 4.0",
        source=(
            "github.com/aiden200/2D3MF, model/audio_resnet or its drive: "
            "RAVDESS_bs_32_lr_0.001_ep_250_….pth; or trained here: "
            "`avfd fit --target emotion --model resnet18`, and name the run with --weights"
        ),
        needed_by=("resnet18",),
        checkpoint="extract.nets.emo_files:RESNET18",
    ),
    Weights(
        name="resnet18-small",
        file_name="resnet18-small.safetensors",
        sha256=(),
        size_bytes=750_000,
        licence="none needed",
        source="nobody publishes it: the same network with narrow layers, for tests",
        needed_by=("resnet18",),
        checkpoint="extract.nets.emo_files:RESNET18_SMALL",
    ),
)
