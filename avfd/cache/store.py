"""The Icechunk repository behind a cache: where it lies, how it is opened, how a change commits."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import icechunk
import zarr

from avfd.cache.layout import create_root, open_root
from avfd.cache.lock import write_lock
from avfd.errors import AvfdError, CacheError, InputError, MissingError, StoreError

logger = logging.getLogger(__name__)

BRANCH = "main"
COMMIT_ATTEMPTS = 20
LONGEST_PAUSE_SECONDS = 2.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """An open repository.

    Attributes:
        url: folder or object-store URL.
        repository: the Icechunk repository.
        folder: where it lies on this machine; None on an object store.
        lock_path: the data set's lock file.
    """

    url: str
    repository: icechunk.Repository
    folder: Path | None
    lock_path: Path

    @property
    def pins(self) -> Path:
        """Folder with a file for every snapshot that readers of this machine have open."""
        return self.folder / "readers" if self.folder else self.lock_path.with_suffix(".readers")

    @contextmanager
    def locked(self, wait: bool = True) -> Iterator[None]:
        """Hold the data set's lock and, for a folder, the folder's own.

        Icechunk cannot detect conflicts on a plain file system, so two homes that share a cache
        folder must meet at one lock; on object stores its commit does.

        Raises:
            StoreError: another process holds one, and it was not to wait.
        """
        inner = [self.folder / "write.lock"] if self.folder else []
        with store_errors(self.url), write_lock([self.lock_path, *inner], wait):
            yield

    def read(self, snapshot_id: str) -> zarr.Group:
        """The root group of one snapshot, read-only."""
        with store_errors(self.url):
            try:
                session = self.repository.readonly_session(snapshot_id=snapshot_id)
            except icechunk.IcechunkError as error:
                if "snapshot" not in str(error):
                    raise
                raise MissingError(
                    "no such snapshot, it was collected or never made",
                    where=self.url,
                    found=snapshot_id,
                    next_step="tag the snapshots that must stay",
                ) from error
            return open_root(session.store, where=self.url)

    def head(self) -> str:
        """Id of the last commit."""
        with store_errors(self.url):
            return self.repository.lookup_branch(BRANCH)

    def change(self, message: str, body: Callable[[zarr.Group], T]) -> tuple[T, str]:
        """Run `body` on a fresh session inside the lock and commit: all of it or nothing.

        On a conflict (another machine committed to the object store) the session is thrown away
        and `body` runs again on the new state. It must therefore re-read whatever it decides on.

        Returns:
            what `body` returned and the snapshot that holds it; no commit where nothing changed.
        """
        with self.locked():
            for attempt in range(COMMIT_ATTEMPTS):
                session = self.repository.writable_session(BRANCH)
                result = body(open_root(session.store, writable=True, where=self.url))
                if not session.has_uncommitted_changes:
                    return result, session.snapshot_id
                try:
                    return result, session.commit(message)
                except icechunk.ConflictError:
                    logger.info("%s: another machine committed first, writing again", self.url)
                    time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.05 * 2**attempt)))
        raise CacheError(
            f"{COMMIT_ATTEMPTS} commits in a row met another writer's",
            where=self.url,
            next_step="run the command again when fewer writers share the store",
        )


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn what Icechunk and the operating system raise into errors a person understands."""
    try:
        yield
    except AvfdError:
        raise
    except (icechunk.IcechunkError, OSError) as error:
        raise StoreError(
            "the cache's store cannot be used",
            where=url,
            found=_first_line(error),
            next_step="see that the disk has space and the store is reachable, then run again",
        ) from error
    except ValueError as error:
        if "checksum" not in str(error):
            raise
        raise CacheError(
            "a chunk of the cache is damaged",
            where=url,
            found=_first_line(error),
            next_step="run `avfd cache verify --repair`, then extract again",
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip(" x|") for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


def open_store(url: str, lock_path: Path, *, create: bool) -> Store:
    """Open the repository at a path or s3:// URL; made first where `create` allows it."""
    # Icechunk warns on every start that folders are unsafe without a lock; we have one.
    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("icechunk=error")
    folder = None if "://" in url else Path(url)
    with store_errors(url):
        if folder and not create and not folder.is_dir():
            raise _missing(url)
        storage = icechunk.local_filesystem_storage(str(folder)) if folder else _s3(url)
        ready = icechunk.Repository.exists(storage)
        repository = icechunk.Repository.open(storage) if ready else None
        if repository is None or not _has_root(repository, url):
            if not create:
                raise _missing(url)
            with write_lock([lock_path]):
                repository = _create(storage, url)
    return Store(url, repository, folder, lock_path)


def _has_root(repository: icechunk.Repository, url: str) -> bool:
    """Whether the first commit was made, in our format; its maker may have died before it."""
    try:
        open_root(repository.readonly_session(BRANCH).store, where=url)
    except FileNotFoundError:
        return False
    return True


def _create(storage: icechunk.Storage, url: str) -> icechunk.Repository:
    """Make the repository, or finish one whose maker died."""
    repository = icechunk.Repository.open_or_create(storage)
    if not _has_root(repository, url):
        session = repository.writable_session(BRANCH)
        create_root(session.store)
        session.commit("create the cache")
    return repository


def _missing(url: str) -> MissingError:
    return MissingError(
        "there is no cache here", where=url, next_step="run `avfd index DATASET --root DIR` first"
    )


def _s3(url: str) -> icechunk.Storage:
    """Storage of an s3:// URL; credentials, region and endpoint from the AWS_* environment."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise InputError(
            "not a place for a cache", found=url, accepted="a folder or s3://BUCKET/PREFIX"
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    plain = endpoint is not None and endpoint.startswith("http://")
    if plain and urlsplit(endpoint).hostname not in LOOPBACK:
        raise InputError(
            "the store's endpoint is not encrypted",
            where="AWS_ENDPOINT_URL",
            found=endpoint,
            accepted="https:// (http:// on this machine only)",
        )
    return icechunk.s3_storage(
        bucket=parts.netloc,
        prefix=parts.path.strip("/") or None,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint_url=endpoint,
        allow_http=plain,
        force_path_style=endpoint is not None,
        from_env=True,
    )
