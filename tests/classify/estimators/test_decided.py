"""Settings that would change nothing are refused by name, and what decides them is said."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from avfd.errors import InputError
from classify import estimators
from classify.estimators.settings import restored


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        ("emo-lstm:window_seconds=1", "--window-seconds"),
        ("emo-lstm:hop_seconds=0.5", "--hop-seconds"),
        ("emo-lstm:inputs=7", "numbers of the column's vectors"),
        ("emo-lstm:classes=2", "classes of the data"),
        ("emo-cnn3d:hop_frames=7", "step_frames"),
        ("emo-cnn3d:pad=none", "--backbone emo-cnn3d:pad"),
        ("cnn3d-frames:frames=30", "--window-seconds"),
        ("cnn3d-frames:classes=2", "classes of the data"),
        ("mlp:columns=7", "numbers of the column's vectors"),
        ("mlp:classes=2", "classes of the data"),
        ("resnet18:classes=3", "classes of the data"),
        ("resnet18:coefficients=3", "numbers of the column's vectors"),
        ("resnet18:frames=3", "numbers of the column's vectors"),
    ],
)
def test_what_would_change_nothing_is_refused_by_name(asked, instead):
    where, _, value = asked.partition("=")
    with pytest.raises(InputError, match="would change nothing") as error:
        estimators.build(asked)
    assert str(error.value).startswith(f"{where}: ")
    assert f"found: {value}" in str(error.value)
    assert instead in str(error.value)


def test_an_unknown_setting_is_not_answered_with_one_that_is_decided():
    with pytest.raises(InputError, match="no such option") as error:
        estimators.build("mlp:class=2")
    assert "steps=100" in str(error.value)
    assert "classes=" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("emo-lstm", {"window_seconds": 3.0, "hop_seconds": 1.0}),
        ("cnn3d", {"hop_frames": 1, "pad": "edge"}),
        ("cnn3d-frames", {"frames": 300}),
    ],
)
def test_models_that_were_saved_with_such_a_setting_still_load(name, gone):
    defaults = estimators.kind_of(name).defaults()
    stored = asdict(replace(defaults, dropout=0.5)) | gone
    assert restored(defaults, stored, "x") == replace(defaults, dropout=0.5)
