"""Garbage collection: what no tag, no open reader and not the last commit needs."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icechunk
import numpy as np
import zarr

from avfd.cache.chunks import RowStore
from avfd.cache.layout import ClipArrays, ColumnFacts, array, column_group, column_names
from avfd.cache.lock import pinned
from avfd.cache.records import GcReport
from avfd.cache.store import BRANCH, Store
from avfd.cache.writer import reset_entries
from avfd.specs import DONE, PENDING

KEEP = "gc-keep-"
# Readers on other machines are not seen from here: on object stores a snapshot stays for a week
# after the commit that followed it.
GRACE = timedelta(days=7)


def collect(store: Store, *, dry_run: bool) -> GcReport:
    """Empty retired rows, expire snapshots, delete what nothing refers to any more."""
    if dry_run:
        return _measure(store)
    retired = store.change("empty retired clips", empty_retired)[0]
    with store.locked():
        _drop_keepers(store.repository)
        readers = pinned(store.pins)
        expired, summary = _sweep(store.repository, _needed(store, readers), _cutoff(store))
        if store.folder:
            _remove_partial_files(store.folder)
    return GcReport(
        dry_run=False,
        bytes_freed=summary.bytes_deleted,
        chunks_freed=summary.chunks_deleted,
        snapshots_expired=expired,
        retired_clips=retired,
        tags=dict.fromkeys(user_tags(store.repository)),
        readers=tuple(readers),
    )


def replaced_bytes(store: Store) -> int | None:
    """What a collection would free now, retired rows aside; None on an object store.

    Much cheaper than `collect` with `dry_run`, which looks at every tag by itself.

    Raises:
        StoreError: another process writes just now, or there is no room for a copy of the lists.
    """
    if store.folder is None:
        return None
    with store.locked(wait=False), tempfile.TemporaryDirectory() as name:
        copy = _shadow(store.folder, Path(name))
        readers = pinned(store.pins)
        return _sweep(copy, readers, _cutoff(store), dry_run=True)[1].bytes_deleted


def user_tags(repository: icechunk.Repository) -> list[str]:
    """Tags that people or runs made, sorted."""
    return sorted(name for name in repository.list_tags() if not name.startswith(KEEP))


def empty_retired(root: zarr.Group) -> int:
    """Fill the rows of retired clips, whose whole chunks then go; returns how many clips."""
    clips = ClipArrays.load(root)
    emptied = np.zeros(len(clips.alive), dtype=bool)
    for column in column_names(root):
        group = column_group(root, column)
        status = array(group, "status")[:]
        held = ~clips.alive[: len(status)] & (status != PENDING)
        empty_rows(group, clips, np.flatnonzero(held & (status == DONE)))
        reset_entries(group, np.flatnonzero(held))
        emptied[: len(held)] |= held
    return int(emptied.sum())


def empty_rows(
    group: zarr.Group, clips: ClipArrays, entries: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> None:
    """Fill the rows of a column's entries with zeros; whole chunks of these go."""
    if not len(entries):
        return
    clip_level = ColumnFacts.of(group).clip_level
    starts = entries if clip_level else clips.start[entries]
    rows = np.ones_like(entries) if clip_level else clips.rows[entries]
    for name in ["embedding"] if clip_level else ["embedding", "valid"]:
        target = array(group, name)
        zero = np.zeros((), dtype=target.dtype)
        empty = [np.broadcast_to(zero, (count, *target.shape[1:])) for count in rows.tolist()]
        RowStore(target).write(starts, starts + rows, empty, keep_empty=False)


def _cutoff(store: Store) -> datetime:
    """Objects younger than this stay: another machine may be about to commit them.

    In a folder the lock keeps writers out, so everything may go; an hour ahead absorbs the
    coarse clocks of file systems.
    """
    now = datetime.now(UTC)
    return now + timedelta(hours=1) if store.folder else now - GRACE


def _needed(store: Store, readers: list[str]) -> list[str]:
    """Snapshots to keep besides the tagged and the last: open ones, and lately superseded ones."""
    if store.folder:
        return readers
    history = list(store.repository.ancestry(branch=BRANCH))
    superseded = [
        old.id for new, old in itertools.pairwise(history) if new.written_at > _cutoff(store)
    ]
    return sorted({*readers, *superseded})


def _sweep(
    repository: icechunk.Repository, needed: list[str], cutoff: datetime, dry_run: bool = False
) -> tuple[int, icechunk.GCSummary]:
    """Expire all but what refs hold, and delete (or count) what that leaves unreachable."""
    with _kept(repository, needed):
        expired = repository.expire_snapshots(cutoff)
        return len(expired), repository.garbage_collect(cutoff, dry_run=dry_run)


@contextmanager
def _kept(repository: icechunk.Repository, snapshots: list[str]) -> Iterator[None]:
    """Hold snapshots by tags of their own; a name cannot be used twice, so each is random."""
    try:
        for snapshot_id in snapshots:
            # A reader may have asked for a snapshot that was collected long ago.
            with suppress(icechunk.IcechunkError):
                repository.create_tag(f"{KEEP}{uuid.uuid4().hex}", snapshot_id)
        yield
    finally:
        _drop_keepers(repository)


def _drop_keepers(repository: icechunk.Repository) -> None:
    """Delete our tags, those of a collection that was killed included."""
    for name in repository.list_tags():
        if name.startswith(KEEP):
            repository.delete_tag(name)


def _remove_partial_files(folder: Path) -> None:
    """Remove what a killed writer was in the middle of: `NAME#NUMBER`, never referred to."""
    for path in folder.rglob("*#*"):
        path.unlink(missing_ok=True)


def _measure(store: Store) -> GcReport:
    """What a collection would free and what each tag holds, with nothing changed.

    In a folder this is exact but for the rows of retired clips, which are only counted: the
    collection runs on a copy of the refs and snapshots beside links to all else.
    """
    with store.locked():
        retired = _retired(store.read(store.head()))
        readers = pinned(store.pins)
        names = user_tags(store.repository)
        if store.folder is None:
            tags: dict[str, int | None] = dict.fromkeys(names)
            return GcReport(True, None, None, 0, retired, tags, tuple(readers))
        with tempfile.TemporaryDirectory() as name:
            copy = _shadow(store.folder, Path(name))
            expired, summary = _sweep(copy, readers, _cutoff(store), dry_run=True)
            freed = summary.bytes_deleted
            tags = {
                tag: _freed_without(copy, Path(name), tag, readers, _cutoff(store)) - freed
                for tag in names
            }
    return GcReport(True, freed, summary.chunks_deleted, expired, retired, tags, tuple(readers))


def _retired(root: zarr.Group) -> int:
    """Retired clips that still hold rows somewhere."""
    alive = array(root, "alive")[:]
    held = np.zeros(len(alive), dtype=bool)
    for column in column_names(root):
        status = array(column_group(root, column), "status")[:]
        held[: len(status)] |= ~alive[: len(status)] & (status != PENDING)
    return int(held.sum())


def _shadow(folder: Path, shadow: Path) -> icechunk.Repository:
    """A repository that shares the folder's data but can lose its history."""
    for path in folder.iterdir():
        if path.name in ("refs", "snapshots"):
            shutil.copytree(path, shadow / path.name)
        else:
            (shadow / path.name).symlink_to(path.absolute())
    return icechunk.Repository.open(icechunk.local_filesystem_storage(str(shadow)))


def _freed_without(
    copy: icechunk.Repository, shadow: Path, tag: str, readers: list[str], cutoff: datetime
) -> int:
    """Bytes that would go if the tag did not exist."""
    ref = shadow / "refs" / f"tag.{tag}"
    aside = shadow / "aside"
    ref.rename(aside)
    try:
        return _sweep(copy, readers, cutoff, dry_run=True)[1].bytes_deleted
    finally:
        aside.rename(ref)
