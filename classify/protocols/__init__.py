"""Which clips train, validate and test; see docs/protocols.md.

`assign` runs a named protocol of a manifest, `folds` cross-validates by group, `as_test` tests a
finished model on other data. All give a `Split`.
"""

from classify.protocols.assign import as_test, assign
from classify.protocols.filters import SeveralFaces
from classify.protocols.folds import folds
from classify.protocols.lineage import joined
from classify.protocols.split import Split, Target, group_of

__all__ = [
    "SeveralFaces",
    "Split",
    "Target",
    "as_test",
    "assign",
    "folds",
    "group_of",
    "joined",
]
