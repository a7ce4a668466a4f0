"""EfficientFace's checkpoints: `*.pth.tar`, a dictionary with "state_dict", names behind "module.".

Files with 7, 8 or 12,666 classes differ in `fc` alone. Where only the features are wanted it is
dropped, so any of them will do.
"""

from __future__ import annotations

from dataclasses import replace

from extract.nets.checkpoints import StateDict
from extract.nets.efficientface import EfficientFace
from extract.nets.efficientface_settings import PUBLISHED, SMALL, EfficientFaceSettings


def _reader(settings: EfficientFaceSettings, dropped: tuple[str, ...] = ()) -> StateDict:
    return StateDict(lambda: EfficientFace(settings), dropped=dropped)


READER = _reader(PUBLISHED, ("fc.",))
READER_7 = _reader(replace(PUBLISHED, classes=7))
READER_8 = _reader(replace(PUBLISHED, classes=8))
READER_SMALL = _reader(SMALL, ("fc.",))
