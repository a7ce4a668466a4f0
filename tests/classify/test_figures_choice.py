"""Which clips single pictures are drawn of: one a group, the kinds by turns."""

from __future__ import annotations

import pytest

from classify.columns import Unit
from classify.figures_choice import clips_to_draw


def units(*told):
    """A unit of each "GROUP LABEL [PICTURE SOUND]"; "-": unlabelled."""
    words = [text.split() for text in told]
    return [
        Unit("d", (f"d/{i}",), group, None if label == "-" else label, *reversed(tracks))
        for i, (group, label, *tracks) in enumerate(words)
    ]


def shown(told, count):
    all_units = units(*told)
    return [told[i] for i in clips_to_draw(all_units, range(len(all_units)), count)]


def test_one_clip_a_group_real_and_fake_by_turns():
    told = [f"{group} {label}" for label in ("fake", "real") for group in "aaabbbcccddd"]
    assert sorted(shown(told, 4)) == ["a real", "b fake", "c real", "d fake"]


def test_real_clips_come_first():
    assert shown(["a fake", "b fake", "c real", "d real"], 4) == [
        "c real", "d real", "a fake", "b fake",
    ]  # fmt: skip


def test_a_group_gives_a_second_clip_only_when_no_other_is_left():
    told = ["a fake", "a real", "b fake", "b real", "c fake"]
    assert {text[0] for text in shown(told, 3)} == {"a", "b", "c"}
    assert [text[0] for text in shown(told, 4)].count("c") == 1


def test_a_group_of_both_is_left_to_the_kind_that_has_no_other():
    assert shown(["a real", "a fake", "b real"], 2) == ["b real", "a fake"]


def test_each_combination_of_picture_and_sound_is_there_once():
    kinds = ["real real real", "fake real fake", "fake fake real", "fake fake fake"]
    told = [f"{group} {kind}" for group in "abcde" for kind in kinds]
    assert shown(told, 4) == [f"{group} {kind}" for group, kind in zip("abcd", kinds, strict=True)]


def test_a_fake_of_two_real_tracks_is_no_real_clip():
    told = [f"{group} {label} real real" for group in "ab" for label in ("fake", "real")]
    assert shown(told, 2) == ["a real real real", "b fake real real"]


def test_unlabelled_clips_only_fill_up():
    assert shown(["a -", "b real", "c fake"], 2) == ["b real", "c fake"]
    assert shown(["a -", "b real", "c fake"], 3) == ["b real", "c fake", "a -"]


@pytest.mark.parametrize("count", [0, 2, 9])
def test_no_more_than_there_are_and_each_once(count):
    assert len(set(shown(["a real", "a fake"], count))) == min(count, 2)


def test_only_of_those_among():
    assert clips_to_draw(units("a real", "b real", "c fake"), [1, 2], 4) == [1, 2]
