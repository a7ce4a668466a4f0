"""`avfd forge`: real clips of a data set → pairs of a fake and its real twin, and their table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from avfd.cache import Cache, ColumnReader
from avfd.clips import FAKE, REAL, Clip, read_table
from avfd.errors import InputError, MissingError, Stopped
from avfd.home import Home
from avfd.machine import core_count
from avfd.specs import DONE, STATUS_NAMES
from extract.datasets import table as reader
from extract.forge import manipulations
from extract.forge.folder import Folder, Row
from extract.forge.material import Material, load
from extract.forge.plans import (
    FAKED,
    KINDS,
    MIN_SECONDS,
    OFFSET,
    ROOM,
    SPLICED,
    TWIN,
    VOCODER,
    Forgery,
    Plan,
    called,
    plan,
    unfit,
)
from extract.forge.vocoders import vocoder
from extract.forge.writing import write
from extract.pool import Crash, Outcome, Pool
from extract.run.signals import Signals
from extract.scans import Roots
from extract.task import FACE_TRACK

COLUMNS = (
    "path", "label", "video_label", "audio_label", "kind", "method", "subject", "donor", "original",
    "fake_segments", "made_from", "lent_by",
)  # fmt: skip
"""Of every table; what the data set says of its clips beyond that follows."""
TAKEN = {*COLUMNS, *reader.NUMBERS, *reader.TEXTS, *reader.SCANNED, *reader.MEDIA, "split"}
"""Names that mean something here or to the reader of tables: no clip's `extra` is told by them."""
CLIP_LIMIT_SECONDS = 600.0
DEFAULT_VOCODER = "griffin-lim"

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ForgeOptions:
    """What is to be forged.

    Attributes:
        kinds: in `KINDS`; all where none is named.
        extent: "whole": the whole clip is fake; "local": 30 to 60 % of it; "both": one or the
            other, drawn for each. The kind "both-swap" is always local.
        vocoder: of the kind "vocoder"; see `vocoders`.
        longest_seconds: more of a clip is not used; 2 or more.
        limit: take no more real clips than that; 1 or more.
        variants: of every clip and kind.
        seed: same seed, same files.
    """

    kinds: tuple[str, ...] = ()
    extent: Literal["whole", "local", "both"] = "both"
    vocoder: str = DEFAULT_VOCODER
    longest_seconds: float = 10.0
    limit: int | None = None
    variants: int = 1
    seed: int = 0


@dataclass(frozen=True)
class ForgeReport:
    """What is there now, from this time and from earlier ones.

    Attributes:
        table: path of the CSV that `avfd index NAME --root INTO --table CSV` takes.
        fakes, reals: files of each.
        kinds: kind → fakes.
        skipped: clip key, with the kind where it is one pair only → why it was not made.
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

    Stopped by a signal, it keeps the pairs that are whole and their table; called again, it goes
    on where it stopped.

    Args:
        home: where the data set was indexed and its `face_track` extracted.
        dataset: its name; None: the only one there is.
        into: an empty or new folder, or one that the same options began; outside the data set's
            own.
        options: what to forge.
        progress: called after every pair.
        workers: processes, 1 or more; default: the cores.

    Raises:
        InputError: the folder holds something else or lies in the data set's; unknown words, or
            options that mean nothing; no pair could be made.
        MissingError: no face track is cached.
        Stopped: by SIGINT, SIGTERM or SIGHUP.
    """
    told = options or ForgeOptions()
    kinds = tuple(dict.fromkeys(told.kinds or KINDS))
    name = home.one_dataset(dataset)
    facts = home.read_facts(name)
    roots = Roots(Path(facts.root), Path(facts.audio_root) if facts.audio_root else None)
    _check_place(into, roots)
    _check_meant(told, kinds, workers)
    planned = _planned(home, name, kinds, told)
    if not planned.forgeries:
        raise _no_pair(name, planned.skipped)
    rows = _all_rows(planned.forgeries, told.vocoder)
    columns = [*COLUMNS, *_told_besides(planned.forgeries)]
    folder = Folder(into.absolute(), _facts(name, kinds, told), columns, rows)
    work = Work(home, name, roots, folder.path, told.vocoder)
    faults = _make(planned.forgeries, folder, work, workers, progress)
    skipped = {**planned.skipped, **faults}
    if not folder.done:
        raise _no_pair(name, skipped)
    return _report(into, folder, skipped)


def _check_meant(told: ForgeOptions, kinds: Sequence[str], workers: int | None) -> None:
    """Refuse what would mean nothing."""
    if workers is not None and workers < 1:
        raise InputError("too few", where="--workers", found=workers, accepted="1 or more")
    if VOCODER in kinds:
        vocoder(told.vocoder)
    elif told.vocoder != DEFAULT_VOCODER:
        raise InputError(
            "no voice would be vocoded",
            where="--vocoder",
            found=f"{told.vocoder}, and of kinds {', '.join(kinds)}",
            accepted=f"a vocoder together with --kind {VOCODER}",
        )


def _facts(dataset: str, kinds: Sequence[str], told: ForgeOptions) -> dict[str, object]:
    """What a folder's record says was asked for; the order of the kinds changes no file."""
    return {
        "dataset": dataset,
        "kinds": sorted(kinds),
        "extent": told.extent,
        "vocoder": told.vocoder,
        "longest_seconds": told.longest_seconds,
        "limit": told.limit,
        "variants": told.variants,
        "seed": told.seed,
    }


def _planned(home: Home, dataset: str, kinds: Sequence[str], told: ForgeOptions) -> Plan:
    """The pairs of the clips whose face was followed, and why the other real ones give none."""
    clips = read_table(home.clip_table(dataset))
    faceless = _faceless(clips, _track(home, dataset))
    planned = plan(
        [clip for clip in clips if clip.key not in faceless],
        kinds,
        told.extent,
        told.longest_seconds,
        told.seed,
        told.limit,
        told.variants,
    )
    skipped = {key: why for key, why in faceless.items() if why is not None}
    return Plan(planned.forgeries, {**skipped, **planned.skipped})


def _faceless(clips: Sequence[Clip], track: ColumnReader) -> dict[str, str | None]:
    """Key of each clip without a followed face → why; None where it is not labelled real."""
    keys = [clip.key for clip in clips]
    found: dict[str, str | None] = {}
    for clip, status, said in zip(clips, track.statuses(keys), track.reasons(keys), strict=True):
        if status != DONE:
            why = f"no followed face: {FACE_TRACK} is {STATUS_NAMES[int(status)]}"
            full = unfit(clip) or (f"{why} ({said})" if said else why)
            found[clip.key] = full if clip.label == REAL else None
    return found


def _no_pair(dataset: str, skipped: Mapping[str, str]) -> InputError:
    """The error where nothing can be forged, with the reasons by how often they hold."""
    counts = Counter(skipped.values()).most_common(5)
    return InputError(
        "no real clip to forge from, or nobody to lend",
        where=dataset,
        found="; ".join(f"{n} times {why}" for why, n in counts) or "no clip is labelled real",
        accepted=f"clips labelled real with sound, picture and a followed face, {MIN_SECONDS:g} s "
        "or longer, of two people or more for swaps and blends",
    )


def _report(into: Path, folder: Folder, skipped: Mapping[str, str]) -> ForgeReport:
    rows = folder.rows()
    kinds = {k: sum(r["kind"] == k for r in rows if r["label"] == FAKE) for k in KINDS}
    return ForgeReport(
        into / folder.table.name,
        fakes=sum(kinds.values()),
        reals=sum(r["label"] == REAL for r in rows),
        kinds={k: n for k, n in kinds.items() if n},
        skipped=skipped,
    )


def _check_place(into: Path, roots: Roots) -> None:
    """Refuse to write among the user's media."""
    for root in filter(None, (roots.media, roots.audio)):
        if into.resolve().is_relative_to(root.resolve()):
            raise InputError(
                "forgeries would lie among the data set's own files",
                where="--into",
                found=into,
                accepted=f"a folder outside {root}",
            )


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


def _make(
    forgeries: Sequence[Forgery],
    folder: Folder,
    work: Work,
    workers: int | None,
    progress: Progress | None,
) -> dict[str, str]:
    """Make the pairs that are not there yet; why those that failed did.

    Raises:
        Stopped: by a signal, after the table was written.
    """
    todo = [f for f in forgeries if f.stem not in folder.done]
    faults: dict[str, str] = {}
    there = len(folder.done)
    count = max(1, min(workers or core_count(), len(todo)))
    build = partial(build_forging, work)
    with (
        Signals() as signals,
        folder.kept(),
        Pool[Forgery, None](build, workers=count, time_limit=lambda _: CLIP_LIMIT_SECONDS) as pool,
    ):
        for outcomes in pool.rounds(todo):
            for outcome in outcomes:
                faults |= _noted(outcome, folder, work.roots)
                # A terminal that closed takes no more progress.
                if progress is not None and not signals.caught:
                    done = len(folder.done) + len(faults)
                    progress(done, len(forgeries), outcome.item.stem)
            if signals.caught:
                break
            folder.save_if_due()
    if signals.caught:
        made = len(folder.done) - there
        kept = f"{made} new pairs are kept, {len(folder.done)} in all; the same command goes on"
        raise Stopped(signals.caught, kept)
    return faults


def _noted(outcome: Outcome[Forgery, None], folder: Folder, roots: Roots) -> dict[str, str]:
    """Keep the pair; the pair and why, where it could not be made."""
    pair = outcome.item
    if isinstance(outcome.result, Crash):
        return {called(pair.clip, pair.kind, pair.variant): roots.hide(outcome.result.reason)}
    folder.add(pair.stem)
    return {}


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


def _told_besides(forgeries: Iterable[Forgery]) -> list[str]:
    """The columns for what the data set says of its clips in `extra`, such as an official split."""
    return sorted({name for f in forgeries for name in f.clip.extra if name} - TAKEN)


def _all_rows(forgeries: Sequence[Forgery], vocoder: str) -> dict[str, list[Row]]:
    """The stem of each pair → the rows of its two files."""
    besides = _told_besides(forgeries)
    rows: dict[str, list[Row]] = {}
    for forgery in forgeries:
        if forgery.stem in rows:
            raise InputError(
                "two clips would give files of one name",
                where=forgery.clip.key,
                found=forgery.stem,
                next_step="rename one of them and index again",
            )
        rows[forgery.stem] = _rows(forgery, vocoder, besides)
    return rows


def _rows(forgery: Forgery, vocoder: str, besides: Sequence[str]) -> list[Row]:
    """The fake's row and its twin's; both belong to the group of the clip they are made from.

    The method of a vocoded voice is the vocoder, so that one can be left out of training.
    """
    fake, twin = paths(forgery)
    video, audio = forgery.labels
    common = {
        **{name: forgery.clip.extra.get(name) or "" for name in besides},
        "subject": _person(forgery.clip),
        "made_from": forgery.clip.key,
        "kind": forgery.kind,
        "method": vocoder if forgery.kind == VOCODER else forgery.kind,
    }
    return [
        {
            **common,
            "path": fake,
            "label": FAKE,
            "video_label": video,
            "audio_label": audio,
            "donor": _person(forgery.donor) if forgery.donor else "",
            "original": twin,
            "fake_segments": json.dumps([forgery.segment]),
            "lent_by": forgery.donor.key if forgery.donor else "",
        },
        {
            **common,
            "path": twin,
            "label": REAL,
            "video_label": REAL,
            "audio_label": REAL,
            "donor": "",
            "original": "",
            "fake_segments": "[]",
            "lent_by": "",
        },
    ]


def _person(clip: Clip) -> str:
    """Who is seen; the group where the data set names nobody."""
    return clip.subject or clip.group or clip.key
