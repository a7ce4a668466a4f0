"""One clip through every backbone that is asked for: one decode, one face pass, a grid a column.

This runs in a worker and writes nothing: what comes back is a `ClipReport` for the parent. Where
networks run elsewhere (`Setup.devices`), their windows come back first, parcel by parcel.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from avfd.cache import ClipResult
from avfd.clips import Clip
from avfd.errors import AbsentError, AvfdError, StoreError
from avfd.specs import ABSENT, DONE, FAILED
from extract.assembly import Assembly, Ending, Pending, costing
from extract.audio import AudioTap, Mono, Samples
from extract.backbones import build, load_all
from extract.backbones._network import NetworkBackbone
from extract.backbones.base import AudioBlock, Backbone, Slots
from extract.compiling import prepare_compiler
from extract.digests import media_sha256
from extract.face_detector import Detector
from extract.face_feed import FaceFeed
from extract.faces import TrackOptions
from extract.media import AudioChunk, decode
from extract.scans import Roots, with_stat
from extract.sending import Outbox, Parcel, Sender
from extract.spool import Spool
from extract.stopwatch import Part, Stopwatch
from extract.task import FACE_TRACK, Task
from extract.worker import describe

MODEL_FACTOR = 3
"""Memory that loading a model file takes, in sizes of the file: its private mapping, and twice that
where its half-precision numbers become float32."""

NO_SOUND: Ending = (ABSENT, "there is no sound in the clip")

Parcels = Generator[list[Parcel], None, "ClipReport"]
"""Work on a clip: windows for networks elsewhere as they come up, at the end the report."""


@dataclass(frozen=True)
class ClipReport:
    """What became of one clip.

    Attributes:
        results: column → result, for each column asked for that is settled.
        pending: column → what is known of the others, whose windows were sent.
        media_seconds: length of the clip where its media were opened, else 0.
        cut: vectors beyond the rows that index gave the clip.
        cpu_seconds: spent in each part.
        notes: sentences on what of the media was lost or mended.
    """

    results: Mapping[str, ClipResult]
    pending: Mapping[str, Pending] = field(default_factory=dict)
    media_seconds: float = 0.0
    cut: int = 0
    cpu_seconds: Mapping[Part, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """What every worker needs to know.

    Attributes:
        roots: where the media are.
        backbones: those that tasks will ask for, with their options, and those whose columns
            they read.
        face_model: the face detector's file; None where no task needs faces found.
        weights: weights name → file, for the networks among the backbones.
        devices: where networks run in batches over many clips; none: in the workers, on the CPU.
        compiled: networks are compiled, into this folder; None: they run as they are.
        spool: where large values wait for the cache; None: in memory.
    """

    roots: Roots
    backbones: tuple[str, ...]
    face_model: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    compiled: Path | None = None
    spool: Spool | None = None

    def built(self) -> dict[str, Backbone]:
        """The backbones by what they are asked for by; no model file is opened."""
        return {text: build(text) for text in self.backbones}

    def load(self, backbone: Backbone, device: str = "cpu") -> None:
        """Make a backbone ready for use."""
        own = {n: self.weights[n] for n in backbone.spec.weights if n in self.weights}
        backbone.load(own, device)
        if self.compiled is not None and isinstance(backbone, NetworkBackbone):
            prepare_compiler(self.compiled, device)
            backbone.compile()

    def away(self) -> frozenset[str]:
        """Those of the backbones that run on `devices`.

        A network on whose column another backbone builds stays with its reader, on the CPU.
        """
        if not self.devices:
            return frozenset()
        backbones = self.built()
        read = {backbone.spec.reads for backbone in backbones.values()}
        return frozenset(
            text
            for text, backbone in backbones.items()
            if isinstance(backbone, NetworkBackbone) and backbone.spec.name not in read
        )

    def networks_here(self) -> dict[str, int]:
        """What is asked for → how many networks run in the worker for it: it, what it reads."""
        here = self._here()
        networks = {text for text, b in here.items() if isinstance(b, NetworkBackbone)}
        return {text: (text in networks) + (b.spec.reads in networks) for text, b in here.items()}

    def model_bytes(self) -> int:
        """Memory that the networks of a worker take at most, from the size of their files."""
        names = [name for b in self._here().values() for name in b.spec.weights]
        files = [self.weights[name] for name in names if name in self.weights]
        return MODEL_FACTOR * sum(path.stat().st_size for path in files)

    def _here(self) -> dict[str, Backbone]:
        away = self.away()
        return {text: backbone for text, backbone in self.built().items() if text not in away}

    def detector(self) -> Detector | None:
        """The face detector, loaded."""
        if self.face_model is None:
            return None
        return Detector(self.face_model, TrackOptions().search.min_score)


def build_clip_work(setup: Setup) -> Callable[[Task], Parcels]:
    """The work of one worker; backbones (and their models) stay from clip to clip."""
    load_all()
    backbones, away = setup.built(), setup.away()
    for text, backbone in backbones.items():
        if text not in away:
            setup.load(backbone)
    detector = setup.detector()

    def assembly(column: str, asked: str, task: Task, outbox: Outbox) -> Assembly:
        backbone = backbones[asked]
        if asked in away and isinstance(backbone, NetworkBackbone):
            return Sender(column, asked, backbone, task.place, outbox)
        return Assembly(column, backbone, task.place, setup.spool)

    def work(task: Task) -> Parcels:
        outbox = Outbox()
        asked = [assembly(c, b, task, outbox) for c, b in task.columns.items()]
        here = {*task.columns, *task.stored}
        lacking = dict.fromkeys(c.spec.reads for c in asked if c.spec.reads not in (None, *here))
        read = [Assembly(n, backbones[n], task.place, setup.spool) for n in lacking if n]
        return stream_clip(task, [*read, *asked], setup.roots, detector, outbox)

    return work


def run_clip(
    task: Task, columns: Sequence[Assembly], roots: Roots, detector: Detector | None
) -> ClipReport:
    """The report on a clip whose columns are all made here; see `stream_clip`."""
    stream = stream_clip(task, columns, roots, detector, Outbox())
    while True:
        try:
            next(stream)
        except StopIteration as end:
            report: ClipReport = end.value
            return report


def stream_clip(
    task: Task,
    columns: Sequence[Assembly],
    roots: Roots,
    detector: Detector | None,
    outbox: Outbox,
) -> Parcels:
    """Feed a clip's media to its columns and gather the results.

    Whatever goes wrong is in the results: a reason for every column that failed or is absent.

    Args:
        task: the clip; what it does not ask for is not among the results.
        columns: those asked for, and those that they read and that are not stored.
        roots: where the media are; no reason names these folders.
        detector: needed where a face is to be found.
        outbox: where those columns that are a `Sender` put their windows.
    """
    settle_early(task, columns)
    watch = Stopwatch()
    opened = [column for column in columns if column.spec.reads is None]
    notes: list[str] = []
    made = yield from run_media(task, opened, roots, detector, watch, outbox, notes)
    results: dict[str, ClipResult | Pending] = {**task.stored, **made}
    for column in columns:
        if column.spec.reads is not None:
            source = results[column.spec.reads]
            assert isinstance(source, ClipResult)  # `Setup.away` sees to it
            results[column.name] = read_column(column, source, watch)
    if parcels := outbox.emptied():
        yield parcels
    report = _report(task, columns, results, roots, watch)
    return replace(report, notes=tuple(map(roots.hide, notes)))


def _report(
    task: Task,
    columns: Sequence[Assembly],
    results: Mapping[str, ClipResult | Pending],
    roots: Roots,
    watch: Stopwatch,
) -> ClipReport:
    """The report on the columns asked for; no reason names a folder of this machine."""
    settled: dict[str, ClipResult] = {}
    pending: dict[str, Pending] = {}
    for name in task.columns:
        result = results[name]
        if isinstance(result, ClipResult):
            settled[name] = replace(result, reason=roots.hide(result.reason))
        else:
            status, reason = result.nothing
            pending[name] = replace(result, nothing=(status, roots.hide(reason)))
    return ClipReport(
        settled,
        pending,
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
    outbox: Outbox,
    notes: list[str],
) -> Generator[list[Parcel], None, dict[str, ClipResult | Pending]]:
    """Results of the columns that are made from media; closed media where all are settled.

    What was lost of the media is put into `notes`.
    """
    if any(c.open for c in columns) and (fault := media_fault(task.clip, roots)):
        for column in columns:
            column.end(FAILED, fault)
    if not any(column.open for column in columns):
        return {column.name: column.result(NO_SOUND) for column in columns}
    nothing = yield from _feed(task, columns, roots, detector, watch, outbox, notes)
    with watch.on("decode"):
        sha256 = media_sha256([file.path for file in roots.files(task.clip)])
    return {c.name: c.outcome(nothing[c.spec.modality], sha256) for c in columns}


def read_column(column: Assembly, source: ClipResult, watch: Stopwatch) -> ClipResult | Pending:
    """The result of a column that is made from another; it fails or is absent with that one."""
    if source.values is None:
        column.end(source.status, source.reason)
        return column.result(NO_SOUND)
    with watch.on("features"):
        column.take(partial(_slots_of, column.backbone), source)
    return column.outcome((ABSENT, f"nothing in the column {column.spec.reads}"), source.sha256)


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
    outbox: Outbox,
    notes: list[str],
) -> Generator[list[Parcel], None, dict[str, Ending]]:
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
    try:
        for item in watch.drawing("decode", decoding):
            if isinstance(item, AudioChunk):
                audio.push(item, watch)
            else:
                faces.push(item, watch)
            if outbox.full:
                yield outbox.emptied()
    except StoreError:
        raise
    except AvfdError:  # what stopped it stands in `problems`; what came before it counts
        pass
    audio.finish(watch)
    faces.finish(watch)
    notes += decoding.notes
    problems = {name: _ending(error) for name, error in decoding.problems.items()}
    return {"audio": NO_SOUND, "video": faces.nothing, **problems}


def _ending(error: AvfdError) -> Ending:
    return (ABSENT if isinstance(error, AbsentError) else FAILED), describe(error)


class AudioFeed:
    """The sound of one clip, tapped once for each distinct `AudioInput`."""

    def __init__(self, columns: Sequence[Assembly], seconds: float) -> None:
        self.columns = columns
        self._mono = Mono(seconds)
        wanted = dict.fromkeys(c.spec.audio for c in columns if c.spec.audio)
        self._taps = [
            (AudioTap(w, seconds), [c for c in columns if c.spec.audio == w]) for w in wanted
        ]

    def push(self, chunk: AudioChunk, watch: Stopwatch) -> None:
        """Take the next stretch of sound."""
        self._pour(self._mono.push(chunk), watch)

    def finish(self, watch: Stopwatch) -> None:
        """Take the end of the clip."""
        self._pour(self._mono.rest(), watch)
        self._each(lambda tap: tap.end(self._mono), watch)

    def _pour(self, batches: Iterator[Samples], watch: Stopwatch) -> None:
        """Hand batches to all taps; an error in making them ends all columns."""
        with costing(self.columns):
            for batch in watch.drawing("sound", batches):
                self._each(partial(_take, batch, self._mono), watch)

    def _each(self, take: Callable[[AudioTap], list[AudioBlock]], watch: Stopwatch) -> None:
        for tap, columns in self._taps:
            takers = [column for column in columns if column.open]
            blocks: list[AudioBlock] = []
            with watch.on("sound"), costing(takers):
                blocks = take(tap) if takers else []
            for block in blocks:
                with watch.on("features"):
                    for column in takers:
                        column.take(column.backbone.audio, block)


def _take(batch: Samples, mono: Mono, tap: AudioTap) -> list[AudioBlock]:
    return tap.take(batch, mono)
