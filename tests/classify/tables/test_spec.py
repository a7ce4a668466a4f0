"""The tables as data: counts and sums of a second transcription, and everything fits together."""

from __future__ import annotations

from collections import Counter

import pytest

from avfd import manifest
from avfd.asks import bind, parse
from avfd.errors import InputError, MissingError
from classify import estimators
from classify.tables import load, names
from classify.tables.jobs import PLACEHOLDER
from classify.tables.spec import Published
from classify.tables.spec import parse as parse_table
from extract.backbones import build, load_all

# Rows, columns, cells that the paper has, and the sum of their numbers as printed (of a range both
# ends, of "over" and "up to" the one that is given): added up from the papers' own texts, not from
# these files.
COUNTED = {
    "2d3mf-1": (6, 1, 6, 3.879),
    "2d3mf-2": (7, 2, 14, 11.9434),
    "2d3mf-3": (7, 2, 14, 11.9195),
    "2d3mf-4": (6, 2, 12, 10.9172),
    "2d3mf-5": (5, 2, 10, 9.4747),
    "2d3mf-6": (6, 2, 12, 10.041),
    "thesis-5.3": (6, 1, 6, 2.8902),
    "thesis-5.4": (9, 1, 9, 3.86),
    "thesis-5.5": (12, 2, 14, 12.6534),
    "avt2dwf-2": (11, 8, 88, 6276.994),
    "avt2dwf-3": (5, 6, 30, 1719.42),
    "avt2dwf-4": (3, 2, 6, 486.95),
    "avt2dwf-5": (2, 2, 4, 286.51),
    "finegrained-1": (5, 2, 10, 810.35),
    "finegrained-2": (7, 1, 7, 466.2),
    "finegrained-3": (16, 1, 16, 1279.6),
    "syncstream-2": (11, 8, 72, 5133.09),
    "syncstream-3": (9, 24, 76, 6249.03),
    "syncstream-4": (4, 4, 16, 1447.6),
}


def printed(table):
    return [text for row in table.rows for text in row.published if text]


def total(table):
    """Sum of the numbers as printed."""
    cells = [Published.of(text, percent=False) for text in printed(table)]
    return sum(sum({end for end in (c.low, c.high) if end is not None}) for c in cells)


@pytest.mark.parametrize("name", COUNTED)
def test_a_second_transcription_agrees(name):
    table = load(name)
    rows, columns, cells, numbers = COUNTED[name]
    assert (len(table.rows), len(table.columns), len(printed(table))) == (rows, columns, cells)
    assert total(table) == pytest.approx(numbers, abs=1e-6)


def test_single_numbers_of_every_paper():
    def cell(table, row, column):
        found = load(table)
        return found.cell(found.row(row), column)

    assert cell("2d3mf-3", "marlin-eat", 1).low == 0.9885
    assert cell("2d3mf-2", "realforensics", 0) == Published("N/A")
    assert cell("thesis-5.5", "lightgbm-cnn3d-emotion", 0).low == 0.9532
    assert cell("thesis-5.5", "cnn3d", 0) == Published("0.8242 to 0.8304", 0.8242, 0.8304)
    assert cell("thesis-5.5", "lstm2-audio", 0) == Published("up to 0.5838", None, 0.5838)
    assert cell("thesis-5.5", "lightgbm-audio", 0) == Published("over 0.882", 0.882, None)
    assert cell("thesis-5.4", "experiment-1", 0) == Published("over 0.64", 0.64, None)
    assert cell("thesis-5.4", "experiment-2-tanh", 0) == Published("0.64", 0.64, 0.64)
    assert cell("avt2dwf-2", "cvit", 6).text == "74.204"
    assert cell("avt2dwf-3", "avt2-dwf", 2) == Published("64.1", 0.641, 0.641)
    assert cell("finegrained-1", "d", 1) == Published("82.51%", 0.8251, 0.8251)
    assert cell("syncstream-2", "inter", 3).low == 0.9965
    assert cell("syncstream-3", "sync-att", 23).text == "95.04"
    assert cell("syncstream-4", "att-shuffle", 1).low == 0.9246


def test_drops_of_table_4_of_zhou_and_lim_follow_from_its_rows():
    """The paper prints the drops, too; they check the four rows."""
    table = load("syncstream-4")
    rows = {row.id: [float(t) for t in row.published[:3]] for row in table.rows}

    def drops(first, second):
        return [round(a - b, 2) for a, b in zip(rows[first], rows[second], strict=True)]

    assert drops("indp", "shuffle") == [0.39, 1.99, 0.39]
    assert drops("sync-att", "shuffle") == [0.79, 4.96, 2.18]
    assert drops("indp", "att-shuffle") == [0.20, 0.60, 0.39]
    assert drops("sync-att", "att-shuffle") == [0.60, 3.57, 2.18]


def test_competitors_are_quoted_and_nothing_else():
    quoted = {name: [r.id for r in load(name).rows if r.kind == "quoted"] for name in names()}
    assert Counter({name: len(rows) for name, rows in quoted.items() if rows}) == {
        "2d3mf-2": 1,
        "2d3mf-3": 1,
        "2d3mf-4": 1,
        "avt2dwf-2": 10,
        "avt2dwf-3": 4,
        "finegrained-2": 5,
        "finegrained-3": 14,
        "syncstream-3": 7,
        "thesis-5.3": 2,
    }


@pytest.mark.parametrize("name", names())
def test_models_backbones_protocols_and_trainers_exist(name):
    load_all()
    table = load(name)
    assert table.wrong
    for row in (row for row in table.rows if row.kind == "built"):
        for ask in row.asks.values():
            assert build(ask).spec.modality in ("audio", "video")
        for ask in filter(None, (row.model, row.audio_model, row.video_model)):
            kind = estimators.kind_of(parse(ask).name)
            bind(parse(PLACEHOLDER.sub("X", ask)), kind.defaults("paper"))
            if "{" not in ask and row.asks:
                estimators.build(ask).check_modalities(tuple(row.asks))
    for setting in table.settings.values():
        layouts = {d.removesuffix("-voices") for d in setting.datasets}
        known = [p for layout in layouts for p in manifest.load(layout).protocols]
        assert setting.protocol in known
        if setting.test_protocol:
            assert setting.test_protocol in manifest.load(setting.elsewhere).protocols
    for trained in table.trained.values():
        assert load(trained.table).row(trained.row).kind == "built"


@pytest.mark.parametrize(
    ("text", "percent", "low", "high"),
    [
        ("0.9532", False, 0.9532, 0.9532),
        (".77", False, 0.77, 0.77),
        ("74.204", True, 0.74204, 0.74204),
        ("97.11%", True, 0.9711, 0.9711),
        ("0.8242 to 0.8304", False, 0.8242, 0.8304),
        ("over 0.882", False, 0.882, None),
        ("up to 58.38%", True, None, 0.5838),
        ("N/A", True, None, None),
        ("——", True, None, None),
        ("about 0.1 lower", False, None, None),
    ],
)
def test_numbers_are_read_off_the_print(text, percent, low, high):
    assert Published.of(text, percent) == Published(text, low, high)


GOOD = """
title = "t"
paper = "p"
place = "Table 9"
[settings.s]
datasets = ["d"]
[[columns]]
head = "AUC"
metric = "auc"
setting = "s"
[[rows]]
id = "a"
name = "A"
audio = "mel"
published = ["0.5"]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('published = ["0.5"]', 'published = ["0.5", "0.6"]', "2 cells for 1 columns"),
        ('metric = "auc"', 'metric = "f1"', "metric f1"),
        ('audio = "mel"', "", "neither columns nor rows"),
        ('setting = "s"', 'setting = "other"', "setting 'other'"),
        ('audio = "mel"', 'fuse = ["b"]', "fuses b"),
        ('audio = "mel"', 'kind = "unbuilt"', "kind unbuilt"),
        ('title = "t"', 'titel = "t"', "unknown key"),
    ],
)
def test_what_does_not_fit_together_is_refused(old, new, said):
    assert parse_table(GOOD, "good").row("a").published == ("0.5",)
    with pytest.raises(InputError, match=said):
        parse_table(GOOD.replace(old, new), "bad")


def test_an_unknown_table_lists_the_known_ones():
    with pytest.raises(MissingError, match=r"thesis-5\.5"):
        load("table-9")
