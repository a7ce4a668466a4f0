"""The shares of several extracts: whole, even, and the same whoever asks."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.clips import Clip
from avfd.errors import InputError
from extract.run.parts import part_of


def clips(seconds: list[float]) -> list[Clip]:
    return [Clip(f"d/{i}", seconds=s) for i, s in enumerate(seconds)]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("count", [0, 1, 2, 39, 1000])
def test_every_clip_is_in_exactly_one_part_and_stands_in_order(count: int, parts: int) -> None:
    every = clips(np.random.default_rng(count).exponential(60, count).tolist())
    assert [c for k in range(parts) for c in part_of(every, f"{k + 1}/{parts}")] == every


def test_parts_have_as_much_media_not_as_many_clips() -> None:
    every = clips([30.0] * 4 + [1.0] * 120)
    assert len(part_of(every, "1/2")) == 4


def test_clips_that_cannot_be_read_are_shared_out_too() -> None:
    every = clips([0.0] * 6)
    assert [len(part_of(every, f"{k}/3")) for k in (1, 2, 3)] == [2, 2, 2]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "3", "a/b", "1/3/5", "-1/3", ""])
def test_what_is_no_part_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(InputError, match=r"K/N: the K-th of N"):
        part_of(clips([1.0]), text)
