"""`avfd forge`: real clips of a data set → pairs of a fake and its real twin, and their table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from avfd.cache import Cache, ColumnReader
from avfd.clips import FAKE, REAL, Clip, read_table
from avfd.errors import InputError, MissingError
from avfd.home import Home
from avfd.specs import DONE
from extract.forge import manipulations
from extract.forge.material import Material, load
from extract.forge.plans import (
    FAKED,
    KINDS,
    OFFSET,
    ROOM,
    SPLICED,
    TWIN,
    VOCODER,
    Forgery,
    plan,
)
from extract.forge.vocoders import vocoder
from extract.forge.writing import write
from extract.pool import Crash, Pool, core_count
from extract.scans import Roots
from extract.task import FACE_TRACK

TABLE = "clips.csv"
COLUMNS = (
    "path", "label", "video_label", "audio_label", "kind", "method", "subject", "donor", "original",
    "fake_segments",
)  # fmt: skip
CLIP_LIMIT_SECONDS = 600.0

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ForgeOptions:
    """What is to be forged.

    Attributes:
        kinds: in `KINDS`; all where none is named.
        extent: "whole": the whole clip is fake; "local": 30 to 60 % of it; "both": one or the
            other, drawn for each.
        vocoder: of the kind "vocoder"; see `vocoders`.
        longest_seconds: more of a clip is not used; 2 or more.
        limit: take no more real clips than that; 1 or more.
        variants: of every clip and kind.
        seed: same seed, same files.
    """

    kinds: tuple[str, ...] = ()
    extent: Literal["whole", "local", "both"] = "both"
    vocoder: str = "griffin-lim"
    longest_seconds: float = 10.0
    limit: int | None = None
    variants: int = 1
    seed: int = 0


@dataclass(frozen=True)
class ForgeReport:
    """What was made.

    Attributes:
        table: path of the CSV that `avfd index NAME --root INTO --table CSV` takes.
        fakes, reals: files of each.
        kinds: kind → fakes.
        skipped: clip key and kind → why no pair was made.
    """

    table: Path
    fakes: int
    reals: int
    kinds: Mapping[str, int]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What every worker needs to know."""

    home: Home
    dataset: str
    roots: Roots
    into: Path
    vocoder: str


def forge(
    home: Home,
    dataset: str | None,
    into: Path,
    options: ForgeOptions | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> ForgeReport:
    """Write a fake and its real twin for every real clip and kind, and the table of them all.

    Args:
        home: where the data set was indexed and its `face_track` extracted.
        dataset: its name; None: the only one there is.
        into: an empty or new folder; outside the data set's own.
        options: what to forge.
        progress: called after every pair.
        workers: processes; default: the cores.

    Raises:
        InputError: the folder is not empty or lies in the data set's; unknown words; no real clip.
        MissingError: no face track is cached.
    """
    told = options or ForgeOptions()
    name = home.one_dataset(dataset)
    facts = home.read_facts(name)
    roots = Roots(Path(facts.root), Path(facts.audio_root) if facts.audio_root else None)
    _check_folder(into, roots)
    vocoder(told.vocoder)
    clips = [c for c in _with_faces(home, name) if not c.problem]
    forgeries = plan(
        clips,
        told.kinds or tuple(KINDS),
        told.extent,
        told.longest_seconds,
        told.seed,
        told.limit,
        told.variants,
    )
    into.mkdir(parents=True, exist_ok=True)
    work = Work(home, name, roots, into.absolute(), told.vocoder)
    rows: list[dict[str, str | None]] = []
    skipped: dict[str, str] = {}
    for done, (forgery, fault) in enumerate(_made(forgeries, work, workers), 1):
        if fault is None:
            rows += _rows(forgery, told.vocoder)
        else:
            skipped[f"{forgery.clip.key} [{forgery.kind}]"] = roots.hide(fault)
        if progress is not None:
            progress(done, len(forgeries), forgery.stem)
    table = _write_table(into / TABLE, rows)
    kinds = {k: sum(r["kind"] == k for r in rows if r["label"] == FAKE) for k in KINDS}
    return ForgeReport(
        table,
        fakes=sum(kinds.values()),
        reals=sum(r["label"] == REAL for r in rows),
        kinds={k: n for k, n in kinds.items() if n},
        skipped=skipped,
    )


def _check_folder(into: Path, roots: Roots) -> None:
    """Refuse to write among the user's media, or over anything."""
    for root in filter(None, (roots.media, roots.audio)):
        if into.resolve().is_relative_to(root.resolve()):
            raise InputError(
                "forgeries would lie among the data set's own files",
                where="--into",
                found=into,
                accepted=f"a folder outside {root}",
            )
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InputError(
            "the folder is not empty",
            where="--into",
            found=into,
            accepted="a new or empty folder",
            next_step="name another one: nothing is ever written over",
        )


def _with_faces(home: Home, dataset: str) -> list[Clip]:
    """The clips whose face was followed."""
    track = _track(home, dataset)
    clips = read_table(home.clip_table(dataset))
    statuses = track.statuses([clip.key for clip in clips])
    return [clip for clip, status in zip(clips, statuses, strict=True) if status == DONE]


@lru_cache(maxsize=4)
def _track(home: Home, dataset: str) -> ColumnReader:
    cache = Cache.open(home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset))
    reader = cache.snapshot()
    if FACE_TRACK not in reader.columns:
        raise MissingError(
            "forging needs to know where the faces are",
            where=dataset,
            found=f"no column {FACE_TRACK}",
            next_step=f"run `avfd extract --dataset {dataset} --backbone {FACE_TRACK}`",
        )
    return reader.column(FACE_TRACK)


def _made(
    forgeries: Sequence[Forgery], work: Work, workers: int | None
) -> Iterator[tuple[Forgery, str | None]]:
    """Every forgery, and why it could not be made; None where it was."""
    count = max(1, min(workers or core_count(), len(forgeries)))
    build = partial(build_forging, work)
    with Pool[Forgery, None](build, workers=count, time_limit=lambda _: CLIP_LIMIT_SECONDS) as pool:
        for outcome in pool.run(forgeries):
            fault = outcome.result.reason if isinstance(outcome.result, Crash) else None
            yield outcome.item, fault


def build_forging(work: Work) -> Callable[[Forgery], None]:
    """The work of one worker."""
    track = _track(work.home, work.dataset)

    held: dict[tuple[str, float], Material] = {}

    def material(clip: Clip, seconds: float) -> Material:
        """The last clip is kept: its other kinds come next."""
        at = (clip.key, seconds)
        if at not in held:
            held.clear()
            held[at] = load(clip, work.roots, track, seconds)
        return held[at]

    def make(forgery: Forgery) -> None:
        own = material(forgery.clip, forgery.read_seconds)
        donor = None
        if forgery.donor is not None:
            donor = load(forgery.donor, work.roots, track, forgery.seconds)
        fake, twin = paths(forgery)
        real = manipulations.twin(forgery.kind, own, forgery.segment, forgery.drawn(TWIN))
        said = manipulations.faked(
            forgery.kind,
            real if forgery.kind in SPLICED else own,
            donor,
            forgery.segment,
            work.vocoder,
            # Both of an offset's pair are moved by one draw.
            forgery.drawn(TWIN if forgery.kind == OFFSET else FAKED),
        )
        write(work.into / twin, real, forgery.drawn(ROOM))
        write(work.into / fake, said, forgery.drawn(ROOM))

    return make


def paths(forgery: Forgery) -> tuple[str, str]:
    """Of the fake and of its twin, below the folder."""
    return f"fake/{forgery.stem}.mp4", f"real/{forgery.stem}.mp4"


def _rows(forgery: Forgery, vocoder: str) -> list[dict[str, str | None]]:
    """The fake's row and its twin's; both belong to the group of the clip they are made from.

    The method of a vocoded voice is the vocoder, so that one can be left out of training.
    """
    fake, twin = paths(forgery)
    video, audio = forgery.labels
    own = _person(forgery.clip)
    method = vocoder if forgery.kind == VOCODER else forgery.kind
    common = {"subject": own, "original": twin, "kind": forgery.kind, "method": method}
    return [
        {
            **common,
            "path": fake,
            "label": FAKE,
            "video_label": video,
            "audio_label": audio,
            "donor": _person(forgery.donor) if forgery.donor else None,
            "fake_segments": json.dumps([forgery.segment]),
        },
        {
            **common,
            "path": twin,
            "label": REAL,
            "video_label": REAL,
            "audio_label": REAL,
            "donor": None,
            "original": None,
            "fake_segments": "[]",
        },
    ]


def _person(clip: Clip) -> str:
    """Who is seen; the group where the data set names nobody."""
    return clip.subject or clip.group or clip.key


def _write_table(path: Path, rows: Sequence[Mapping[str, str | None]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["path"])))
    return path
