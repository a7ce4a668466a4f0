"""Stage 2: cache → verdicts.

import classify
from avfd.home import Home

report = classify.fit(Home.at(), classify.FitOptions(audio="compare2016", folds=5))
classify.evaluate(Home.at(), report.run, dataset="other")
classify.compare(Home.at(), [report.run, "another-run-001"])
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classify.choice import FitOptions
    from classify.evaluate import EvaluateReport, compare_runs, evaluate
    from classify.fit import FitReport, fit

    compare = compare_runs

__all__ = ["EvaluateReport", "FitOptions", "FitReport", "compare", "evaluate", "fit"]

# name → module and name there; looked up when first used, so importing this costs nothing.
_API = {
    "EvaluateReport": ("classify.evaluate", "EvaluateReport"),
    "FitOptions": ("classify.choice", "FitOptions"),
    "FitReport": ("classify.fit", "FitReport"),
    "compare": ("classify.evaluate", "compare_runs"),
    "evaluate": ("classify.evaluate", "evaluate"),
    "fit": ("classify.fit", "fit"),
}


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inner = _API[name]
    return getattr(import_module(module), inner)


class _Package(ModuleType):
    """Keeps `classify.fit` the function, whoever imports the module of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _API and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
