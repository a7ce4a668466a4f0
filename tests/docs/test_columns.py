"""docs/columns.md says what the specs say."""

from __future__ import annotations

from pathlib import Path

from extract.backbones import build, load_all
from extract.backbones._table import replaced

DOCUMENT = Path(__file__).parents[2] / "docs" / "columns.md"


def test_the_table_is_made_from_the_specs():
    """If not: python -m extract.backbones._table docs/columns.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert replaced(text) == text


def test_every_column_of_the_table_can_be_built():
    load_all()
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    columns = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert len(columns) == len(set(columns)) >= 9
    assert [build(name).spec.name for name in columns] == columns
