"""Settings of the networks that avfd trains itself: preset → what it has without a card."""

from __future__ import annotations

from avfd.nets.settings import (
    EmoCnn3dSettings,
    EmoLstmSettings,
    FramesCnn3dSettings,
    ResNet18Settings,
)

LSTM = {
    "published": EmoLstmSettings(),
    "small": EmoLstmSettings(units=16, second_units=16, rate_hz=20),
}
CNN3D = {
    "published": EmoCnn3dSettings(),
    "small": EmoCnn3dSettings(long_px=40, short_px=30),
}
FRAMES = {
    "published": FramesCnn3dSettings(),
    "small": FramesCnn3dSettings(rows=24, columns=24),
}
RESNET18 = {
    "published": ResNet18Settings(),
    "small": ResNet18Settings(width=8),
}
