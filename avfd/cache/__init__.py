"""The cache: rows are seconds, columns are backbones, commits are Icechunk's. See FORMAT.md."""

from avfd.cache.cache import Cache
from avfd.cache.export import FORMATS, export
from avfd.cache.reader import ClipColumn, ColumnReader, Reader
from avfd.cache.records import (
    BadChunk,
    ClipResult,
    Entry,
    GcReport,
    IndexChange,
    WriteReport,
)

__all__ = [
    "FORMATS",
    "BadChunk",
    "Cache",
    "ClipColumn",
    "ClipResult",
    "ColumnReader",
    "Entry",
    "GcReport",
    "IndexChange",
    "Reader",
    "WriteReport",
    "export",
]
