"""Writes real/a.mp4 and fake/b.mp4, a second of grey each, below the folder given."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np


def write_clip(path: Path) -> None:
    """One second of 64 × 64 grey at 25 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")
        for index in range(25):
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    root = Path(sys.argv[1])
    write_clip(root / "real" / "a.mp4")
    write_clip(root / "fake" / "b.mp4")
