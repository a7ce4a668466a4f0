"""The published tables as data, and our numbers beside them; see docs/tables.md.

from classify.tables import load, names
names()                      # every table
load("thesis-5.5").rows      # its rows with the published numbers
"""

from classify.tables.spec import Table, load, names

__all__ = ["Table", "load", "names"]
