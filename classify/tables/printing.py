"""A table report as Markdown, LaTeX or CSV, and as the cells that the terminal shows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from classify.tables.report import Cell, RowReport, TableReport

Format = Literal["text", "markdown", "latex", "csv"]
NOTHING = "–"
MARKS = {"quoted": " (quoted)", "unbuilt": " (not built)"}
CSV_COLUMNS = (
    "table", "row", "name", "kind", "column", "published", "value", "low", "high",
    "clips", "covered", "groups", "run", "reused", "reason", "notes",
)  # fmt: skip
OTHER_DATA = "the published numbers are of other data and cannot be compared"
WIDEST = 110  # characters of a LaTeX table, gaps between columns too: four fifths of \footnotesize
GAP = 3  # characters that the space between two columns takes
MOST_COLUMNS = 8  # of one LaTeX table, its rows' names and clips not counted
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", "`": r"\`{}", '"': "''",
    "–": r"\textendash{}", "—": r"\textemdash{}", "…": r"\ldots{}",
    "²": r"\(^2\)", "×": r"\(\times\)",
}  # fmt: skip


def grid(report: TableReport) -> tuple[list[str], list[list[str]], list[str]]:
    """Heads, lines and footnotes: a number of ours stands behind the published one.

    A cell without a number of ours has the number of its footnote instead.
    """
    heads = ["", *(f"{head}: published | ours [95 %]" for head in report.columns), "clips"]
    notes: dict[str, int] = {}
    lines = [_line(row, notes) for row in report.rows]
    return heads, lines, [f"[{number}] {text}" for text, number in notes.items()]


def _line(row: RowReport, notes: dict[str, int]) -> list[str]:
    marks = "".join(f" [{_number(note, notes)}]" for note in row.notes)
    cells = [_text(row, cell, notes) for cell in row.cells]
    counted = dict.fromkeys(_coverage(cell) for cell in row.cells if cell.ours is not None)
    covered = ", ".join(counted) or NOTHING
    return [row.name + MARKS.get(row.kind, "") + marks, *cells, covered]


def _text(row: RowReport, cell: Cell, notes: dict[str, int]) -> str:
    published = cell.published or NOTHING
    if row.kind == "quoted":
        return published
    if cell.ours is None:
        return f"{published} | [{_number(cell.reason, notes)}]" if cell.published else NOTHING
    mark = f" [{_number(cell.ours.reason, notes)}]" if cell.ours.reason else ""
    return f"{published} | {cell.ours}{mark}"


def _number(note: str, notes: dict[str, int]) -> int:
    return notes.setdefault(note, len(notes) + 1)


def _coverage(cell: Cell) -> str:
    """Clips scored of clips tested."""
    assert cell.ours is not None
    return f"{cell.ours.covered}/{cell.ours.clips}"


def heading(report: TableReport) -> str:
    """What the table is, in one line."""
    on = f", on {'+'.join(report.datasets)}" if report.datasets else ""
    return f"{report.paper}, {report.place}: {report.title}{on}"


def caveats(report: TableReport) -> list[str]:
    """What is known to be wrong with the published protocol, and what we chose."""
    said = [f"of the paper: {text}" for text in report.wrong]
    if report.datasets:
        said.append(f"here: {OTHER_DATA}")
    return [*said, *(f"here: {text}" for text in report.notes)]


def markdown(report: TableReport) -> str:
    """A heading, the table, footnotes and caveats."""
    heads, lines, notes = grid(report)
    rows = [heads, ["---"] * len(heads), *lines]
    body = "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)
    said = "\n".join(f"- {text}" for text in (*notes, *caveats(report)))
    return f"### {heading(report)}\n\n{body}\n\n{said}\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def latex(report: TableReport) -> str:
    """Tables with booktabs' rules, as many as the columns take; notes below, as text.

    One that is wider than its line is shrunk to it by graphicx.

    Each has the footnotes of its own marks; the caveats stand below the last.
    """
    parts = list(_parts(report))
    floats = []
    for number, part in enumerate(parts, start=1):
        which = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        said = [line for line in caveats(report) if OTHER_DATA not in line]
        floats.append(_float(part, which, said if number == len(parts) else []))
    return "\n".join(floats)


def _float(report: TableReport, which: str, said: Sequence[str]) -> str:
    """One `table` of LaTeX."""
    _, lines, notes = grid(report)
    rows = [" & ".join(map(_tex, row)) + r" \\" for row in (_short_heads(report), *lines)]
    body = "\n".join([rows[0], r"\midrule", *rows[1:]])
    form = "l" * (len(report.columns) + 2)
    below = "".join(f"\\par {_tex(text)}\n" for text in (*notes, *said))
    other = f"; {OTHER_DATA}" if report.datasets else ""
    caption = f"{heading(report)}{which} (published | ours [95 %]){other}"
    return (
        "\\begin{table}\n"
        f"\\caption{{{_tex(caption)}}}\n"
        "\\footnotesize\\raggedright\n"
        f"{_FITTED}\n"
        f"\\begin{{tabular}}{{{form}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        f"\\par\\medskip\n{below}"
        "\\end{table}\n"
    )


def _short_heads(report: TableReport) -> list[str]:
    """Heads for a table whose caption says what a cell holds."""
    return ["", *report.columns, "clips"]


def _parts(report: TableReport) -> Iterator[TableReport]:
    """The report by columns, as many at a time as a page is wide."""
    _, lines, _ = grid(report)
    columns = zip(_short_heads(report), *lines, strict=True)
    widths = [max(map(len, column)) + GAP for column in columns]
    spare = WIDEST - widths[0] - widths[-1]
    start = width = 0
    for i, own in enumerate(widths[1:-1]):
        if i > start and (width + own > spare or i - start == MOST_COLUMNS):
            yield _columns(report, start, i)
            start, width = i, 0
        width += own
    yield _columns(report, start, len(report.columns))


def _columns(report: TableReport, start: int, end: int) -> TableReport:
    """The report of some of its columns, and of the rows that have something there."""
    cut = [replace(row, cells=row.cells[start:end]) for row in report.rows]
    rows = tuple(row for row in cut if any(cell.published or cell.ours for cell in row.cells))
    return replace(report, columns=report.columns[start:end], rows=rows)


def _tex(text: str) -> str:
    """Text as LaTeX prints it letter by letter; two hyphens stay two."""
    return re.sub("-(?=-)", "-{}", "".join(_LATEX.get(letter, letter) for letter in text))


def as_csv(report: TableReport) -> str:
    """A line a cell that the paper has or that has a number of ours."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in report.rows:
        writer.writerows(
            _csv(report, row, cell) for cell in row.cells if cell.published or cell.ours
        )
    return out.getvalue()


def _csv(report: TableReport, row: RowReport, cell: Cell) -> Sequence[object]:
    ours = cell.ours
    numbers: Sequence[object] = [""] * 6
    if ours is not None:
        numbers = [ours.value, ours.low, ours.high, ours.clips, ours.covered, ours.groups]
    known = [report.table, row.id, row.name, row.kind, cell.column, cell.published]
    return [*known, *numbers, cell.run, cell.reused, cell.reason, "; ".join(row.notes)]
