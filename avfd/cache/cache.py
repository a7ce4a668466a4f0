"""The cache of one data set: what every command uses, and nothing else writes there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import icechunk
import zarr

from avfd.cache.drop import drop_clips, drop_columns, is_empty
from avfd.cache.gc import collect, replaced_bytes, user_tags
from avfd.cache.index import update_clips
from avfd.cache.layout import column_group, column_names, create_column, learn_teachers
from avfd.cache.reader import Reader
from avfd.cache.records import (
    BadChunk,
    ClipResult,
    Dropped,
    Entry,
    GcReport,
    IndexChange,
    WriteReport,
)
from avfd.cache.store import Store, open_store, store_errors
from avfd.cache.verify import find_bad_chunks, repair_chunks
from avfd.cache.writer import Counts, reset_entries, write_columns
from avfd.differences import check_alike, facts_of
from avfd.errors import FingerprintError, InputError, MissingError
from avfd.specs import BackboneSpec


class Cache:
    """Rows of seconds and columns of backbones, one Icechunk repository a data set.

    Make it with `open`. Every method that changes something is one commit: all of it or nothing.
    """

    def __init__(self, store: Store, dataset: str) -> None:
        self._store = store
        self.dataset = dataset
        self._ensured: dict[str, str] = {}  # column → fingerprint, of those asked for here

    @classmethod
    def open(cls, url: str, *, dataset: str, lock_path: Path, create: bool = False) -> Cache:
        """Open a data set's cache.

        Args:
            url: a folder, or s3://BUCKET/PREFIX (credentials, region and endpoint from AWS_*).
            dataset: the data set's name.
            lock_path: lock file that all writers of this cache on this machine share.
            create: make an empty cache where there is none.

        Raises:
            MissingError: there is none and `create` is False.
            CacheError: the format or its version is unknown.
            StoreError: the store cannot be reached.
        """
        return cls(open_store(url, lock_path, create=create), dataset)

    def update_clips(
        self, entries: Sequence[Entry], sha256_of: Callable[[str], str] | None = None
    ) -> IndexChange:
        """Bring the clip arrays up to date with an index.

        A clip whose bytes or mtime differ has changed, unless its media's sha256 is the one noted
        at extract (asked through `sha256_of(key)`): then only the time is updated. Rows of an
        entry never change.
        """
        return update_clips(self._store, entries, sha256_of)

    def snapshot(self, snapshot_id: str | None = None) -> Reader:
        """A reader of one commit, the last one by default."""
        return Reader(self._store, snapshot_id)

    def ensure_column(
        self, column: str, spec: BackboneSpec, fingerprint: str, facts: Mapping[str, object]
    ) -> None:
        """Make the column where it is not there; else learn which clips trained its network.

        A column without a single result is no obstacle: it is defined anew.

        Args:
            facts: JSON values to keep beside it, library versions for example.

        Raises:
            FingerprintError: it has results, and another backbone wrote them.
        """
        attributes = {
            **facts,
            "fingerprint": fingerprint,
            "licence": spec.licence,
            "source": spec.source,
        }

        def body(root: zarr.Group) -> None:
            if column not in column_names(root):
                create_column(root, column, spec, attributes)
                return
            group = column_group(root, column)
            if group.attrs["fingerprint"] != fingerprint and is_empty(group):
                del root[column]
                create_column(root, column, spec, attributes)
                return
            check_alike(
                "the column was written with other settings or weights",
                where=column,
                found=group.attrs,
                accepted=facts_of(spec, fingerprint, facts),
                next_step="extract into another column with --as NAME",
            )
            learn_teachers(group.attrs, attributes)

        self._store.change(f"column {column}", body)
        self._ensured[column] = fingerprint

    def write(self, results: Mapping[str, Sequence[ClipResult]]) -> WriteReport:
        """Store finished clips of any columns in one commit.

        Results of clips that are done already, or whose entry was retired since, are dropped and
        counted. A clip that failed or was absent may be written again.

        Args:
            results: column → results, in any order.

        Raises:
            FingerprintError: a column was defined anew since this object ensured it.
        """

        def body(root: zarr.Group) -> Counts:
            for column in results:
                self._check_ensured(root, column)
            return write_columns(root, results)

        counts, snapshot_id = self._store.change(f"write {', '.join(results)}", body)
        return WriteReport(counts.written, counts.skipped, snapshot_id)

    def _check_ensured(self, root: zarr.Group, column: str) -> None:
        found = column_group(root, column).attrs["fingerprint"]
        if found != self._ensured.get(column, found):
            raise FingerprintError(
                "the column was defined anew, with other settings or weights, while this ran",
                where=column,
                found=found,
                accepted=self._ensured[column],
                next_step="extract into another column with --as NAME",
            )

    def drop(self, columns: Sequence[str]) -> list[Dropped]:
        """Remove whole columns; what no tag and no open reader needs, `gc` then frees.

        Raises:
            MissingError: one is not there; then none is removed.
            InputError: a column that stays reads one of them.
        """
        return self._store.change(
            f"drop {', '.join(columns)}", lambda root: drop_columns(root, columns)
        )[0]

    def drop_clips(self, keys: Sequence[str], columns: Sequence[str] = ()) -> list[Dropped]:
        """Take clips out of columns (none: of all): pending again, their rows emptied.

        Entries that were retired under these keys are emptied, too.

        Raises:
            MissingError: a column or a clip is not there; then nothing is changed.
        """
        return self._store.change(
            f"drop {len(keys)} clips", lambda root: drop_clips(root, columns, keys)
        )[0]

    def reset(self, column: str, keys: Sequence[str]) -> int:
        """Set clips back to pending; returns how many were not."""
        entries = self.snapshot().entries(keys)
        return self._store.change(
            f"reset {column}", lambda root: reset_entries(column_group(root, column), entries)
        )[0]

    def tag(self, name: str, snapshot_id: str) -> None:
        """Name a snapshot, which garbage collection then spares."""
        with store_errors(self._store.url):
            if name in self._store.repository.list_tags():
                raise InputError("the tag exists", where=name, accepted="a name not used yet")
            try:
                self._store.repository.create_tag(name, snapshot_id)
            except icechunk.IcechunkError as error:
                raise InputError(
                    "the snapshot cannot be tagged",
                    where=name,
                    found=snapshot_id,
                    accepted="a snapshot that exists and a name never used before",
                ) from error

    def untag(self, *names: str) -> None:
        """Forget tags: all, or none where one is not there. A name cannot be used again."""
        with store_errors(self._store.url):
            there = self._store.repository.list_tags()
            for name in names:
                if name not in there:
                    raise MissingError("no such tag", where=name, accepted=sorted(self.tags()))
            for name in dict.fromkeys(names):
                self._store.repository.delete_tag(name)

    def tags(self) -> dict[str, str]:
        """Tag → snapshot id."""
        repository = self._store.repository
        with store_errors(self._store.url):
            return {name: repository.lookup_tag(name) for name in user_tags(repository)}

    def verify(self, repair: bool = False) -> list[BadChunk]:
        """Read every chunk of the last commit; returns those that are missing or damaged.

        Args:
            repair: empty them and set the clips concerned to pending, so that an extract (or,
                for the clip arrays, an index) brings them back.
        """
        bad = find_bad_chunks(self._store)
        if bad and repair:
            repair_chunks(self._store, bad)
        return bad

    def gc(self, dry_run: bool = False) -> GcReport:
        """Delete what no tag, no open reader and not the last commit needs."""
        return collect(self._store, dry_run=dry_run)

    def replaced_bytes(self) -> int | None:
        """What `gc` would free at least, found in a moment; None where nothing tells that soon."""
        return replaced_bytes(self._store)
