"""What an extract has to do: which clips, in which columns, from where, at what cost."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from avfd import machine
from avfd.asks import parse
from avfd.cache import Cache, Reader
from avfd.clips import Clip, read_table
from avfd.differences import check_alike, facts_of
from avfd.errors import CacheError, InputError, StoreError
from avfd.home import DatasetFacts, Home
from avfd.specs import FAILED, PENDING, BackboneSpec
from extract.backbones import build, load_all, names
from extract.batching import Job
from extract.pipeline import Setup
from extract.run.column_facts import attributes, licence
from extract.run.devices import devices_for
from extract.run.parts import part_of
from extract.run.stored import Stored, needs_detector, needs_media
from extract.scans import Roots
from extract.spool import SPOOL_BYTES
from extract.task import FACE_MODEL, FACE_TRACK, Task
from extract.weights import WeightsFile, find

log = logging.getLogger(__name__)

GIB = 1 << 30
NO_NETWORKS: Mapping[str, int] = MappingProxyType({})
Todo = tuple[Clip, tuple[str, ...]]
"""A clip, and the columns that it lacks."""


def worker_memory_bytes(workers: int) -> int:
    """What a clip may take: a worker's fair share of the memory there is, 4 to 16 GiB."""
    return min(16 * GIB, max(4 * GIB, machine.memory_bytes() // workers))


@dataclass(frozen=True)
class Limits:
    """What a clip may cost, and when finished results are committed.

    Attributes:
        clip_seconds, clip_seconds_per_second: a clip may take the first plus the second times its
            length, and the second once more for each network that runs with its columns in the
            worker; past it, it counts as hung.
        memory_bytes: of each worker, beside its networks; None: see `worker_memory_bytes`.
        commit_bytes: results that may wait in memory before a commit.
        commit_seconds: how long the oldest of them may wait.
        window_bytes: windows that may be on their way to devices; more make readers wait.
        spool_bytes: size from which on an array of a clip waits in a file, not in memory.
    """

    clip_seconds: float = 120.0
    clip_seconds_per_second: float = 30.0
    memory_bytes: int | None = None
    commit_bytes: int = 64 << 20
    commit_seconds: float = 30.0
    window_bytes: int = 1 << 30
    spool_bytes: int = SPOOL_BYTES

    def time_limit(self, task: Task, networks: Mapping[str, int] = NO_NETWORKS) -> float:
        """Seconds that the task may take.

        Args:
            networks: as `Setup.networks_here` gives them.
        """
        shares = 1 + sum(networks.get(asked, 0) for asked in task.columns.values())
        return self.clip_seconds + self.clip_seconds_per_second * task.clip.seconds * shares

    def job_time_limit(self, job: Job) -> float:
        """Seconds that a device may take for a job; a parcel holds a second of media or more."""
        return self.clip_seconds + self.clip_seconds_per_second * len(job.tokens)


@dataclass(frozen=True)
class Plan:
    """The work of one extract.

    Attributes:
        dataset: name of the data set.
        cache: where results go.
        reader: the snapshot on which the plan stands.
        clips: the clip table in entry order.
        columns: column → backbone.
        specs: column → the backbone's spec; the columns that these read are among them.
        setup: what the workers need.
        todo: clips with work, and the columns that each lacks.
        stored: what is cached already and the work builds on.
    """

    dataset: str
    cache: Cache
    reader: Reader
    clips: Sequence[Clip]
    columns: Mapping[str, str]
    specs: Mapping[str, BackboneSpec]
    setup: Setup
    stored: Stored
    todo: Sequence[Todo] = field(repr=False)

    def tasks(self) -> Iterator[Task]:
        """The work on each clip, what is cached and needed read along."""
        for clip, columns in self.todo:
            yield Task(
                clip,
                self.reader.entry(clip.key),
                self.reader.rows(clip.key),
                {column: self.columns[column] for column in columns},
                self.stored.below(clip.key, columns, self.specs, self.setup.spool),
            )

    @property
    def bytes_needed(self) -> int:
        """What the results take before compression, all clips done, without the chunks' padding."""
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
    part: str | None = None,
    weights: Sequence[str] = (),
    device: str = "auto",
    compiled: bool = False,
) -> Plan:
    """Look at the clip table and the cache; makes the columns that are not there yet.

    Columns are made last, so that a call that is refused leaves no new one.

    Args:
        columns: column → backbone, with its options.
        limit, retry_failed, part, weights, device, compiled: as in `extract_columns`.
    """
    facts = home.read_facts(dataset)
    cache = Cache.open(home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset))
    load_all()
    _check_names(columns)
    specs = {column: build(backbone).spec for column, backbone in columns.items()}
    read = {spec.reads: build(spec.reads).spec for spec in specs.values() if spec.reads}
    _check_read(specs, read)
    for asked in dict.fromkeys((*columns.values(), *read)):
        build(asked).check_installed()
    files = weights_files(home, (*specs.values(), *read.values()), weights)
    for asked in dict.fromkeys((*columns.values(), *read)):
        backbone = build(asked)
        own = {n: files[n].path for n in backbone.spec.weights if n != FACE_MODEL}
        backbone.check(own)
    reader = cache.snapshot()
    for column, spec in read.items():
        _check_current(reader, column, spec, files)
    clips = _in_entry_order(read_table(home.clip_table(dataset)), reader, dataset)
    ours = clips if part is None else part_of(clips, part)
    todo = _todo(ours, reader, columns, retry_failed)[:limit]
    base = {c for c in read if c in reader.columns}
    stored = Stored(reader, base | {FACE_TRACK} if _track_is_current(reader, files) else base)
    known = {**read, **specs}
    model = files[FACE_MODEL].path if needs_detector(todo, known, stored) else None
    backbones = tuple(dict.fromkeys((*columns.values(), *read)))
    roots = Roots(Path(facts.root), Path(facts.audio_root) if facts.audio_root else None)
    if needs_media(todo, known, stored):
        _check_there(facts)
    networks = {name: file.path for name, file in files.items() if name != FACE_MODEL}
    # Where no network is asked for, "auto" need not import PyTorch to look for a GPU.
    devices = devices_for(device) if networks or device != "auto" else ()
    setup = Setup(
        roots,
        backbones,
        model,
        networks,
        devices if networks else (),
        home.compiled_dir if compiled else None,
    )
    plan = Plan(dataset, cache, reader, clips, columns, known, setup, stored, todo)
    _check_space(plan, home.cache_url(dataset))
    for column in sorted(specs, key=lambda name: name not in reader.columns):  # refusals first
        spec = specs[column]
        said = replace(spec, licence=licence(spec, read, files))
        cache.ensure_column(column, said, fingerprint(spec, files), attributes(spec, files))
    return plan


def weights_files(
    home: Home, specs: Iterable[BackboneSpec], given: Sequence[str]
) -> dict[str, WeightsFile]:
    """Weights name → file, for all that these backbones need.

    Args:
        given: "NAME=PATH", or the path alone where one network is asked for; a run's name counts
            as a path.
    """
    needed = dict.fromkeys(name for spec in specs for name in spec.weights)
    networks = [name for name in needed if name != FACE_MODEL]
    paths: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals and len(networks) == 1:
            name, path = networks[0], text
        if name not in needed or not path:
            raise InputError(
                "whose weights are these?",
                where="--weights",
                found=text,
                accepted=" or ".join(f"{n}=PATH" for n in networks) or "no network is asked for",
            )
        paths[name] = path
    return {name: find(name, home, paths.get(name)) for name in needed}


def _check_names(columns: Mapping[str, str]) -> None:
    """Refuse another backbone's name for a column: whoever reads it would take it for that one."""
    for column, backbone in columns.items():
        if column in names() and column != parse(backbone).name:
            raise InputError(
                "the column would have the name of another backbone",
                where="--as",
                found=f"{column} for {backbone}",
                next_step="take a name that no backbone has",
            )


def _check_read(specs: Mapping[str, BackboneSpec], read: Mapping[str, BackboneSpec]) -> None:
    """Refuse a column that would be read through a third one."""
    for column, spec in specs.items():
        if spec.reads and read[spec.reads].reads:
            raise InputError(
                "a backbone reads a column that is not made from media",
                where=column,
                found=f"reads {spec.reads}",
                accepted="to read a column that is made from sound or pictures",
            )


def _check_current(
    reader: Reader, column: str, spec: BackboneSpec, files: Mapping[str, WeightsFile]
) -> None:
    """Refuse to read a cached column that its backbone would make otherwise now."""
    if column in reader.columns:
        check_alike(
            "the column to be read was written with other settings or weights",
            where=column,
            found=reader.column(column).spec_facts,
            accepted=facts_of(spec, fingerprint(spec, files), attributes(spec, files)),
            next_step="give the backbones and weights that wrote it, or take another --home",
        )


def fingerprint(spec: BackboneSpec, weights: Mapping[str, WeightsFile]) -> str:
    """The spec's fingerprint with the model files and cards that were found, and what it reads."""
    read = fingerprint(build(spec.reads).spec, weights) if spec.reads else ""
    own = {name: weights[name] for name in spec.weights}
    digests = {name: file.sha256 for name, file in own.items()}
    return spec.fingerprint(digests, read, {name: file.settings for name, file in own.items()})


def _check_there(facts: DatasetFacts) -> None:
    for folder in filter(None, (facts.root, facts.audio_root)):
        if not Path(folder).is_dir():
            raise InputError(
                "the data set's folder is not there",
                where=facts.name,
                found=folder,
                next_step="mount it, or run `avfd index` with the folder's new place",
            )


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
    reader.check_media({clip.key: clip.bytes for clip in clips})
    return sorted(clips, key=lambda clip: reader.entry(clip.key))


def _todo(
    clips: Sequence[Clip], reader: Reader, columns: Mapping[str, str], retry_failed: bool
) -> list[Todo]:
    keys = [clip.key for clip in clips]
    wanted = (PENDING, FAILED) if retry_failed else (PENDING,)
    new = np.full(len(keys), PENDING)  # how clips stand in a column that is still to be made
    stand = {c: reader.column(c).statuses(keys) if c in reader.columns else new for c in columns}
    lacks = {column: np.isin(statuses, wanted) for column, statuses in stand.items()}
    each = [tuple(c for c in columns if lacks[c][i]) for i in range(len(clips))]
    once: dict[tuple[str, ...], tuple[str, ...]] = {}  # of ten thousand equal ones, one is enough
    each = [once.setdefault(names, names) for names in each]
    return [(clip, names) for clip, names in zip(clips, each, strict=True) if names]


def _track_is_current(reader: Reader, weights: Mapping[str, WeightsFile]) -> bool:
    """Whether crops may be cut along the cached face track: the same tracker made it."""
    if FACE_TRACK not in reader.columns or FACE_MODEL not in weights:
        return False
    return reader.column(FACE_TRACK).fingerprint == fingerprint(build(FACE_TRACK).spec, weights)


def _check_space(plan: Plan, url: str) -> None:
    """Refuse what does not fit on the disk; an object store has no end."""
    needed = plan.bytes_needed
    log.info("%d clips to do, about %.3f GB before compression", len(plan.todo), needed / 1e9)
    free = math.inf if "://" in url else shutil.disk_usage(url).free
    if needed > free:
        raise StoreError(
            "the columns do not fit on the disk",
            where=url,
            found=f"{free / 1e9:.3g} GB free",
            accepted=f"{needed / 1e9:.3g} GB for {len(plan.todo)} clips",
            next_step="free some space, put the home elsewhere, or take fewer clips with --limit",
        )


def worker_count(asked: int | None, clips: int) -> int:
    """Processes for that many clips: the number asked for, else the cores."""
    return max(1, min(asked or machine.core_count(), clips))
