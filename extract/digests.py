"""Digests of media: a file of which many clips are parts is read through once in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from extract.media import file_sha256
from extract.media.folders import size_and_time

REMEMBERED = 64
"""Digests that a worker remembers: the parts of a file follow each other."""


def media_sha256(paths: Sequence[Path]) -> str:
    """As `file_sha256`, without reading what has kept its size and time of change since.

    Args:
        paths: the files, or folders of frames, that a clip is made of.
    """
    return _digest(tuple(paths), tuple(size_and_time(path) for path in paths))


@lru_cache(REMEMBERED)
def _digest(paths: tuple[Path, ...], known_by: tuple[tuple[int, int], ...]) -> str:
    """The digest of files of these sizes and times of change."""
    return file_sha256(paths)
