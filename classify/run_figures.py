"""The figures that a run carries: what its test side looks like."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.metrics import BootstrapOptions, ClipScores, measure
from classify.metrics.report import Metric
from classify.scoring import clip_scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

BAND_REPLICATES = 400  # a band is looked at, not read off; the AUC's interval is the metrics' own


def write_figures(
    folder: Path,
    scores: pd.DataFrame,
    base_rates: Sequence[float],
    metrics: Mapping[str, Mapping[str, Any]],
    bootstrap: BootstrapOptions,
) -> list[Path]:
    """Draw the test side, or validation where nothing is tested; the paths written.

    Real and fake: roc.png, confusion.png, reliability.png. Emotions: confusion.png. Where no clip
    has a label, or Matplotlib is not installed, nothing is drawn.

    Args:
        scores: a table as in `classify.scoring`.
        metrics: side → its report as JSON.
    """
    side = next((side for side in ("test", "val") if side in metrics), None)
    if side is None or find_spec("matplotlib") is None:
        logger.info("no figures: there is nothing to draw, or no Matplotlib to draw with")
        return []
    from classify.figures import save

    known = clip_scores(scores[scores["split"] == side], base_rates)
    auc = metrics[side]["all"]["metrics"].get("auc")
    figures = _figures(known, side, auc and Metric(**auc), bootstrap)
    folder.mkdir()
    return [
        path for name, figure in figures.items() for path in save(figure, folder / name, ("png",))
    ]


def _figures(
    scores: ClipScores, side: str, auc: Metric | None, bootstrap: BootstrapOptions
) -> dict[str, Figure]:
    """File name → figure."""
    from classify.figures import confusion_figure, reliability_figure, roc_figure

    report = measure(scores, BootstrapOptions(replicates=0))
    figures = {"confusion": confusion_figure(report.all, report.classes)}
    if scores.is_deepfake:
        figures["reliability"] = reliability_figure(scores)
    if auc is not None and auc.value is not None:
        drawn = min(bootstrap.replicates, BAND_REPLICATES)
        options = BootstrapOptions(drawn, bootstrap.seed, bootstrap.level)
        figures["roc"] = roc_figure({side: scores}, options, {side: auc})
    return figures
