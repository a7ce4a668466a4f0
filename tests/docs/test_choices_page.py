"""docs/choices.md: every option that the table names exists, and every default is the code's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from avfd import asks, manifest
from avfd.nets.settings import Cnn3dShape, EmoLstmSettings, FramesCnn3dSettings, MapSettings
from classify import estimators
from classify.estimators.options import Balance
from classify.nets.syncstream_options import SyncShape
from extract import backbones
from extract.backbones.base import defaults_of

PAGE = Path(__file__).parents[2] / "docs/choices.md"
HEADINGS = "where | paper | published code | our default | the option that changes it | reason"
ASK = re.compile(r"`--(backbone|model) ([^`\s]+)`")


@dataclass(frozen=True)
class Row:
    where: str
    default: str
    option: str
    reason: str


def rows() -> list[Row]:
    """Those of the table; the lines that only head a group left out."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert lines[0] == f"| {HEADINGS} |"
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]
    assert {len(each) for each in cells} == {6}
    return [Row(c[0], c[3], c[4], c[5]) for c in cells if not c[0].startswith("**")]


backbones.load_all()
ROWS = rows()


def bound(kind: str, text: str) -> tuple[object, object]:
    """What the ask makes of the defaults, and the defaults; both None without options."""
    ask = asks.parse(text)
    if kind == "backbone":
        backbones.build(text)
        defaults = defaults_of(ask.name)
    else:
        estimators.build(text)
        defaults = estimators.kind_of(ask.name).defaults("paper")
    return asks.bind(ask, defaults), defaults


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.where)
def test_the_stated_default_is_the_codes(row: Row) -> None:
    for kind, text in ASK.findall(row.default):
        told, defaults = bound(kind, text)
        assert told == defaults, text
    assert row.default
    assert row.reason


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.where)
def test_the_option_exists_and_changes_that_default(row: Row) -> None:
    stated = {t.partition(":")[0]: set(asks.parse(t).options) for _, t in ASK.findall(row.default)}
    for kind, text in ASK.findall(row.option):
        told, defaults = bound(kind, text)
        ask = asks.parse(text)
        assert told != defaults or not ask.options, text
        if ask.options and ask.name in stated:
            assert set(ask.options) & stated[ask.name], text
    assert row.option == "–" or "`--" in row.option


def test_the_protocols_and_balances_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    known = {name for each in manifest.names() for name in manifest.load(each).protocols}
    assert set(re.findall(r"`--protocol ([\w-]+)`", text)) <= known
    assert set(re.findall(r"`--balance ([\w-]+)`", text)) <= set(get_args(Balance))


def said_not_stated(settings: type) -> set[str]:
    """The fields of which a class says that the paper does not state them."""
    entries = re.split(r"\n {4,8}(?=[a-z_][a-z_0-9, ]*: )", settings.__doc__ or "")
    return {
        name
        for entry in entries
        if re.search(r"[Nn]ot\s+stated|[Nn]one\s+is\s+mentioned", entry)
        for name in re.findall(r"[a-z_0-9]+", entry.partition(":")[0])
    }


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("cnn3d", MapSettings),
        ("cnn3d", Cnn3dShape),
        ("cnn3d-frames", FramesCnn3dSettings),
        ("emo-lstm", EmoLstmSettings),
        ("syncstream", SyncShape),
    ],
)
def test_what_the_code_calls_not_stated_is_in_the_table(model: str, settings: type) -> None:
    told = {
        key
        for row in ROWS
        for kind, text in ASK.findall(row.default)
        if kind == "model" and asks.parse(text).name == model
        for key in asks.parse(text).options
    }
    assert said_not_stated(settings) - told == set()


def test_other_pages_lead_here() -> None:
    for page in ("README.md", "docs/columns.md"):
        assert "choices.md" in (PAGE.parents[1] / page).read_text(encoding="utf-8")
