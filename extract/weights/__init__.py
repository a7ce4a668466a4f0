"""Model files: what they are, where they are looked for, how they are fetched and taken in.

Search order: a path given, `$AVFD_WEIGHTS` (a folder), `$AVFD_HOME/weights`. Only `pull` opens a
connection; a file is used under its sha256, which goes into every fingerprint made with it.
Published checkpoints are read without running what they hold and converted once to safetensors.
"""

from __future__ import annotations

from extract.weights.adding import add
from extract.weights.checking import found_and_checked
from extract.weights.facts import (
    TABLE,
    Checkpoint,
    Origin,
    Weights,
    WeightsFile,
    WheelMember,
    facts,
)
from extract.weights.finding import find
from extract.weights.pulling import pull

__all__ = [
    "TABLE",
    "Checkpoint",
    "Origin",
    "Weights",
    "WeightsFile",
    "WheelMember",
    "add",
    "facts",
    "find",
    "found_and_checked",
    "pull",
]
