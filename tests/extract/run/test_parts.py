"""The shares of several extracts: whole, even, and the same whoever asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfd.clips import Clip
from avfd.errors import InputError
from extract.run.parts import part_of


def clips(seconds: list[float]) -> list[Clip]:
    return [Clip(f"d/{i}", seconds=s) for i, s in enumerate(seconds)]


@given(st.lists(st.floats(0, 7200), max_size=40), st.integers(1, 50))
def test_every_clip_is_in_exactly_one_part_and_stands_in_order(
    seconds: list[float], parts: int
) -> None:
    every = clips(seconds)
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
