"""`NAME:key=value`: text to typed options, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from avfd import asks
from avfd.errors import InputError


@dataclass(frozen=True)
class Options:
    rate_hz: int = 10
    margin: float = 0.3
    tokens: Literal["pooled", "raw"] = "pooled"
    raw: bool = False
    window: int | None = None
    widths: tuple[int, ...] = (1,)


def test_values_take_the_types_of_their_fields() -> None:
    text = "eat:rate_hz=30,margin=0.5,tokens=raw,raw=true,window=7"
    assert asks.bind(asks.parse(text), Options()) == Options(30, 0.5, "raw", True, 7)


def test_a_name_alone_leaves_the_defaults() -> None:
    assert asks.bind(asks.parse("eat"), Options(rate_hz=5)) == Options(rate_hz=5)


def test_several_numbers_are_joined_by_a_plus() -> None:
    assert asks.bind(asks.parse("net:widths=32+64"), Options()) == Options(widths=(32, 64))


def test_none_can_be_asked_for() -> None:
    assert asks.bind(asks.parse("eat:window=none"), Options(window=3)) == Options()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("eat:rate=3", "rate_hz=10"),
        ("eat:rate_hz=fast", "a number"),
        ("eat:margin=nan", "a finite number"),
        ("eat:margin=inf", "a finite number"),
        ("eat:tokens=all", "pooled, raw"),
        ("eat:raw=maybe", "true, false"),
    ],
)
def test_a_refusal_names_what_is_accepted(text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        asks.bind(asks.parse(text), Options())


@pytest.mark.parametrize("text", ["eat:raw", "eat:raw=1,raw=2", "eat:=3"])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="key=value"):
        asks.parse(text)


def test_options_for_a_thing_without_any_are_refused() -> None:
    with pytest.raises(InputError, match="no options"):
        asks.bind(asks.parse("mel:rate=3"), None)
