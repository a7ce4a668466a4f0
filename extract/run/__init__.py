"""The run of an extract: plan, loop, commits, report."""

from extract.run.loop import extract_columns
from extract.run.plan import Limits
from extract.run.report import ColumnCount, ExtractReport, Failure, Note

__all__ = ["ColumnCount", "ExtractReport", "Failure", "Limits", "Note", "extract_columns"]
