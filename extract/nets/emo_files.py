"""Files of the networks that avfd trains itself; without a card they have the paper's sizes."""

from __future__ import annotations

from functools import partial

from avfd.nets.emo_cnn3d import EmoCnn3d
from avfd.nets.emo_lstm import EmoLstm
from avfd.nets.frames_cnn3d import FramesCnn3d
from avfd.nets.resnet18 import AudioResNet18
from avfd.nets.settings import ResNet18Settings
from extract.nets import emo_settings as sizes
from extract.nets.checkpoints import StateDict


def resnet18_features(settings: ResNet18Settings) -> AudioResNet18:
    """The network without `fc`, its last layer, which features do not need (FACTS.md, 0.3)."""
    network = AudioResNet18(settings)
    del network.fc
    return network


LSTM = StateDict(partial(EmoLstm, sizes.LSTM["published"]))
LSTM_SMALL = StateDict(partial(EmoLstm, sizes.LSTM["small"]))
CNN3D = StateDict(partial(EmoCnn3d, sizes.CNN3D["published"]))
CNN3D_SMALL = StateDict(partial(EmoCnn3d, sizes.CNN3D["small"]))
FRAMES = StateDict(partial(FramesCnn3d, sizes.FRAMES["published"]))
FRAMES_SMALL = StateDict(partial(FramesCnn3d, sizes.FRAMES["small"]))
RESNET18 = StateDict(partial(resnet18_features, sizes.RESNET18["published"]), dropped=("fc.",))
RESNET18_SMALL = StateDict(partial(resnet18_features, sizes.RESNET18["small"]), dropped=("fc.",))
