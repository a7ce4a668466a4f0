"""One clip through every backbone that is asked for: one decode, one face pass, a grid a column.

This runs in a worker and writes nothing: what comes back is a `ClipReport` for the parent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from avfd.cache import ClipResult
from avfd.clips import Clip
from avfd.errors import AbsentError, AvfdError
from avfd.specs import ABSENT, DONE, FAILED
from extract.assembly import Assembly, Ending, costing
from extract.audio import AudioTap
from extract.backbones import build, load_all
from extract.backbones.base import AudioBlock, Backbone, Slots
from extract.face_detector import Detector
from extract.face_feed import FaceFeed
from extract.faces import TrackOptions
from extract.media import AudioChunk, decode, file_sha256
from extract.scans import Roots, with_stat
from extract.stopwatch import Part, Stopwatch
from extract.task import FACE_TRACK, Task
from extract.worker import describe

NO_SOUND: Ending = (ABSENT, "there is no sound in the clip")


@dataclass(frozen=True)
class ClipReport:
    """What became of one clip.

    Attributes:
        results: column → result, one for each column asked for.
        media_seconds: length of the clip where its media were opened, else 0.
        cut: vectors beyond the rows that index gave the clip.
        cpu_seconds: spent in each part: decode, faces, features.
    """

    results: Mapping[str, ClipResult]
    media_seconds: float = 0.0
    cut: int = 0
    cpu_seconds: Mapping[Part, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What every worker needs to know.

    Attributes:
        roots: where the media are.
        backbones: those that tasks will ask for, with their options, and those whose columns
            they read.
        face_model: the face detector's file; None where no task needs faces found.
        weights: weights name → file, for the networks among the backbones.
        device: where networks run.
    """

    roots: Roots
    backbones: tuple[str, ...]
    face_model: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"

    def loaded(self) -> dict[str, Backbone]:
        """The backbones by what they are asked for by, ready for use."""
        backbones = {text: build(text) for text in self.backbones}
        for backbone in backbones.values():
            own = {n: self.weights[n] for n in backbone.spec.weights if n in self.weights}
            backbone.load(own, self.device)
        return backbones

    def detector(self) -> Detector | None:
        """The face detector, loaded."""
        if self.face_model is None:
            return None
        return Detector(self.face_model, TrackOptions().search.min_score)


def build_clip_work(setup: Setup) -> Callable[[Task], ClipReport]:
    """The work of one worker; backbones (and their models) stay from clip to clip."""
    load_all()
    backbones = setup.loaded()
    detector = setup.detector()

    def work(task: Task) -> ClipReport:
        asked = [Assembly(c, backbones[b], task.place) for c, b in task.columns.items()]
        here = {*task.columns, *task.stored}
        lacking = dict.fromkeys(c.spec.reads for c in asked if c.spec.reads not in (None, *here))
        read = [Assembly(name, backbones[name], task.place) for name in lacking if name]
        return run_clip(task, [*read, *asked], setup.roots, detector)

    return work


def run_clip(
    task: Task, columns: Sequence[Assembly], roots: Roots, detector: Detector | None
) -> ClipReport:
    """Feed a clip's media to its columns and gather the results.

    Whatever goes wrong is in the results: a reason for every column that failed or is absent.

    Args:
        task: the clip; what it does not ask for is not among the results.
        columns: those asked for, and those that they read and that are not stored.
        roots: where the media are; no reason names these folders.
        detector: needed where a face is to be found.
    """
    settle_early(task, columns)
    watch = Stopwatch()
    opened = [column for column in columns if column.spec.reads is None]
    results = dict(task.stored) | run_media(task, opened, roots, detector, watch)
    for column in columns:
        if column.spec.reads is not None:
            results[column.name] = read_column(column, results[column.spec.reads], watch)
    asked = {name: results[name] for name in task.columns}
    return ClipReport(
        {name: replace(result, reason=roots.hide(result.reason)) for name, result in asked.items()},
        media_seconds=task.clip.seconds if watch.seconds["decode"] else 0.0,
        cut=sum(column.cut for column in columns),
        cpu_seconds=watch.seconds,
    )


def run_media(
    task: Task,
    columns: Sequence[Assembly],
    roots: Roots,
    detector: Detector | None,
    watch: Stopwatch,
) -> dict[str, ClipResult]:
    """Results of the columns that are made from media; closed media where all are settled."""
    if any(c.open for c in columns) and (fault := media_fault(task.clip, roots)):
        for column in columns:
            column.end(FAILED, fault)
    if not any(column.open for column in columns):
        return {column.name: column.result(NO_SOUND) for column in columns}
    nothing = _feed(task, columns, roots, detector, watch)
    with watch.on("decode"):
        sha256 = file_sha256([file.path for file in roots.files(task.clip)])
    return {c.name: c.result(nothing[c.spec.modality], sha256) for c in columns}


def read_column(column: Assembly, source: ClipResult, watch: Stopwatch) -> ClipResult:
    """The result of a column that is made from another; it fails or is absent with that one."""
    if source.values is None:
        column.end(source.status, source.reason)
        return column.result(NO_SOUND)
    with watch.on("features"):
        column.take(partial(_slots_of, column.backbone), source)
    return column.result((ABSENT, f"nothing in the column {column.spec.reads}"), source.sha256)


def _slots_of(backbone: Backbone, source: ClipResult) -> Slots:
    values, valid = source.values, source.valid
    assert values is not None
    slots = values[None] if valid is None else values.reshape(-1, *values.shape[2:])
    mask = np.ones(1, dtype=bool) if valid is None else valid.reshape(-1)
    slots.setflags(write=False)  # these are views of a result that is still to be stored
    mask.setflags(write=False)
    return backbone.column(slots, mask)


def settle_early(task: Task, columns: Sequence[Assembly]) -> None:
    """End the columns of which the index or the cache says enough to leave the media closed."""
    clip, track = task.clip, task.stored.get(FACE_TRACK)
    for column in columns:
        has_track = clip.has_audio if column.spec.modality == "audio" else clip.has_video
        if clip.problem:
            column.end(FAILED, clip.problem)
        elif not has_track:
            column.end(ABSENT, f"the clip has no {column.spec.modality} track")
        elif column.spec.faces and track and track.status != DONE:
            column.end(track.status, track.reason)


def media_fault(clip: Clip, roots: Roots) -> str | None:
    """Why the files are not those that were indexed; None where they are.

    Mixing them would give rows of one file the length of another.
    """
    try:
        (found,) = with_stat([clip], roots)
    except AvfdError as error:
        return f"{error.where}: {error.found}"  # its next step is meant for an index
    if (found.bytes, found.mtime_ns) != (clip.bytes, clip.mtime_ns):
        return "the file has changed since the index; run `avfd index` again"
    return None


def _feed(
    task: Task,
    columns: Sequence[Assembly],
    roots: Roots,
    detector: Detector | None,
    watch: Stopwatch,
) -> dict[str, Ending]:
    """Decode once, hand everything on; status and reason for columns that stay empty."""
    wanted = [column for column in columns if column.open]
    audio = AudioFeed([c for c in wanted if c.spec.modality == "audio"], task.clip.seconds)
    faces = FaceFeed([c for c in wanted if c.spec.modality == "video"], task, detector)
    decoding = decode(
        roots.media,
        roots.audio,
        task.clip,
        audio=bool(audio.columns),
        video=bool(faces.columns),
    )
    with suppress(AvfdError):  # what stopped it stands in `problems`; what came before it counts
        for item in watch.drawing("decode", decoding):
            if isinstance(item, AudioChunk):
                audio.push(item, watch)
            else:
                faces.push(item, watch)
    audio.finish(watch)
    faces.finish(watch)
    problems = {name: _ending(error) for name, error in decoding.problems.items()}
    return {"audio": NO_SOUND, "video": faces.nothing, **problems}


def _ending(error: AvfdError) -> Ending:
    return (ABSENT if isinstance(error, AbsentError) else FAILED), describe(error)


class AudioFeed:
    """The sound of one clip, tapped once for each distinct `AudioInput`."""

    def __init__(self, columns: Sequence[Assembly], seconds: float) -> None:
        self.columns = columns
        wanted = dict.fromkeys(c.spec.audio for c in columns if c.spec.audio)
        self._taps = {w: AudioTap(w, seconds) for w in wanted}

    def push(self, chunk: AudioChunk, watch: Stopwatch) -> None:
        """Take the next stretch of sound."""
        self._each(lambda tap: tap.push(chunk), watch)

    def finish(self, watch: Stopwatch) -> None:
        """Take the end of the clip."""
        self._each(AudioTap.finish, watch)

    def _each(self, take: Callable[[AudioTap], list[AudioBlock]], watch: Stopwatch) -> None:
        with watch.on("features"):
            for wanted, tap in self._taps.items():
                takers = [c for c in self.columns if c.spec.audio == wanted and c.open]
                with costing(takers):
                    for block in take(tap) if takers else []:
                        for column in takers:
                            column.take(column.backbone.audio, block)
