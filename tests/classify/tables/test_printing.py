"""A table in LaTeX: what a reader of the typeset page must see stands there, and compiles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from classify.tables import printing
from classify.tables.report import Cell, Ours, RowReport, TableReport

OURS = Ours(0.7, 0.6, 0.8, 48, 48, 9)
STAND_IN = "STAND-IN: face_track for emo-cnn3d, run `avfd weights add FILE --as emo-cnn3d`"


def report(columns=1, datasets=(), published="60.0", ours=OURS, reason="", name="Picture"):
    heads = tuple(f"AUC {i}" for i in range(columns))
    cells = tuple(Cell(head, published, None, None, ours, reason) for head in heads)
    return TableReport(
        table="t",
        title="A title",
        paper="A paper",
        place="Table 9",
        datasets=datasets,
        wrong=("100 % of it is wrong.",),
        notes=(),
        columns=heads,
        needs=(),
        rows=(RowReport("row", name, "built", "", cells, (STAND_IN,)),),
    )


def test_what_the_marks_point_to_is_text_inside_the_float():
    tex = printing.latex(report())
    assert tex.endswith("\\end{table}\n")
    assert not any(line.startswith("%") for line in tex.splitlines())
    below = tex.partition("\\end{tabular}")[2]
    assert below.splitlines() == [
        "}",
        r"\par\medskip",
        r"\par [1] STAND-IN: face\_track for emo-cnn3d, run \`{}avfd weights add FILE "
        r"-{}-as emo-cnn3d\`{}",
        r"\par of the paper: 100 \% of it is wrong.",
        r"\end{table}",
    ]


def test_a_bar_stands_between_published_and_ours_in_any_font_encoding():
    tex = printing.latex(report())
    assert r"Picture [1] & 60.0 \textbar{} 0.700 [0.600, 0.800] & 48/48 \\" in tex
    assert r"(published \textbar{} ours [95 \%])}" in tex
    assert "|" not in tex


def test_a_cell_without_a_number_has_the_reason_below():
    tex = printing.latex(report(ours=None, reason="not_cached"))
    assert r"60.0 \textbar{} [2]" in tex
    assert r"\par [2] not\_cached" in tex


def test_the_caption_says_that_the_published_numbers_are_of_other_data():
    (caption,) = [x for x in printing.latex(report(datasets=("my_d",))).splitlines() if "cap" in x]
    assert "on my\\_d" in caption
    assert caption.endswith("the published numbers are of other data and cannot be compared}")
    assert "other data" not in printing.latex(report())


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("AVT²-DWF", r"AVT\(^2\)-DWF"),
        ("a---b", "a-{}-{}-b"),
        ("–", r"\textendash{}"),
        ("<a_b> & {c}", r"\textless{}a\_b\textgreater{} \& \{c\}"),
        ('"x"', "''x''"),
    ],
)
def test_letters_that_latex_reads_as_its_own_are_written_out(text, tex):
    assert f"{tex} [1] &" in printing.latex(report(name=text))


def heads(tex):
    """The columns' heads of every tabular."""
    lines = tex.splitlines()
    tops = [lines[i + 1] for i, line in enumerate(lines) if line == r"\toprule"]
    return [top.removesuffix(r" \\").split(" & ")[1:-1] for top in tops]


def test_many_columns_are_several_tables_as_wide_as_a_page():
    wide = printing.latex(report(columns=7))
    pairs = [["AUC 0", "AUC 1"], ["AUC 2", "AUC 3"], ["AUC 4", "AUC 5"], ["AUC 6"]]
    assert heads(wide) == pairs
    assert wide.count("[1] STAND-IN") == 4
    assert wide.count("is wrong") == 1
    assert "part 4 of 4" in wide
    narrow = printing.latex(report(columns=9, published="1", ours=None, reason="no"))
    assert [len(block) for block in heads(narrow)] == [8, 1]


def test_a_table_wider_than_a_page_has_a_column_a_part():
    assert heads(printing.latex(report(columns=2, name="x" * 200))) == [["AUC 0"], ["AUC 1"]]


def test_a_row_stands_in_the_parts_in_which_it_has_something():
    whole = report(columns=4)
    empty = replace(whole.rows[0].cells[0], published="", ours=None)
    other = replace(whole.rows[0], name="Late", cells=(*[empty] * 3, whole.rows[0].cells[3]))
    first, second = printing.latex(replace(whole, rows=(*whole.rows, other))).split("\n\n")
    assert "Late" not in first
    assert "Late [1] &" in second
    assert "Picture [1] &" in first
    assert "Picture [1] &" in second
