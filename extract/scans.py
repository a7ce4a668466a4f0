"""What every media file of a data set measures, found in workers and reused while unchanged.

A scan reads all packets of a file, so it is the cost of `index`: files go to isolated workers (one
that crashes FFmpeg costs only itself), and a clip whose files kept their size and time of change
keeps what the last index found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avfd.clips import Clip
from avfd.errors import InputError, MediaError
from extract.media.folders import size_and_time
from extract.pool import Crash, Pool

if TYPE_CHECKING:
    from extract.media import MediaFacts

Progress = Callable[[int, int, str], None]
Note = Callable[[str, str], None]

STAT_THREADS = 16  # a network disk answers many questions at once
MEMORY_LIMIT_BYTES = 8 << 30
BASE_LIMIT_SECONDS = 60.0
SLOWEST_BYTES_A_SECOND = 1_000_000  # of a disk that we still wait for

_KEPT = ("width", "height", "fps", "seconds", "has_audio", "has_video")
_SAME = ("video_path", "audio_path", "start_seconds", "end_seconds", "bytes", "mtime_ns")


@dataclass(frozen=True)
class MediaFile:
    """One file, or folder of frames, in one role; one read for its sound may hold pictures too."""

    path: Path
    sound_only: bool = False


@dataclass(frozen=True)
class Roots:
    """Where a data set's relative paths start."""

    media: Path
    audio: Path | None = None

    def files(self, clip: Clip) -> list[MediaFile]:
        """The clip's files, the one that gives its length first."""
        found = []
        if clip.video_path:
            found.append(MediaFile(self.media / clip.video_path))
        if clip.audio_path and clip.audio_path != clip.video_path:
            found.append(MediaFile((self.audio or self.media) / clip.audio_path, sound_only=True))
        return found

    def hide(self, text: str) -> str:
        """The text with paths below the roots made relative: what others read names no machine."""
        folders = {str(folder) for folder in (self.media, self.audio) if folder}
        for folder in sorted(folders - {"/"}, key=len, reverse=True):
            text = text.replace(f"{folder}/", "")
        return text


def build_scan() -> Callable[[MediaFile], MediaFacts]:
    """The work of one worker."""
    from extract.media import scan

    def measure(file: MediaFile) -> MediaFacts:
        return scan(None, file.path) if file.sound_only else scan(file.path)

    return measure


ScanPool = Pool[MediaFile, "MediaFacts"]


def scan_pool(workers: int) -> ScanPool:
    """Workers that scan."""
    return Pool(
        build_scan,
        workers=workers,
        time_limit=_time_limit,
        memory_limit_bytes=MEMORY_LIMIT_BYTES,
    )


def _time_limit(file: MediaFile) -> float:
    return BASE_LIMIT_SECONDS + size_and_time(file.path)[0] / SLOWEST_BYTES_A_SECOND


def frame_rate(pool: ScanPool, path: Path) -> float:
    """Frames a second of one video; MediaError where it cannot be scanned."""
    facts = next(pool.run([MediaFile(path)])).result
    if isinstance(facts, Crash):
        raise MediaError(facts.reason, where=path)
    return facts.fps


def with_stat(clips: Sequence[Clip], roots: Roots) -> list[Clip]:
    """The clips with `bytes` (of all their files) and `mtime_ns` (the latest)."""
    with ThreadPoolExecutor(STAT_THREADS) as threads:
        return list(threads.map(partial(_stat, roots), clips, chunksize=256))


def _stat(roots: Roots, clip: Clip) -> Clip:
    try:
        found = [size_and_time(file.path) for file in roots.files(clip)]
    except OSError as error:
        raise InputError(
            "the file went away",
            where=error.filename,
            found=error.strerror,
            next_step="index again when nothing moves files",
        ) from error
    return replace(
        clip,
        bytes=sum(size for size, _ in found),
        mtime_ns=max((time for _, time in found), default=0),
    )


def _unheard(why: str, path: str) -> None:
    """Nobody wants to know."""


def with_media(
    clips: Sequence[Clip],
    roots: Roots,
    previous: Iterable[Clip],
    pool: ScanPool,
    progress: Progress,
    note: Note = _unheard,
) -> list[Clip]:
    """The clips with what their media measure; one that cannot be read gets its `problem`.

    Args:
        note: told of each file that could only be read in part: why, and its path below the root.
    """
    before = {clip.key: clip for clip in previous if clip.problem is None}
    known = [_reused(clip, before.get(clip.key)) for clip in clips]
    missing = [clip for clip, found in zip(clips, known, strict=True) if found is None]
    files = list(dict.fromkeys(file for clip in missing for file in roots.files(clip)))
    facts: dict[MediaFile, MediaFacts | Crash] = {}
    for done, outcome in enumerate(pool.run(files), start=1):
        facts[outcome.item] = told = _told(outcome.result, roots)
        if not isinstance(told, Crash) and told.stopped:
            note(told.stopped, roots.hide(str(outcome.item.path)))
        progress(done, len(files), "")
    return [
        found or _measured(clip, [facts[file] for file in roots.files(clip)])
        for clip, found in zip(clips, known, strict=True)
    ]


def _told(result: MediaFacts | Crash, roots: Roots) -> MediaFacts | Crash:
    return Crash(roots.hide(result.reason)) if isinstance(result, Crash) else result


def _reused(clip: Clip, before: Clip | None) -> Clip | None:
    """The clip with the last index's facts, where its files are still the same."""
    if before is None or any(getattr(clip, n) != getattr(before, n) for n in _SAME):
        return None
    return replace(clip, **{name: getattr(before, name) for name in _KEPT})


def _measured(clip: Clip, facts: Sequence[MediaFacts | Crash]) -> Clip:
    """The clip with its files' facts: length and size from the first, sound from either.

    Where only a separate sound file is unreadable, the pictures are still good: the clip keeps
    `has_audio`, and extraction records the reason for the audio columns.
    """
    main, *rest = facts
    if isinstance(main, Crash):
        return replace(clip, problem=main.reason)
    apart = any(isinstance(other, Crash) or other.has_audio for other in rest)
    return replace(
        clip,
        width=main.width,
        height=main.height,
        fps=main.fps,
        seconds=_length(clip, main.seconds),
        has_audio=apart if rest else main.has_audio and clip.audio_path is not None,
        has_video=main.has_video and clip.video_path is not None,
        problem=_part_problem(clip, main.seconds),
    )


def _part_problem(clip: Clip, file_seconds: float) -> str | None:
    """Why the clip's part of its file is none; None where it is one."""
    start = clip.start_seconds
    end = math.inf if clip.end_seconds is None else clip.end_seconds
    if not 0 <= start < end:
        return f"the clip's part of its file cannot be: {start:.3f} s to {end:.3f} s"
    if start > 0 and start >= file_seconds:
        return f"the clip starts at {start:.3f} s, its file ends at {file_seconds:.3f} s"
    return None


def _length(clip: Clip, file_seconds: float) -> float:
    """Seconds of the clip inside its file."""
    end = file_seconds if clip.end_seconds is None else min(clip.end_seconds, file_seconds)
    return max(0.0, end - clip.start_seconds)
