"""Which chunks a set of row ranges touches, and in what pieces to read or write them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def chunk_spans(
    starts: Rows, stops: Rows, chunk: int, most_chunks: int
) -> Iterator[tuple[int, int]]:
    """Chunk-aligned row spans [low, high) that cover all the ranges, in order.

    Every span holds touched chunks only and at most `most_chunks` of them, so that neither memory
    nor the number of reads and writes follows the number of clips.

    Args:
        starts, stops: the ranges [start, stop), ascending and disjoint, none empty.
        chunk: rows in a chunk.
    """
    first, last = starts // chunk, (stops - 1) // chunk
    # A new stretch begins where a range starts beyond the chunk after its predecessor's last.
    breaks = np.flatnonzero(first[1:] > last[:-1] + 1) + 1
    for group in np.split(np.arange(len(starts)), breaks):
        if len(group):
            low, high = int(first[group[0]]), int(last[group[-1]]) + 1
            for at in range(low, high, most_chunks):
                yield at * chunk, min(at + most_chunks, high) * chunk
