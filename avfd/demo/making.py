"""One clip of the demo corpus: sound and picture, real or faked, through one encoder."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avfd.demo.corpus import BLEND, OUT_OF_STEP, VOCODER, Plan, is_male
from avfd.demo.face import Scene
from avfd.demo.look import FRAME_PX, Look, draw
from avfd.demo.motion import Motion, Track, late_mouth, moved_by_speech
from avfd.demo.speech import SAMPLE_RATE_HZ
from avfd.vocoder import resynthesise

if TYPE_CHECKING:
    import av

Segments = list[tuple[float, float]]

LEAD_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 0.25, 4.0, 6.0
OUTPUT_RATE_HZ = 44_100
LOUDNESS, ROOM_NOISE = 0.08, 0.0008
"""Root mean square of the speech, and of the noise that every clip has."""
_FADE_SECONDS = 0.04
_LOOK, _DONOR, _MOTION, _FAKE, _ROOM = range(5)


def make_clip(folder: Path, plan: Plan, speech: NDArray[np.float32]) -> Segments:
    """Write the clip below the folder; returns where it is fake, in seconds."""
    fps = (25, 30)[plan.subject % 2]
    sound = _framed(speech)
    seconds = len(sound) / SAMPLE_RATE_HZ
    segments = _segments(plan, seconds)
    motion = moved_by_speech(sound, SAMPLE_RATE_HZ, fps, plan.random(_MOTION))
    inside = _inside(segments, len(motion.blink), fps)
    if plan.method == OUT_OF_STEP:
        random = plan.random(_FAKE)
        delay_seconds = random.choice((-1, 1)) * random.uniform(0.3, 0.5)
        motion = late_mouth(motion, float(delay_seconds), fps, inside)
    if plan.method == VOCODER:
        sound = _revoiced(sound, segments, plan.random(_FAKE))
    path = folder / plan.path
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, fps, _frames(plan, motion, inside), _finished(sound, plan.random(_ROOM)))
    return segments


def _framed(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """The speech at one loudness with a short lead, 4 to 6 seconds in whole tenths."""
    loud = speech * (LOUDNESS / max(float(np.sqrt(np.mean(speech**2))), 1e-6))
    wanted = len(loud) / SAMPLE_RATE_HZ + 2 * LEAD_SECONDS
    seconds = np.clip(np.ceil(wanted * 10) / 10, SHORTEST_SECONDS, LONGEST_SECONDS)
    sound = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    start = round(LEAD_SECONDS * SAMPLE_RATE_HZ)
    fits = min(len(loud), len(sound) - start)
    sound[start : start + fits] = loud[:fits]
    return sound


def _segments(plan: Plan, seconds: float) -> Segments:
    """All of a fake clip, or a stretch of 55 to 75 % of it."""
    if plan.method is None:
        return []
    if not plan.partial:
        return [(0.0, round(seconds, 3))]
    random = plan.random(_FAKE)
    share = random.uniform(0.55, 0.75)
    start = random.uniform(0.1, 0.9 - share) * seconds
    return [(round(start, 3), round(start + share * seconds, 3))]


def _inside(segments: Segments, frames: int, fps: int) -> Track:
    """1 in frames whose middle is in a segment, with a short slope at inner borders."""
    middles = (np.arange(frames) + 0.5) / fps
    inside = np.zeros(frames)
    for start, end in segments:
        depth = np.minimum(middles - start, end - middles) / (2 * _FADE_SECONDS)
        inside = np.maximum(inside, np.clip(depth + 0.5, 0, 1))
    return inside


def _revoiced(
    sound: NDArray[np.float32], segments: Segments, random: np.random.Generator
) -> NDArray[np.float32]:
    """The sound with its segments through the vocoder, faded over 40 ms."""
    other = resynthesise(sound, SAMPLE_RATE_HZ, random)
    seconds = np.arange(len(sound)) / SAMPLE_RATE_HZ
    share = np.zeros(len(sound))
    for start, end in segments:
        depth = np.minimum(seconds - start, end - seconds) / _FADE_SECONDS
        share = np.maximum(share, np.clip(depth + 0.5, 0, 1))
    return (sound + share * (other - sound)).astype(np.float32)


def _finished(sound: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """What every clip goes through, real or fake: room noise, 44.1 kHz, no clipping."""
    from scipy.signal import resample_poly

    noisy = sound + random.normal(0, ROOM_NOISE, len(sound))
    return np.asarray(np.clip(resample_poly(noisy, 2, 1), -0.99, 0.99), dtype=np.float32)


def _person(plan: Plan, purpose: int) -> Look:
    random = np.random.default_rng([plan.seed, plan.subject, purpose])
    return draw(random, is_male(plan.subject))


def _frames(plan: Plan, motion: Motion, inside: Track) -> Iterator[NDArray[np.uint8]]:
    donor = _person(plan, _DONOR) if plan.method == BLEND else None
    scene = Scene(_person(plan, _LOOK), plan.random(_ROOM), donor)
    for index, share in enumerate(inside):
        yield scene.frame(motion, index, float(share) if donor else 0.0)


def _write(
    path: Path, fps: int, frames: Iterator[NDArray[np.uint8]], sound: NDArray[np.float32]
) -> None:
    """H.264 and AAC in MP4; complete or not at all."""
    import av

    partial = path.with_suffix(".partial")
    with av.open(str(partial), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width = video.height = FRAME_PX
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20", "threads": "1"}
        audio = container.add_stream("aac", rate=OUTPUT_RATE_HZ, layout="mono")
        audio.bit_rate = 96_000
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        _mux_sound(container, audio, sound)
    partial.replace(path)


def _mux_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: NDArray[np.float32]
) -> None:
    import av

    step = 1024
    for start in range(0, len(sound), step):
        frame = av.AudioFrame.from_ndarray(
            sound[None, start : start + step], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = OUTPUT_RATE_HZ, start
        frame.time_base = Fraction(1, OUTPUT_RATE_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
