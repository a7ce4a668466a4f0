"""What people are told of clips whose label nobody knows."""

from __future__ import annotations

import pandas as pd

from classify.verdicts import ClipVerdict, unlabelled_verdicts


def test_the_likeliest_fakes_come_first_and_what_nothing_covers_last():
    scores = pd.DataFrame(
        {
            "key": ["d/a", "d/b", "d/c", "d/known"],
            "label": [None, None, None, "fake"],
            "score_real": [0.75, 0.5, 0.25, 0.1],
            "score_fake": [0.25, 0.5, 0.75, 0.9],
            "covered": [True, False, True, True],
        }
    )
    assert unlabelled_verdicts(scores) == [
        ClipVerdict("d/c", "fake", 0.75),
        ClipVerdict("d/a", "real", 0.25),
        ClipVerdict("d/b", None, None),
    ]


def test_of_emotions_the_score_is_that_of_the_likeliest():
    scores = pd.DataFrame(
        {
            "key": ["d/a", "d/b"],
            "label": [None, None],
            "score_angry": [0.5, 0.1],
            "score_calm": [0.3, 0.1],
            "score_sad": [0.2, 0.8],
            "covered": [True, True],
        }
    )
    assert unlabelled_verdicts(scores) == [
        ClipVerdict("d/b", "sad", 0.8),
        ClipVerdict("d/a", "angry", 0.5),
    ]
