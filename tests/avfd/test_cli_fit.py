"""`avfd fit`: what its progress bar says, what it makes of its options."""

from __future__ import annotations

from importlib import import_module

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


def call(home, *words):
    from avfd.cli import app

    app(["fit", *words, "--home", str(home)], standalone_mode=False)


def test_options_that_finished_runs_cannot_follow_are_refused_by_name(tmp_path):
    told = ["--dataset", "d", "--folds", "7", "--preset", "small", "--audio", "mel"]
    with pytest.raises(InputError, match="--dataset, --folds, --audio, --preset: finished runs"):
        call(tmp_path, "a", "b", "--fusion", "decision", *told)


def test_several_columns_of_a_modality_come_to_the_fit_in_their_order(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        import_module("classify.fit"), "fit", lambda _, options: asked.append(options) or 1 / 0
    )
    named = ["--audio", "mel", "--video", "faces", "--audio", "eat"]
    with pytest.raises(ZeroDivisionError):
        call(tmp_path, *named, "--fusion", "feature")
    assert list(asked[0].columns.items()) == [
        ("audio", "mel"),
        ("audio_eat", "eat"),
        ("video", "faces"),
    ]


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_a_second_column_of_a_modality_wants_a_fusion_and_another_name(tmp_path, modality):
    option = f"--{modality}"
    with pytest.raises(InputError, match="several columns need a fusion"):
        call(tmp_path, option, "a", option, "b")
    with pytest.raises(InputError, match=f"^{option}: a column is named twice; found: a, a"):
        call(tmp_path, option, "a", option, "a", "--fusion", "feature")
    with pytest.raises(InputError, match=f"^{option}: lstm2 sees one {modality} .*found: a, b"):
        call(tmp_path, option, "a", option, "b", "--fusion", "feature", "--model", "lstm2")
