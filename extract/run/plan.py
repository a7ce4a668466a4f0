"""What an extract has to do: which clips, in which columns, from where, at what cost."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from avfd.cache import Cache, ClipResult, Reader
from avfd.clips import Clip, read_table
from avfd.errors import CacheError, InputError, StoreError
from avfd.home import DatasetFacts, Home
from avfd.specs import DONE, FAILED, PENDING, BackboneSpec
from extract.backbones import build, load_all
from extract.backbones.base import is_face_pass
from extract.pipeline import Setup
from extract.pool import core_count
from extract.scans import Roots
from extract.task import FACE_MODEL, FACE_TRACK, Task
from extract.weights import WeightsFile, find

log = logging.getLogger(__name__)

GIB = 1 << 30
Todo = tuple[Clip, tuple[str, ...]]
"""A clip, and the columns that it lacks."""

LIBRARIES = ("avfd", "av", "librosa", "mediapipe", "numpy", "opensmile", "soxr", "torch")


def worker_memory_bytes(workers: int) -> int:
    """A worker's fair share of the machine's memory, between 4 and 16 GiB."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(16 * GIB, max(4 * GIB, machine // workers))


@dataclass(frozen=True)
class Limits:
    """What a clip may cost, and when finished results are committed.

    Attributes:
        clip_seconds, clip_seconds_per_second: a clip may take the first plus the second times its
            length; past it, it counts as hung.
        memory_bytes: of each worker; None: see `worker_memory_bytes`.
        commit_bytes: results that may wait in memory before a commit.
        commit_seconds: how long the oldest of them may wait.
    """

    clip_seconds: float = 120.0
    clip_seconds_per_second: float = 30.0
    memory_bytes: int | None = None
    commit_bytes: int = 64 << 20
    commit_seconds: float = 30.0

    def time_limit(self, task: Task) -> float:
        """Seconds that the task may take."""
        return self.clip_seconds + self.clip_seconds_per_second * task.clip.seconds


@dataclass(frozen=True)
class Plan:
    """The work of one extract.

    Attributes:
        dataset: name of the data set.
        cache: where results go.
        reader: the snapshot on which the plan stands.
        clips: the clip table in entry order.
        columns: column → backbone.
        specs: column → the backbone's spec.
        setup: what the workers need.
        todo: clips with work, and the columns that each lacks.
        use_track: whether the cached face track is the one that would be made now.
    """

    dataset: str
    cache: Cache
    reader: Reader
    clips: Sequence[Clip]
    columns: Mapping[str, str]
    specs: Mapping[str, BackboneSpec]
    setup: Setup
    todo: Sequence[Todo] = field(repr=False)
    use_track: bool = False

    def tasks(self) -> Iterator[Task]:
        """The work on each clip, what is cached and needed read along."""
        for clip, columns in self.todo:
            yield Task(
                clip,
                self.reader.entry(clip.key),
                self.reader.rows(clip.key),
                {column: self.columns[column] for column in columns},
                self._stored(clip.key, columns),
            )

    def _stored(self, key: str, columns: Sequence[str]) -> dict[str, ClipResult]:
        cuts = any(self.specs[column].faces for column in columns)
        if not (cuts and self.use_track) or FACE_TRACK in columns:
            return {}
        track = self.reader.column(FACE_TRACK)
        status, reason = int(track.statuses([key])[0]), track.reasons([key])[0]
        if status == PENDING:
            return {}
        entry = self.reader.entry(key)
        if status != DONE:
            return {FACE_TRACK: ClipResult(entry, key, status, reason)}
        cells = track.read(key)
        return {FACE_TRACK: ClipResult(entry, key, DONE, "", cells.values, cells.valid)}

    @property
    def bytes_needed(self) -> int:
        """What the results take on disk at most: before compression, all clips done."""
        return sum(
            clip_bytes(self.specs[column], self.reader.rows(clip.key))
            for clip, columns in self.todo
            for column in columns
        )


def clip_bytes(spec: BackboneSpec, rows: int) -> int:
    """Bytes of one clip's values and mask, uncompressed."""
    vector = math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
    return vector if spec.clip_level else rows * spec.rate_hz * (vector + 1)


def make_plan(
    home: Home,
    dataset: str,
    columns: Mapping[str, str],
    *,
    limit: int | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Look at the clip table and the cache; makes the columns that are not there yet.

    Args:
        columns: column → backbone.
        limit, retry_failed: as in `extract_columns`.
    """
    facts = home.read_facts(dataset)
    cache = Cache.open(home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset))
    load_all()
    specs = {column: build(backbone).spec for column, backbone in columns.items()}
    _check_inputs(specs)
    weights = {name: find(name, home) for spec in specs.values() for name in spec.weights}
    for column, spec in specs.items():
        cache.ensure_column(column, spec, fingerprint(spec, weights), {"versions": versions()})
    reader = cache.snapshot()
    clips = _in_entry_order(read_table(home.clip_table(dataset)), reader, dataset)
    todo = _todo(clips, reader, columns, retry_failed)[:limit]
    use_track = _track_is_current(reader, weights)
    model = weights[FACE_MODEL].path if _needs_detector(todo, specs, reader, use_track) else None
    plan = Plan(
        dataset,
        cache,
        reader,
        clips,
        columns,
        specs,
        Setup(_roots(facts), tuple(dict.fromkeys(columns.values())), model),
        todo,
        use_track,
    )
    _check_space(plan, home.cache_url(dataset))
    return plan


def _check_inputs(specs: Mapping[str, BackboneSpec]) -> None:
    """Refuse a backbone that reads a column: no backbone does yet, and `Backbone` has no such call.

    The place for it: its column among `Plan._stored`, its call beside the face pass's.
    """
    for column, spec in specs.items():
        if spec.reads:
            raise InputError(
                "a backbone that reads another column cannot be extracted yet",
                where=column,
                found=f"reads {spec.reads}",
                accepted="backbones that take sound or pictures",
            )


def fingerprint(spec: BackboneSpec, weights: Mapping[str, WeightsFile]) -> str:
    """The spec's fingerprint with the model files that were found."""
    return spec.fingerprint({name: weights[name].sha256 for name in spec.weights})


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers may depend on; recorded, not hashed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _roots(facts: DatasetFacts) -> Roots:
    for folder in filter(None, (facts.root, facts.audio_root)):
        if not Path(folder).is_dir():
            raise InputError(
                "the data set's folder is not there",
                where=facts.name,
                found=folder,
                next_step="mount it, or run `avfd index` with the folder's new place",
            )
    return Roots(Path(facts.root), Path(facts.audio_root) if facts.audio_root else None)


def _in_entry_order(clips: Sequence[Clip], reader: Reader, dataset: str) -> list[Clip]:
    known = set(reader.keys)
    missing = [clip.key for clip in clips if clip.key not in known]
    if missing:
        raise CacheError(
            f"{len(missing)} clips of the clip table are not in the cache",
            where=dataset,
            found=", ".join(missing[:3]),
            next_step=f"run `avfd index {dataset}` again",
        )
    return sorted(clips, key=lambda clip: reader.entry(clip.key))


def _todo(
    clips: Sequence[Clip], reader: Reader, columns: Mapping[str, str], retry_failed: bool
) -> list[Todo]:
    keys = [clip.key for clip in clips]
    wanted = (PENDING, FAILED) if retry_failed else (PENDING,)
    lacks = {c: np.isin(reader.column(c).statuses(keys), wanted) for c in columns}
    each = [tuple(c for c in columns if lacks[c][i]) for i in range(len(clips))]
    return [(clip, names) for clip, names in zip(clips, each, strict=True) if names]


def _needs_detector(
    todo: Sequence[Todo], specs: Mapping[str, BackboneSpec], reader: Reader, use_track: bool
) -> bool:
    """Whether some clip's face is to be found that no cached track shows."""
    if any(is_face_pass(specs[column]) for _, columns in todo for column in columns):
        return True
    keys = [clip.key for clip, columns in todo if any(specs[column].faces for column in columns)]
    if not (keys and use_track):
        return bool(keys)
    return bool((reader.column(FACE_TRACK).statuses(keys) == PENDING).any())


def _track_is_current(reader: Reader, weights: Mapping[str, WeightsFile]) -> bool:
    """Whether crops may be cut along the cached face track: the same tracker made it."""
    if FACE_TRACK not in reader.columns or FACE_MODEL not in weights:
        return False
    return reader.column(FACE_TRACK).fingerprint == fingerprint(build(FACE_TRACK).spec, weights)


def _check_space(plan: Plan, url: str) -> None:
    """Refuse what does not fit on the disk; an object store has no end."""
    needed = plan.bytes_needed
    log.info("%d clips to do, %.3f GB at most", len(plan.todo), needed / 1e9)
    free = math.inf if "://" in url else shutil.disk_usage(url).free
    if needed > free:
        raise StoreError(
            "the columns do not fit on the disk",
            where=url,
            found=f"{free / 1e9:.1f} GB free",
            accepted=f"{needed / 1e9:.1f} GB for {len(plan.todo)} clips",
            next_step="free some space, put the home elsewhere, or take fewer clips with --limit",
        )


def worker_count(asked: int | None, clips: int) -> int:
    """Processes for that many clips: the number asked for, else the cores."""
    return max(1, min(asked or core_count(), clips))
