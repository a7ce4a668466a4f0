"""What the fine-grained detector can be told. Importing this file imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BranchOptions:
    """What the two branches can be told.

    Attributes:
        channels: C' of both branches' output; inner layers have half of it, or 1.5 times.
        blocks: "3d": 3 × 3 × 3 kernels that halve the time too (code, 30 frames give 15 steps);
            "2d": MDS' own 1 × 3 × 3 kernels, which keep the frames.
        batch_norm: of the visual branch. "running": with running statistics; "batch": those of
            the batch in hand also when scoring (code), so scores depend on batch mates.
    """

    channels: int = 128
    blocks: Literal["3d", "2d"] = "3d"
    batch_norm: Literal["running", "batch"] = "running"


@dataclass(frozen=True)
class FineGrainedOptions(BranchOptions):
    """What the network can be told besides; docs/classifiers/finegrained.md gives the reasons.

    Attributes:
        attention: "map": M̂ = M ⊙ A; "residual": M ⊙ A + M; "none": M (Table 1).
        attention_scale: what the dot product is divided by: "embedded", channels of the embedding
            times T' (code, 480), or "features", C' T' (paper, 1,920).
        map_size: side of the maps, the visual features being average-pooled to it; 0: their own
            (28 of 224 px).
        audio_scale: "minmax": each second's samples to -1 … 1; "none": as they are.
    """

    attention: Literal["map", "residual", "none"] = "map"
    attention_scale: Literal["embedded", "features"] = "embedded"
    map_size: int = 0
    audio_scale: Literal["minmax", "none"] = "minmax"
