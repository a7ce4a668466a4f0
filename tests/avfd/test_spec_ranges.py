"""Crops and columns that cannot be are refused where they are described."""

from __future__ import annotations

import pytest

from avfd.errors import InputError
from avfd.specs import BackboneSpec, FaceInput


@pytest.mark.parametrize(
    "facts",
    [
        {"rate_hz": 0, "size_px": 224},
        {"rate_hz": 100_000, "size_px": 224},
        {"rate_hz": 10, "size_px": 0},
        {"rate_hz": 10, "size_px": -5},
        {"rate_hz": 10, "size_px": 224, "margin": -2.0},
        {"rate_hz": 10, "size_px": 224, "margin": float("nan")},
    ],
)
def test_crops_that_cannot_be_cut(facts):
    with pytest.raises(InputError, match="no such face crops"):
        FaceInput(**facts)


@pytest.mark.parametrize(("rate_hz", "shape"), [(-1, (3,)), (10, (0,)), (10, (3, -1))])
def test_columns_that_cannot_be_stored(rate_hz, shape):
    with pytest.raises(InputError, match="no such column"):
        BackboneSpec("x", 1, "audio", "", rate_hz, shape)
