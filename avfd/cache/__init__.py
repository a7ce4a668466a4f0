"""The cache: rows are seconds, columns are backbones, commits are Icechunk's. See FORMAT.md.

What goes into it and comes back as a report is imported with the package. Whatever touches a store
is imported where it is first asked for: Icechunk and Zarr cost more than half a second of CPU, and
a worker of `extract`, which only hands over `ClipResult`s, has no use for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from avfd.cache.records import (
    BadChunk,
    ClipResult,
    Dropped,
    Entry,
    GcReport,
    IndexChange,
    WriteReport,
)

if TYPE_CHECKING:
    from avfd.cache.cache import Cache
    from avfd.cache.reader import ClipColumn, ColumnReader, Reader

__all__ = [
    "BadChunk",
    "Cache",
    "ClipColumn",
    "ClipResult",
    "ColumnReader",
    "Dropped",
    "Entry",
    "GcReport",
    "IndexChange",
    "Reader",
    "WriteReport",
]

_ON_DEMAND = {
    "Cache": "avfd.cache.cache",
    "ClipColumn": "avfd.cache.reader",
    "ColumnReader": "avfd.cache.reader",
    "Reader": "avfd.cache.reader",
}


def __getattr__(name: str) -> object:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_DEMAND[name]), name)
