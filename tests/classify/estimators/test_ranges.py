"""Every number in the settings has a range, and no range refuses a value of ours."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from avfd.asks import INSTEAD, parse
from avfd.errors import InputError
from classify import estimators
from classify.estimators.ranges import EXCEPTIONS, RANGES, Range, check_ranges, numbers, range_of
from classify.estimators.settings import Span, bound

ZERO_MEANS = {
    "patience": "never",
    "weight_decay": "no penalty",
    "beta1": "the last gradient alone",
    "beta2": "the last gradient alone",
    "momentum": "none",
    "dampening": "none",
    "clip_norm": "never",
    "plateau_patience": "at the first epoch",
    "lowest_rate": "no floor",
    "stop_rate": "never",
    "dropout": "none",
    "embedding_dropout": "none",
    "drop": "none",
    "lost": "none",
    "modality_dropout": "none",
    "pseudo_fakes": "none",
    "r_min": "two frames or samples",
    "r_max": "the same, with r_min=0",
    "least_valid": "any",
    "train_seconds": "all",
    "train_stacks": "all",
    "focal_gamma": "cross-entropy",
    "weight_whole": "does not count",
    "weight_video": "does not count",
    "weight_audio": "does not count",
    "mask_slots": "nothing",
    "mask_bands": "nothing",
    "shift_bands": "nothing",
    "level": "nothing",
    "mix": "nothing",
    "quiet": "none",
    "map_size": "their own",
    "audio_width": "as it is",
    "fusion_intermediate": "none",
    "l2": "no penalty",
    "limit_seconds": "no limit",
    "learning_rate": "nothing moves",
}
"""Setting → what 0 means, of those that take it."""
ZERO_MEANS_IN = {("iat", "frames"): "all"}


def numeric(kind: Any) -> bool:
    """Whether a setting of this type holds numbers."""
    return kind in (int, float) or any(numeric(part) for part in get_args(kind))


def settings_of(name: str) -> list[tuple[str, str]]:
    """(estimator, setting) of its settings that hold numbers and can be asked for."""
    defaults = estimators.kind_of(name).defaults()
    kinds = get_type_hints(type(defaults))
    own = [f.name for f in fields(defaults) if INSTEAD not in f.metadata]
    return [(name, each) for each in own if numeric(kinds[each])]


NUMERIC = [pair for name in estimators.names() for pair in settings_of(name)]


def ask(name: str, text: str, preset: str = "paper"):
    kind = estimators.kind_of(name)
    return bound(parse(f"{name}:{text}" if text else name), kind.defaults(preset), kind.name)


@pytest.mark.parametrize(("name", "setting"), NUMERIC)
def test_every_number_has_a_range(name, setting):
    assert range_of(name, setting) is not None, f"give {setting} a line in ranges.RANGES"


def test_no_range_is_left_over():
    assert {setting for _, setting in NUMERIC} == set(RANGES)
    assert set(EXCEPTIONS) <= set(NUMERIC)


@pytest.mark.parametrize("name", estimators.names())
def test_every_preset_lies_in_its_ranges(name):
    for preset in estimators.kind_of(name).presets:
        assert ask(name, "", preset) == estimators.kind_of(name).defaults(preset)


@pytest.mark.parametrize("name", estimators.names())
def test_whatever_trials_draw_lies_in_its_range(name):
    for setting, values in estimators.kind_of(name).search.items():
        drawn = (values.low, values.high) if isinstance(values, Span) else values
        for value in drawn:
            ask(name, f"{setting}={value}")


@pytest.mark.parametrize(("name", "setting"), NUMERIC)
def test_nothing_is_less_than_0_and_nothing_is_without_end(name, setting):
    for value in ("-1", "-0.001", "1000000000000", "1e12"):
        with pytest.raises(InputError):
            ask(name, f"{setting}={value}")


@pytest.mark.parametrize(("name", "setting"), NUMERIC)
def test_0_is_taken_where_it_means_something(name, setting):
    if setting in ZERO_MEANS or (name, setting) in ZERO_MEANS_IN:
        assert numbers(getattr(ask(name, f"{setting}=0"), setting)) == [0]
    else:
        with pytest.raises(InputError, match=f"model {name}, {setting}: out of range; found: 0"):
            ask(name, f"{setting}=0")


@pytest.mark.parametrize(
    ("asked", "accepted"),
    [
        ("td3mf:batch=0", "1 or more, up to 100000"),
        ("td3mf:learning_rate=-1", "0 or more, up to 10"),
        ("td3mf:hidden=0", "1 or more"),
        ("td3mf:modality_dropout=2", "0 or more, up to 1"),
        ("td3mf:seconds=0", "1 or more"),
        ("lstm2:rate_hz=0", "1 or more"),
        ("lstm2:dropout=1.5", "0 or more, below 1"),
        ("avt2dwf:dropout=2", "below 1"),
        ("avt2dwf:depth=0", "1 or more"),
        ("lightgbm:rounds=0", "1 or more"),
        ("lightgbm:leaves=1", "2 or more"),
        ("svm:c=-1", "above 0"),
        ("finegrained:channels=1", "2 or more"),
        ("finegrained:pseudo_fakes=3", "up to 1"),
        ("finegrained:train_seconds=-1", "0 or more"),
        ("finegrained:map_size=999", "0 or more, up to 64"),
        ("syncstream:frames_hz=0", "1 or more"),
        ("syncstream:hop_seconds=0,windows=sliding", "1 or more"),
        ("cnn3d:step_frames=0", "1 or more"),
        ("iat:seconds=-1", "above 0"),
        ("iat:frames=-3", "0 or more"),
        ("iat:width=0.001", "0.015625 or more, up to 16"),
        ("mel-cnn:widths=8+0", "1 or more"),
        ("iat:milestones=0", "1 or more"),
        ("cnn3d-frames:kernel_px=4", "1 or more, up to 99, odd"),
    ],
)
def test_what_is_refused_says_what_is_accepted(asked, accepted):
    name, _, text = asked.partition(":")
    setting, _, value = text.partition(",")[0].partition("=")
    with pytest.raises(InputError) as caught:
        ask(name, text)
    assert caught.value.where == f"model {name}, {setting}"
    assert caught.value.found in [float(part) for part in value.split("+")]
    assert accepted in caught.value.accepted


def test_building_refuses_it_too():
    with pytest.raises(InputError, match="model svm, c: out of range"):
        estimators.build("svm:c=-1")


def test_another_name_of_an_estimator_has_its_own_ranges():
    kind = estimators.kind_of("emo-cnn3d-frames")
    with pytest.raises(InputError, match="model cnn3d-frames, channels"):
        bound(parse("emo-cnn3d-frames:channels=2"), kind.defaults(), kind.name)


def test_an_estimator_without_settings_has_nothing_to_check():
    check_ranges("none", None)
    assert bound(parse("none"), None, "none") is None


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (Range(0, 1), (0, 0.5, 1), (-0.1, 1.1, float("nan"))),
        (Range(0, 1, open_low=True, open_high=True), (1e-9, 0.999), (0, 1)),
        (Range(1, 9, odd=True), (1, 3, 9), (2, 11)),
    ],
)
def test_ends_count_unless_open(range_, inside, outside):
    assert all(value in range_ for value in inside)
    assert not any(value in range_ for value in outside)


def test_truth_values_and_words_are_no_numbers():
    assert numbers(True) == numbers("3") == numbers(None) == []
    assert numbers((1, 2.5)) == [1, 2.5]


ASKED_IN_DOCS = sorted(
    {
        found
        for page in (Path(__file__).parents[3] / "docs").rglob("*.md")
        for found in re.findall(r"--model ([a-z0-9-]+:[a-z_]+=[^`\s\]]+)", page.read_text())
        if not re.search("=[A-Z]", found)
    }
)
"""Without those that leave a word in capitals to the reader."""


@pytest.mark.parametrize("asked", ASKED_IN_DOCS)
def test_what_the_pages_ask_for_lies_in_its_range(asked):
    name, _, text = asked.partition(":")
    ask(name, text)


def test_the_pages_ask_for_something():
    assert len(ASKED_IN_DOCS) > 50
