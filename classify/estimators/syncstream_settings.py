"""What `syncstream` can be told. Importing this file imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from classify.estimators.settings import Training
from classify.nets.syncstream_options import SyncShape


@dataclass(frozen=True)
class SyncStreamSettings(Training, SyncShape):
    """What `syncstream` can be told; the network's part is in `SyncShape`.

    Attributes:
        weight_whole, weight_video, weight_audio: of the three losses; a third each.
        unknown_parts: what a track without a label of its own learns from: the "whole" clip's
            label, or nothing ("skip").
        verdict: the score of a clip. "whole": the joint stream's; "cascade": that, and where it
            says fake no more than the larger of the tracks'; "or": the larger of the tracks', as
            always without a joint stream.
        windows: what of a longer clip is scored: the "first" seconds, or all in "sliding" windows.
        training_windows: the same in training.
        hop_seconds: from one window to the next.
        aggregate: how windows become the clip's score.
        shuffle_audio: train on audio of other clips of the batch (Table 4).
        kinetics: file of the published R(2+1)D-18 to start the video stream from.
        streams: run or file whose video and audio streams to start from.
        fixed: those streams stay as they are ("+Fix-indp-audvid").
    """

    learning_rate: float = 2e-4
    batch: int = 64
    weight_whole: float = 1 / 3
    weight_video: float = 1 / 3
    weight_audio: float = 1 / 3
    unknown_parts: Literal["whole", "skip"] = "whole"
    verdict: Literal["whole", "cascade", "or"] = "whole"
    windows: Literal["first", "sliding"] = "first"
    training_windows: Literal["first", "sliding"] = "first"
    hop_seconds: int = 1
    aggregate: Literal["mean", "max"] = "mean"
    shuffle_audio: bool = False
    kinetics: str | None = None
    streams: str | None = None
    fixed: bool = False


PAPER = SyncStreamSettings()
SMALL = SyncStreamSettings(
    width=8,
    blocks=1,
    size_px=32,
    frames_hz=5,
    norm_momentum=0.5,
    batch=16,
    learning_rate=3e-3,
    epochs=20,
)
