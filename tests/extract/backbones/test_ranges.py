"""Numbers that no backbone can work with are refused where they are asked for, with the range."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from avfd.errors import InputError
from extract.backbones import base, build, load_all

load_all()
ABSURD = ("0", "-1", "1000000000")
HARMLESS = {("margin", "0")}
"""Nothing is added to the box."""
ASKED_WITH = {"kernel_frames": "network=frames", "fps": "windows=published"}
"""Option → what makes the backbone look at it."""


def numeric(kind: Any) -> bool:
    """Whether an option is a number; choices of numbers are listed by their own error."""
    kinds = get_args(kind) or (kind,)
    return (get_origin(kind) is None and kind in (int, float)) or bool({int, float} & set(kinds))


def numbers() -> Iterator[tuple[str, str]]:
    """Backbone and option, of every option that is a number."""
    for name, entry in base._REGISTRY.items():
        if entry.defaults is None or not entry.make.__module__.startswith("extract."):
            continue
        kinds = get_type_hints(type(entry.defaults))
        yield from ((name, f.name) for f in fields(entry.defaults) if numeric(kinds[f.name]))


NUMBERS = sorted(numbers())


def test_there_are_numbers() -> None:
    options = {option for _, option in NUMBERS}
    assert {"rate_hz", "target_length", "window_ms", "dim", "width", "margin"} <= options
    assert "precision" not in options


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_absurd_numbers_are_refused_with_the_accepted_range(
    name: str, option: str, value: str
) -> None:
    ask = f"{name}:{option}={value}"
    for asked in (ask, f"{ask},{ASKED_WITH[option]}" if option in ASKED_WITH else ask):
        if (option, value) in HARMLESS:
            build(asked)
            continue
        with pytest.raises(InputError) as caught:
            build(asked)
        assert re.search(r"\d", str(caught.value.accepted))
        assert option in f"{caught.value.where} {caught.value.found} {caught.value.accepted}"


@pytest.mark.parametrize(("name", "option"), NUMBERS)
@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "many", ""])
def test_what_is_no_number_is_refused(name: str, option: str, value: str) -> None:
    with pytest.raises(InputError):
        build(f"{name}:{option}={value}")


@pytest.mark.parametrize(
    "ask",
    [
        *("emo-lstm:rate_hz=1", "emo-lstm:rate_hz=100", "emo-lstm:hop_rows=300", "emo-lstm:dim=1"),
        *("emo-cnn3d:rate_hz=240", "emo-cnn3d:hop_frames=30", "emo-cnn3d:size_px=2048"),
        *("marlin-base:windows=published,fps=240", "marlin-base:margin=4", "resnet18:width=512"),
        *("waveform:sample_rate_hz=1000", "waveform:sample_rate_hz=384000"),
        *("mfcc-avt2:step_ms=1000", "eat:target_length=112", "eat:target_length=12288"),
    ],
)
def test_the_ends_of_the_ranges_are_accepted(ask: str) -> None:
    assert build(ask).spec.name == ask.partition(":")[0]


@pytest.mark.parametrize("ask", ["emo-lstm:hop_rows=301", "emo-lstm:rate_hz=101"])
def test_one_more_is_refused(ask: str) -> None:
    with pytest.raises(InputError, match="accepted: 1 to"):
        build(ask)
