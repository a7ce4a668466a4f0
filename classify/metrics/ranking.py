"""Metrics of a ranking, vectorised over bootstrap replicates: AUC, average precision, EER.

A replicate is a row of clip weights (how often each clip was drawn); all ones is the sample itself.
Fake is positive and a higher score means more fake. Clips with equal scores pass the threshold
together, so a tie counts half in the AUC.

A group that a replicate drew twice stands there twice, and its fakes meet its own reals four times:
twice in the same copy and twice across the copies. Only the former count in the AUC. Otherwise the
replicates would have more pairs of one group than the sample has, and where such pairs are ordered
better than others (a fake and its own original) the interval would lie beside the AUC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classify.metrics.bootstrap import group_index

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Counts above each distinct threshold, from none to all clips.

    Attributes:
        hits: weight of the fakes above the threshold [replicates, thresholds + 1].
        alarms: weight of the reals above it, same shape.
        crossed_wins, crossed_pairs: pairs of a fake and a real of one group across copies of it
            [replicates]: those with the fake above (of equal scores half), and all.
    """

    hits: Floats
    alarms: Floats
    crossed_wins: Floats
    crossed_pairs: Floats

    @property
    def fakes(self) -> Floats:
        """Weight of all fakes [replicates]."""
        return self.hits[:, -1]

    @property
    def reals(self) -> Floats:
        """Weight of all reals [replicates]."""
        return self.alarms[:, -1]


@dataclass(frozen=True)
class Within:
    """The pairs of a fake and a real of one group, for each group.

    Attributes:
        clip: a clip of the group [groups].
        wins: pairs with the fake above, of equal scores half [groups].
        pairs: all of them [groups].
    """

    clip: NDArray[np.intp]
    wins: Floats
    pairs: Floats

    @classmethod
    def of(cls, fake: NDArray[np.bool_], scores: Floats, groups: Sequence[str]) -> Within:
        """Count them; all arguments [clips]."""
        index, count = group_index(groups)
        fakes = np.bincount(index, fake, count)
        ranks = pd.Series(scores).groupby(index).rank().to_numpy()
        # Mann and Whitney: the sum of the fakes' ranks, less what it is with all fakes below.
        wins = np.bincount(index, ranks * fake, count) - fakes * (fakes + 1) / 2
        clip = np.unique(index, return_index=True)[1]
        return cls(clip, wins, fakes * (np.bincount(index, minlength=count) - fakes))


@dataclass(frozen=True)
class Ranking:
    """The order of the clips by falling score, made once and used for every replicate.

    Attributes:
        order: positions of the clips, highest score first [clips].
        starts: where each run of equal scores begins in that order [thresholds].
        fake: bool [clips], in that order.
        within: the pairs of one group.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    fake: NDArray[np.bool_]
    within: Within

    @classmethod
    def of(cls, fake: NDArray[np.bool_], scores: Floats, groups: Sequence[str]) -> Ranking:
        """Rank clips; `fake` bool [clips], `scores` and `groups` [clips], at least one clip."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return cls(order, starts, fake[order], Within.of(fake, scores, groups))

    def curves(self, weights: Floats) -> Curves:
        """Cumulative counts for weights [replicates, clips], the same for clips of one group."""
        ranked = weights[:, self.order]
        copies = weights[:, self.within.clip]
        across = copies * (copies - 1)
        return Curves(
            self._cumulated(ranked * self.fake),
            self._cumulated(ranked * ~self.fake),
            across @ self.within.wins,
            across @ self.within.pairs,
        )

    def _cumulated(self, weights: Floats) -> Floats:
        steps = np.add.reduceat(weights, self.starts, axis=1)
        return np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))


def auc(curves: Curves) -> Floats:
    """Area under the ROC curve [replicates]; NaN where a class is missing.

    It is the share of the pairs of a fake and a real that are ordered right, without those across
    copies of a group.
    """
    width = np.diff(curves.alarms, axis=1)
    height = (curves.hits[:, 1:] + curves.hits[:, :-1]) / 2
    wins = (width * height).sum(axis=1) - curves.crossed_wins
    return _ratio(wins, curves.fakes * curves.reals - curves.crossed_pairs)


def average_precision(curves: Curves) -> Floats:
    """Mean precision over the recall steps, not interpolated [replicates]; NaN without fakes."""
    above = curves.hits[:, 1:] + curves.alarms[:, 1:]
    # Where nothing is above the threshold there is no recall step either: any precision will do.
    precision = curves.hits[:, 1:] / np.where(above > 0, above, 1)
    return _ratio((np.diff(curves.hits, axis=1) * precision).sum(axis=1), curves.fakes)


def equal_error_rate(curves: Curves) -> Floats:
    """Where missed fakes and false alarms have the same rate [replicates]; NaN without a class.

    The ROC curve is taken as straight between its points, as for the AUC.
    """
    alarms = _ratio(curves.alarms, curves.reals[:, None])
    gap = 1 - _ratio(curves.hits, curves.fakes[:, None]) - alarms
    after = np.maximum(1, (gap <= 0).argmax(axis=1))[:, None]
    gap_before, gap_after = _at(gap, after - 1), _at(gap, after)
    alarms_before, alarms_after = _at(alarms, after - 1), _at(alarms, after)
    share = _ratio(gap_before, gap_before - gap_after)
    return alarms_before + share * (alarms_after - alarms_before)


def _at(values: Floats, columns: NDArray[np.intp]) -> Floats:
    return np.take_along_axis(values, columns, axis=1)[:, 0]


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = np.where(denominator > 0, numerator / denominator, np.nan)
    return ratio
