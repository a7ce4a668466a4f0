"""One pass over a clip's media: sound and pictures on one time line."""

from __future__ import annotations

import heapq
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avfd.clips import Clip
from avfd.errors import AbsentError, AvfdError, InputError, MediaError
from extract.media.items import AudioChunk, VideoFrame
from extract.media.lines import PictureLine, SoundLine, Window
from extract.media.opening import Source
from extract.media.reading import Line, read
from extract.media.seeking import opened_near

_LOG = logging.getLogger(__name__)

WORDS = {"audio": "sound", "video": "pictures"}
FALLBACK_FPS = 25.0
THREADS_VARIABLE = "AVFD_DECODE_THREADS"


@dataclass(frozen=True)
class _Part:
    """One file and what is wanted of it."""

    path: Path
    modalities: tuple[str, ...]


class Decoding(Iterator[AudioChunk | VideoFrame]):
    """The items of one clip, in order of time for each track.

    Ends normally when at least one of the modalities asked for gave something; else raises the
    error that says why not: `AbsentError` where there is no such track, `MediaError` where there
    is one that cannot be decoded.

    Attributes:
        notes: sentences on what was lost or mended, complete when the iteration has ended.
        problems: modality asked for ("audio", "video") → why it gave nothing.
    """

    def __init__(self, parts: list[_Part], clip: Clip, asked: list[str], threads: int) -> None:
        self.notes: list[str] = []
        self.problems: dict[str, AvfdError] = {}
        self._clip = clip
        self._asked = asked
        self._threads = threads
        served = {modality for part in parts for modality in part.modalities}
        for modality in asked:
            if modality not in served:
                self.problems[modality] = _no_track(modality, clip)
        self._items = self._all(parts)

    def __next__(self) -> AudioChunk | VideoFrame:
        return next(self._items)

    def _all(self, parts: list[_Part]) -> Iterator[AudioChunk | VideoFrame]:
        streams = [self._part(part) for part in parts]
        yield from heapq.merge(*streams, key=lambda item: item.start_seconds)
        for note in self.notes:
            _LOG.warning("%s: %s", self._clip.key, note)
        if len(self.problems) == len(self._asked):
            raise min(self.problems.values(), key=lambda e: isinstance(e, AbsentError))

    def _part(self, part: _Part) -> Iterator[AudioChunk | VideoFrame]:
        """The items of one file; what stops it becomes the problem of its modalities."""
        clip = self._clip
        try:
            with opened_near(part.path, clip.start_seconds, self._threads) as source:
                lines = {m: line for m in part.modalities if (line := self._line(m, source))}
                for modality in set(part.modalities) - set(lines):
                    self.problems[modality] = _no_track(modality, clip)
                yield from read(source, lines, self.problems, self.notes)
                self._conclude(source, lines)
        except MediaError as error:
            for modality in part.modalities:
                self.problems.setdefault(modality, error)

    def _line(self, modality: str, source: Source) -> Line | None:
        clip, origin = self._clip, source.origin_seconds
        end = math.inf if clip.end_seconds is None else clip.end_seconds
        if modality == "audio" and source.audio is not None:
            offset = clip.audio_offset_seconds
            return SoundLine(
                Window(clip.start_seconds - offset, end - offset, offset - clip.start_seconds),
                origin,
            )
        if modality == "video" and source.video is not None:
            seconds = 1.0 / float(source.video.average_rate or FALLBACK_FPS)
            window = Window(clip.start_seconds, end, -clip.start_seconds)
            return PictureLine(window, origin, seconds, clip.crop)
        return None

    def _conclude(self, source: Source, lines: dict[str, Line]) -> None:
        """Say what was lost, and file a problem for what gave nothing."""
        for modality, line in lines.items():
            word = WORDS[modality]
            if line.lost_packets:
                self.notes.append(f"{line.lost_packets} packets of {word} could not be decoded")
            if line.dropped_seconds > 0.001:
                self.notes.append(
                    f"{line.dropped_seconds:.3f} s of {word} left out: stamped before what was"
                    " already shown"
                )
            if isinstance(line, SoundLine) and line.numberless_seconds:
                self.notes.append(f"{line.numberless_seconds:.3f} s of {word} are no numbers")
            if not line.items and modality not in self.problems:
                self.problems[modality] = _nothing(modality, self._clip, source, line)
        if note := _cut_short(source, lines):
            self.notes.append(note)


def decode(
    root: Path,
    audio_root: Path | None,
    clip: Clip,
    *,
    audio: bool,
    video: bool,
    threads: int | None = None,
) -> Decoding:
    """Decode a clip once; sound and pictures come as they lie in the file.

    Nothing is held but what the decoder holds. A picture on screen when the clip starts is handed
    on with time 0. Where both are asked for and one is missing, the other still comes; see
    `Decoding.problems`.

    Args:
        root: folder that `clip.video_path` is relative to.
        audio_root: folder that `clip.audio_path` is relative to; None: `root`.
        clip: what to read: paths, part of the file, offset of the sound, crop.
        audio, video: what to decode.
        threads: decoder threads; None: `$AVFD_DECODE_THREADS`, else 1.

    Raises:
        AbsentError: nothing of what was asked for is there.
        MediaError: it is there but cannot be read.
        InputError: `$AVFD_DECODE_THREADS` says no number.
    """
    asked = [name for name, wanted in (("audio", audio), ("video", video)) if wanted]
    paths = {
        "audio": clip.audio_path and (audio_root or root) / clip.audio_path,
        "video": clip.video_path and root / clip.video_path,
    }
    by_path: dict[Path, list[str]] = {}
    for modality in asked:
        if path := paths[modality]:
            by_path.setdefault(Path(path), []).append(modality)
    parts = [_Part(path, tuple(modalities)) for path, modalities in by_path.items()]
    return Decoding(parts, clip, asked, decode_threads() if threads is None else threads)


def decode_threads() -> int:
    """Decoder threads of a clip, by `$AVFD_DECODE_THREADS`; else 1. 0: as FFmpeg sees fit.

    Raises:
        InputError: it says no whole number.
    """
    text = os.environ.get(THREADS_VARIABLE, "1")
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            "not a number of decoder threads",
            where=THREADS_VARIABLE,
            found=repr(text),
            accepted="a whole number; 0: as FFmpeg sees fit",
        )
    return int(text)


def _no_track(modality: str, clip: Clip) -> AbsentError:
    return AbsentError(f"the clip has no {WORDS[modality]}", where=clip.key)


def _nothing(modality: str, clip: Clip, source: Source, line: Line) -> AvfdError:
    """Why a track that exists gave nothing."""
    word = WORDS[modality]
    if isinstance(line, SoundLine) and line.numberless_seconds:
        return MediaError(
            f"no sample of the {word} is a number",
            where=source.path,
            found=f"{line.numberless_seconds:.3f} s of NaN or infinity",
            accepted="samples at full scale 1.0",
            next_step="write the file again from its source",
        )
    if math.isfinite(line.last_seconds):
        return AbsentError(
            f"there are no {word} in the clip's part of the file"
            if modality == "video"
            else f"there is no {word} in the clip's part of the file",
            where=clip.key,
            found=f"{word} until {line.last_seconds:.3f} s",
            accepted=f"something after {clip.start_seconds:.3f} s",
        )
    return MediaError(
        f"nothing of the {word} could be decoded",
        where=source.path,
        found=f"{line.lost_packets} damaged packets",
        next_step="if it was copied or downloaded, check that the copy is complete",
    )


def _cut_short(source: Source, lines: dict[str, Line]) -> str | None:
    """A sentence where decoding ended well before the header's end; None where it did not."""
    if not lines:  # what was asked for is not in the file, and that is said elsewhere
        return None
    announced = (source.container.duration or 0) / 1_000_000
    reached = max(line.last_seconds for line in lines.values())
    if any(line.done for line in lines.values()) or not math.isfinite(reached):
        return None
    if announced - reached <= max(1.0, 0.05 * announced):
        return None
    return f"decoding ended at {reached:.3f} s of the {announced:.3f} s that the file announces"
