"""`avfd index`: a folder of media → the clip table, and its clips in the cache.

The reader of the layout finds the clips, their media are scanned, clips that share people are
grouped, the cache learns of every clip, and last the table is written.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from avfd.cache import Cache, Entry, IndexChange
from avfd.clips import Clip, check_unique, grouped, read_table, write_table
from avfd.errors import InputError
from avfd.home import DatasetFacts, Home
from avfd.machine import core_count
from avfd.manifest import Manifest, load
from extract import scans
from extract.datasets import base
from extract.scans import Progress, Roots, ScanPool

UNLABELLED = "unlabelled"
SEGMENT_SPARE_SECONDS = 1.0
"""So far past the clip's measured end a fake segment may reach: label files round and pad."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class IndexReport:
    """What an index found.

    Attributes:
        dataset, layout, protocol: as in `DatasetFacts`; protocol is never None here.
        clips: how many there are.
        groups: how many groups they form.
        hours: length of all clips together.
        labels, methods, emotions: clips of each.
        notes: sentences for people: what is missing, unlabelled, unverified.
        added, changed, kept, unlisted: clips by what the cache knew of them; unlisted ones are in
            the cache and not in this index, and stay there.
        problems: clip key → why its media cannot be read; such clips stay and end as failed.
    """

    dataset: str
    layout: str
    protocol: str
    clips: int
    groups: int
    hours: float
    labels: dict[str, int]
    methods: dict[str, int]
    emotions: dict[str, int]
    notes: list[str]
    added: int
    changed: int
    kept: int
    unlisted: int
    problems: dict[str, str] = field(default_factory=dict)


def _silent(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def index_dataset(
    home: Home,
    dataset: str,
    root: str | Path,
    *,
    layout: str | None = None,
    table: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    subject_column: str | None = None,
    audio_root: str | Path | None = None,
    protocol: str | None = None,
    options: dict[str, str] | None = None,
    workers: int | None = None,
    progress: Progress = _silent,
) -> IndexReport:
    """Index a data set, or index it again after files came, went or changed.

    Args:
        home: where the clip table and the cache go.
        dataset: name of the data set in this home; a layout's own name implies that layout.
        root: folder of its media.
        layout: the reader; default: "table" where a table is given, else `dataset` where it is a
            known layout, else "folder".
        table, path_column, label_column, subject_column: for the layout "table".
        audio_root: folder of the sound where it lies apart.
        protocol: what `fit` takes when none is named; default: the manifest's.
        options: what else the layout's reader takes, see its module.
        workers: processes that scan; default: the cores.
        progress: called with files scanned, files to scan and a few words.

    Raises:
        InputError: the folder holds no clip of that layout, two files give one key, a path leads
            out of the root, or an option does not fit the layout.
    """
    columns = {"path": path_column, "label": label_column, "subject": subject_column}
    given = {f"{name}_column": column for name, column in columns.items()}
    given["table"] = str(Path(table).absolute()) if table else None
    if workers is not None and workers < 1:
        raise InputError("too few", where="--workers", found=workers, accepted="1 or more")
    facts = _facts(dataset, layout, root, audio_root, protocol, {**given, **(options or {})})
    base.check_options(facts.layout, options or {})
    table_before = home.clip_table(dataset)
    before = read_table(table_before) if table_before.is_file() else []
    root_before = _root_before(home, dataset)
    with scans.scan_pool(workers or core_count()) as pool:
        source = _source(facts, pool)
        clips, notes = read_clips(source)
        clips = _grouped(source, _scanned(facts, clips, before, pool, progress, notes))
    change = _tell_cache(home, facts, clips)
    write_table(clips, home.clip_table(dataset))
    facts.notes.extend([*notes.lines(), *_strange(facts.layout, clips)])
    facts.notes.extend(_left_behind(root_before, before, facts.root, clips))
    home.write_facts(facts)
    return _report(facts, clips, change)


def _facts(
    dataset: str,
    layout: str | None,
    root: str | Path,
    audio_root: str | Path | None,
    protocol: str | None,
    options: dict[str, str | None],
) -> DatasetFacts:
    """The call, checked, as the home will remember it."""
    if not _NAME.fullmatch(dataset):
        raise InputError(
            "not a name for a data set",
            found=dataset,
            accepted="letters, digits, '.', '_' and '-', a letter or digit first",
        )
    chosen = layout or _implied_layout(dataset, options)
    base.get(chosen)
    _check_table_options(chosen, options)
    manifest = load(chosen)
    return DatasetFacts(
        name=dataset,
        layout=chosen,
        root=str(_folder(root, "--root")),
        audio_root=str(_audio_folder(manifest, audio_root)) if audio_root else None,
        protocol=manifest.protocol(protocol).name if protocol else None,
        notes=[f"unverified: {point}" for point in manifest.unverified],
        options={name: value for name, value in options.items() if value is not None},
    )


def _implied_layout(dataset: str, options: dict[str, str | None]) -> str:
    if options.get("table"):
        return "table"
    return dataset if dataset in base.names() else "folder"


def _check_table_options(layout: str, options: dict[str, str | None]) -> None:
    for option in ("table", "path_column", "label_column", "subject_column"):
        if layout != "table" and options.get(option):
            raise InputError(
                f"the layout {layout!r} reads no table",
                where=f"--{option.replace('_', '-')}",
                found=options[option],
                next_step="leave --layout out and name the table with --table",
            )


def _folder(path: str | Path, option: str) -> Path:
    folder = Path(path).absolute()
    if not folder.is_dir():
        there = "a file" if folder.exists() else "nothing"
        raise InputError(
            "not a folder", where=option, found=f"{there} at {folder}", accepted="a folder"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(
            "no right to read the folder", where=option, found=folder, next_step="see `ls -ld`"
        )
    return folder


def _audio_folder(manifest: Manifest, audio_root: str | Path) -> Path:
    if not manifest.audio_apart:
        raise InputError(
            f"the sound of {manifest.title} does not lie apart",
            where="--audio-root",
            found=audio_root,
            next_step="leave --audio-root out",
        )
    return _folder(audio_root, "--audio-root")


def _source(facts: DatasetFacts, pool: ScanPool) -> base.Source:
    """What the layout's reader is given."""
    return base.Source(
        dataset=facts.name,
        root=Path(facts.root),
        manifest=load(facts.layout),
        audio_root=Path(facts.audio_root) if facts.audio_root else None,
        options=facts.options,
        frame_rate=partial(scans.frame_rate, pool),
    )


def read_clips(source: base.Source) -> tuple[list[Clip], base.Notes]:
    """The clips that the layout's reader finds, and what it has to say."""
    notes = base.Notes()
    layout = source.manifest.name
    clips = list(base.get(layout)(source, notes))
    for what, links in (
        (base.BROKEN, source.files.broken_links),
        (base.LINKED, source.files.linked_folders),
    ):
        for path in links:
            notes.count(what, path)
    if not clips:
        raise notes.no_clip or InputError(
            f"no clip of the layout {layout!r} here",
            where=source.root,
            found="; ".join([f"{len(source.files.paths)} files", *notes.lines()]),
            accepted=" | ".join(source.manifest.layout),
            next_step="check --root and --layout",
        )
    check_unique(clips)
    return clips, notes


def _scanned(
    facts: DatasetFacts,
    clips: Sequence[Clip],
    before: Sequence[Clip],
    pool: ScanPool,
    progress: Progress,
    notes: base.Notes,
) -> list[Clip]:
    """The clips, measured; those of the last index that are unchanged keep what it found."""

    def note(why: str, path: str) -> None:
        notes.count(f"files could not be read to the end: {why}", path)

    clips = scans.with_stat(clips, _roots(facts))
    measured = scans.with_media(clips, _roots(facts), before, pool, progress, note)
    return [_with_segments_inside(clip) for clip in measured]


def _grouped(source: base.Source, clips: Sequence[Clip]) -> list[Clip]:
    """The clips with `group` set; a file that links give several paths is one file."""
    media, sound = source.files.first_of, source.audio_files.first_of
    if not media and not sound:
        return grouped(clips)
    keys = {source.key(path): source.key(first) for path, first in media.items()}
    by_first = [
        replace(
            clip,
            video_path=clip.video_path and media.get(clip.video_path, clip.video_path),
            audio_path=clip.audio_path and sound.get(clip.audio_path, clip.audio_path),
            source=clip.source and keys.get(clip.source, clip.source),
        )
        for clip in clips
    ]
    groups = [clip.group for clip in grouped(by_first)]
    return [replace(clip, group=group) for clip, group in zip(clips, groups, strict=True)]


def _with_segments_inside(clip: Clip) -> Clip:
    """The clip, with a problem where a label file and its media cannot belong together."""
    end = max((end for _, end in clip.fake_segments or ()), default=0.0)
    if clip.problem or end <= clip.seconds + SEGMENT_SPARE_SECONDS:
        return clip
    said = f"a fake segment ends at {end:.3f} s, the clip at {clip.seconds:.3f} s"
    return replace(clip, problem=said)


def _roots(facts: DatasetFacts) -> Roots:
    return Roots(Path(facts.root), Path(facts.audio_root) if facts.audio_root else None)


def _strange(layout: str, clips: Sequence[Clip]) -> list[str]:
    """A warning where a named layout explained nothing: most likely it is another one."""
    if layout in ("folder", "table") or any(clip.label or clip.emotion for clip in clips):
        return []
    return [
        f"no clip has a label: nothing here looks like {load(layout).title}; check --root and "
        "--layout, or take --layout folder"
    ]


def _root_before(home: Home, dataset: str) -> str | None:
    """The root of the last index; None where there was none, or it cannot be told."""
    if dataset not in home.datasets():
        return None
    try:
        return home.read_facts(dataset).root
    except (OSError, ValueError, TypeError):  # another version's, or damaged: written anew below
        return None


def _left_behind(
    root_before: str | None, before: Sequence[Clip], root: str, clips: Sequence[Clip]
) -> list[str]:
    """A warning where another root has none of the last index's clips: most likely a mistake."""
    if root_before is None or os.path.realpath(root_before) == os.path.realpath(root):
        return []
    if not before or not {clip.key for clip in before}.isdisjoint(clip.key for clip in clips):
        return []
    return [
        f"none of the {len(before)} clips of the last index, with the root {root_before}, is below "
        f"{root}: their values stay in the cache until {root_before} is indexed again"
    ]


def _tell_cache(home: Home, facts: DatasetFacts, clips: Sequence[Clip]) -> IndexChange:
    """Enter the clips in the cache; a touched file is hashed to see whether it changed."""
    files = {clip.key: [file.path for file in _roots(facts).files(clip)] for clip in clips}

    def sha256_of(key: str) -> str:
        from extract.media import file_sha256

        return file_sha256(files[key])

    cache = Cache.open(
        home.cache_url(facts.name),
        dataset=facts.name,
        lock_path=home.lock_path(facts.name),
        create=True,
    )
    entries = [Entry(clip.key, clip.seconds, clip.bytes, clip.mtime_ns) for clip in clips]
    return cache.update_clips(entries, sha256_of)


def _report(facts: DatasetFacts, clips: Sequence[Clip], change: IndexChange) -> IndexReport:
    return IndexReport(
        dataset=facts.name,
        layout=facts.layout,
        protocol=facts.protocol or load(facts.layout).default_protocol,
        clips=len(clips),
        groups=len({clip.group for clip in clips}),
        hours=sum(clip.seconds for clip in clips) / 3600,
        labels=_counts(clip.label or UNLABELLED for clip in clips),
        methods=_counts(clip.method for clip in clips),
        emotions=_counts(clip.emotion for clip in clips),
        notes=facts.notes,
        added=len(change.added),
        changed=len(change.changed),
        kept=len(change.kept),
        unlisted=len(change.unlisted),
        problems={clip.key: clip.problem for clip in clips if clip.problem},
    )


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    """How often each value occurs, by name; None is no value."""
    return dict(sorted(Counter(value for value in values if value).items()))
