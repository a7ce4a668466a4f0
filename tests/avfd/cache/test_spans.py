"""Chunk-aligned spans cover what is asked and little more."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.cache.spans import chunk_spans


@pytest.mark.parametrize(
    ("starts", "stops", "most", "expected"),
    [
        ([], [], 4, []),
        ([0], [1], 4, [(0, 10)]),
        ([8], [12], 4, [(0, 20)]),
        ([0, 9], [9, 18], 4, [(0, 20)]),
        ([0, 30], [5, 35], 4, [(0, 10), (30, 40)]),
        ([0, 12], [5, 15], 4, [(0, 20)]),
        ([5], [95], 4, [(0, 40), (40, 80), (80, 100)]),
    ],
)
def test_spans(starts, stops, most, expected):
    rows = [np.array(values, dtype=np.int64) for values in (starts, stops)]
    assert list(chunk_spans(*rows, 10, most)) == expected
