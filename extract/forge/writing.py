"""One encoder for every file, real or fake: H.264 and AAC in MP4 at one loudness."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.forge.material import FPS, FRAME_PX, SAMPLE_RATE_HZ, Material, Sound

if TYPE_CHECKING:
    import av

LOUDNESS = 0.07
"""Root mean square of every clip's sound; full scale is 1."""
NOISE = 0.0005
"""Root mean square of the noise that every clip gets, so that no silence is digital."""
AUDIO_BITS_A_SECOND = 96_000
PEAK = 0.99


def finished(sound: Sound, drawn: np.random.Generator) -> Sound:
    """The last steps of every clip's sound: no offset, one loudness, noise, no clipping."""
    level = sound - sound.mean()
    loud = level * (LOUDNESS / max(float(np.sqrt(np.mean(level**2))), 1e-6))
    noisy = loud + drawn.normal(0, NOISE, len(loud))
    return np.asarray(np.clip(noisy, -PEAK, PEAK), np.float32)


def partial_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f".{path.name}.partial")


def write(path: Path, made: Material, drawn: np.random.Generator) -> None:
    """The clip as a file; complete or not at all."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    with av.open(str(partial), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width = video.height = FRAME_PX
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20", "threads": "1"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        audio.bit_rate = AUDIO_BITS_A_SECOND
        for pixels in made.pictures:
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        _mux_sound(container, audio, finished(made.sound, drawn))
    partial.replace(path)


def _mux_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: Sound
) -> None:
    import av

    step = 1024
    for start in range(0, len(sound), step):
        frame = av.AudioFrame.from_ndarray(
            sound[None, start : start + step], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
