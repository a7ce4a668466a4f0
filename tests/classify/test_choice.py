"""What `fit` refuses before it opens anything."""

from __future__ import annotations

import pytest

from avfd.errors import InputError
from classify import FitOptions
from classify.choice import check_options
from classify.windows import Windows


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"folds": 0}, "no folds; found: 0; accepted: 2 or more"),
        ({"folds": 1}, "no folds; found: 1"),
        ({"folds": -1}, "no folds; found: -1"),
        ({"validate": True}, "only folds hold one out"),
        ({"preset": "tiny"}, "no model has such a preset; found: tiny; accepted: .*paper, .*small"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(told, message):
    options = FitOptions(audio="mel", **told)
    with pytest.raises(InputError, match=message):
        check_options(options)


def test_a_preset_that_only_other_models_have_is_taken():
    check_options(FitOptions(audio="mel", model="lightgbm", preset="small"))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"aggregate": "max"}, "a whole clip has one score"),
        ({"hop_seconds": 1}, "a hop needs a window"),
        ({"labels": "segments"}, "a whole clip has its own label"),
    ],
)
def test_what_only_windows_can_follow_is_refused_without_them(told, message):
    with pytest.raises(InputError, match=message):
        Windows(**told)
