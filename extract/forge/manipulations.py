"""The manipulations, and what their real twins get in their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from extract.forge.material import FPS, SAMPLE_RATE_HZ, Material, Pictures, Sound
from extract.forge.plans import (
    AUDIO_SWAP,
    BOTH_SWAP,
    FACE_BLEND,
    OFFSET,
    SPARE_SECONDS,
    SPLICED,
    VIDEO_SWAP,
    VOCODER,
    Segment,
)
from extract.forge.vocoders import resynthesise

SOUND_FADE_SECONDS = 0.02
PICTURE_FADE_SECONDS = 0.08
OFFSET_SECONDS = (0.3, 0.6)
FACE_PX = 112
"""Every blended face, the donor's and the twin's own, passes through this size."""

Drawn = np.random.Generator


def faked(
    kind: str, own: Material, donor: Material | None, at: Segment, vocoder: str, drawn: Drawn
) -> Material:
    """The clip with its manipulation inside the segment.

    Args:
        kind: in `plans.KINDS`.
        own: the clip; of kinds in `plans.SPLICED` its twin, so that the track that stays has the
            twin's joins too; of an offset `plans.SPARE_SECONDS` longer than what is made.
        donor: the other person, where the kind needs one.
        at: the segment in seconds.
        vocoder: of the kind "vocoder".
        drawn: of all that is drawn.
    """
    if kind == VOCODER:
        return replace(own, sound=_mixed_sound(own.sound, _voiced(own.sound, vocoder, drawn), at))
    if kind == OFFSET:
        start, sound_start, picture_start = _starts(drawn)
        return _spliced(_part(own, start, start), _part(own, picture_start, sound_start), at)
    assert donor is not None
    if kind == FACE_BLEND:
        return replace(own, pictures=_blended(own, donor, at))
    pictures, sound = own.pictures, own.sound
    if kind in (VIDEO_SWAP, BOTH_SWAP):
        pictures = _mixed_pictures(pictures, donor.pictures, at)
    if kind in (AUDIO_SWAP, BOTH_SWAP):
        sound = _mixed_sound(sound, _as_loud(donor.sound, own.sound), at)
    return replace(own, pictures=pictures, sound=sound)


def twin(kind: str, own: Material, at: Segment, drawn: Drawn) -> Material:
    """The same clip with the same joins and resampling, and nothing false in it.

    An offset's twin has the sound of the fake to the sample, and pictures that are moved with it.
    """
    if kind == FACE_BLEND:
        return replace(own, pictures=_blended(own, own, at))
    if kind == OFFSET:
        start, sound_start, _ = _starts(drawn)
        return _spliced(_part(own, start, start), _part(own, sound_start, sound_start), at)
    if kind not in SPLICED:
        return own
    return _spliced(own, _elsewhere(own, at, drawn), at)


def _spliced(own: Material, other: Material, at: Segment) -> Material:
    """`other` inside the segment, seen and heard."""
    return replace(
        own,
        pictures=_mixed_pictures(own.pictures, other.pictures, at),
        sound=_mixed_sound(own.sound, other.sound, at),
    )


def _elsewhere(own: Material, at: Segment, drawn: Drawn) -> Material:
    """The clip moved in time, sound and picture together, so that a splice joins two moments.

    Its own ends never come to lie inside the segment: they would be one more cut there. A segment
    that leaves no other moment (the whole clip) is not moved; the fake has no join then either.
    """
    frames = len(own.pictures)
    first, stop = round(at[0] * FPS), round(at[1] * FPS)
    moves = np.arange(stop - frames + 1, first)  # a frame is left for the fades at either end
    far = np.abs(moves) >= min(FPS // 2, np.abs(moves).max(initial=0))
    by = int(drawn.choice(moves[far & (moves != 0)])) if (moves != 0).any() else 0
    return replace(
        own,
        pictures=np.roll(own.pictures, by, axis=0),
        sound=np.roll(own.sound, by * SAMPLE_RATE_HZ // FPS),
    )


def _voiced(sound: Sound, vocoder: str, drawn: Drawn) -> Sound:
    return resynthesise(vocoder, sound, SAMPLE_RATE_HZ, drawn)


def _starts(drawn: Drawn) -> tuple[int, int, int]:
    """Frames of the clip at which the stretch begins, and what is put into it: sound, pictures.

    The last two lie 0.3 to 0.6 s apart, the sound late or early, the first between them.
    """
    apart = round(drawn.uniform(*OFFSET_SECONDS) * FPS)
    sound, pictures = (apart, 0) if drawn.random() < 0.5 else (0, apart)
    return apart // 2, sound, pictures


def _part(own: Material, picture_start: int, sound_start: int) -> Material:
    """A stretch of the clip, its pictures and its sound from these frames on."""
    frames = len(own.pictures) - round(SPARE_SECONDS[OFFSET] * FPS)
    seen, heard = slice(picture_start, picture_start + frames), SAMPLE_RATE_HZ // FPS
    sound = own.sound[sound_start * heard : (sound_start + frames) * heard]
    return Material(own.pictures[seen], own.boxes[seen], sound)


def _as_loud(sound: Sound, like: Sound) -> Sound:
    """The sound at another's loudness, cut or filled up with silence to its length."""
    fitted = np.pad(sound[: len(like)], (0, max(0, len(like) - len(sound))))
    scale = np.sqrt(np.mean(like**2) / max(float(np.mean(fitted**2)), 1e-12))
    return np.asarray(fitted * min(scale, 100.0), np.float32)


def _mixed_sound(own: Sound, other: Sound, at: Segment) -> Sound:
    """`other` inside the segment, faded in and out over 20 ms, `own` outside."""
    share = inside(len(own), SAMPLE_RATE_HZ, at, SOUND_FADE_SECONDS)
    return np.asarray(own + share * (other - own), np.float32)


def _mixed_pictures(own: Pictures, other: Pictures, at: Segment) -> Pictures:
    """`other` inside the segment, faded over two pictures; where it ends, its end stays."""
    index = np.minimum(np.arange(len(own)), len(other) - 1)
    share = inside(len(own), FPS, at, PICTURE_FADE_SECONDS)[:, None, None, None]
    return np.rint(own + share * (other[index].astype(np.float32) - own)).astype(np.uint8)


def inside(count: int, rate_hz: int, at: Segment, fade_seconds: float) -> NDArray[np.float32]:
    """1 inside the segment, 0 outside, a slope of `fade_seconds` about each inner border."""
    middles = (np.arange(count) + 0.5) / rate_hz
    whole = count / rate_hz
    start = at[0] if at[0] > 0 else -fade_seconds
    end = at[1] if at[1] < whole - 1 / rate_hz else whole + fade_seconds
    depth = np.minimum(middles - start, end - middles) / fade_seconds
    return np.clip(depth + 0.5, 0, 1).astype(np.float32)


def _blended(own: Material, donor: Material, at: Segment) -> Pictures:
    """The donor's face laid over this one under a soft ellipse, in this one's colours."""
    out = own.pictures.copy()
    share = inside(len(out), FPS, at, PICTURE_FADE_SECONDS)
    for i in np.flatnonzero(share > 0):
        j = min(int(i), len(donor.pictures) - 1)
        out[i] = _blend(out[i], own.boxes[i], donor.pictures[j], donor.boxes[j], float(share[i]))
    return out


def _blend(
    picture: Pictures,
    box: NDArray[np.float64],
    other: Pictures,
    other_box: NDArray[np.float64],
    share: float,
) -> Pictures:
    from PIL import Image

    left, top, width, height = (round(v) for v in box.tolist())
    right, bottom = min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    left, top = max(0, left), max(0, top)
    if right - left < 2 or bottom - top < 2:
        return picture
    x, y, w, h = other_box.tolist()
    face = Image.fromarray(other).resize(
        (FACE_PX, FACE_PX), Image.Resampling.BICUBIC, box=_within(x, y, x + w, y + h, other)
    )
    laid = np.asarray(face.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
    under = picture[top:bottom, left:right].astype(np.float32)
    mask = (_ellipse(bottom - top, right - left) * share)[..., None]
    mixed = under + mask * (_in_colours_of(laid, under) - under)
    out = picture.copy()
    out[top:bottom, left:right] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return out


def _within(
    left: float, top: float, right: float, bottom: float, picture: Pictures
) -> tuple[float, float, float, float]:
    height, width = picture.shape[:2]
    left, top = min(max(0.0, left), width - 2.0), min(max(0.0, top), height - 2.0)
    return left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))


def _ellipse(height: int, width: int) -> NDArray[np.float32]:
    """1 in the middle of the box, falling to 0 at the ellipse that touches its sides."""
    y = (np.arange(height)[:, None] + 0.5) / height * 2 - 1
    x = (np.arange(width)[None] + 0.5) / width * 2 - 1
    return np.clip((1 - np.hypot(x, y)) / 0.3, 0, 1).astype(np.float32)


def _in_colours_of(face: Pictures, under: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face with the mean and deviation of each colour of what it covers."""
    seen = face.astype(np.float32)
    mean, deviation = seen.mean(axis=(0, 1)), seen.std(axis=(0, 1)) + 1e-3
    like: NDArray[np.float32] = (seen - mean) / deviation * under.std(axis=(0, 1))
    like += under.mean(axis=(0, 1))
    return like
