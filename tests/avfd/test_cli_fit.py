"""`avfd fit`: what its progress bar says, what it refuses where runs are fused."""

from __future__ import annotations

import pytest

from avfd.cli.models import _show
from avfd.errors import InputError
from classify.watching import Epoch, Trial


def test_the_bar_tells_of_epochs_and_trials():
    said = []
    news = [
        Epoch("td3mf", 3, 40, 0.5, 0.75, 2),
        Epoch("td3mf", 4, 40, 0.25, None, 0),
        Trial("audio", 1, 8, None, None),
        Trial("audio", 2, 8, 0.9, 0.9),
    ]
    for one in news:
        _show(lambda *words: said.append(words), one)
    assert said == [
        (3, 40, "td3mf: epochs, loss 0.500, validation 0.750"),
        (4, 40, "td3mf: epochs, loss 0.250"),
        (1, 8, "audio: trials, best -"),
        (2, 8, "audio: trials, best 0.900"),
    ]


def test_options_that_finished_runs_cannot_follow_are_refused_by_name(tmp_path):
    from avfd.cli import app

    told = ["--dataset", "d", "--folds", "7", "--preset", "small"]
    call = ["fit", "a", "b", "--fusion", "decision", *told, "--home", str(tmp_path)]
    with pytest.raises(InputError, match="--dataset, --folds, --preset: finished runs"):
        app(call, standalone_mode=False)


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_a_second_column_of_a_modality_is_refused_and_not_dropped(tmp_path, modality):
    from avfd.cli import app

    call = ["fit", "--fusion", "feature", f"--{modality}", "a", f"--{modality}", "b"]
    with pytest.raises(InputError, match=f"^--{modality}: .*found: a, b; accepted: one"):
        app([*call, "--home", str(tmp_path)], standalone_mode=False)
