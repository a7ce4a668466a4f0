"""`avfd fit`, `avfd evaluate` and `avfd compare`: cache → verdicts."""

from __future__ import annotations


def fit() -> None:
    """Placeholder until classify.fit lands."""


def evaluate() -> None:
    """Placeholder until classify.evaluate lands."""


def compare() -> None:
    """Placeholder until classify.compare lands."""
