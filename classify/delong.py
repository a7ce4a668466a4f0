"""Covariance of AUCs of several runs on the same clips, when clips come in clusters.

DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) take every clip as independent; Obuchowski
(Biometrics 53, 1997) sums their placement values over each cluster first. With one clip a cluster
the second is the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def aucs_with_covariance(
    fake: NDArray[np.bool_], scores: Floats, clusters: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """AUC of each run and their covariance.

    Args:
        fake: bool [clips], with both kinds in at least two clusters each.
        scores: [runs, clips], higher is more fake.
        clusters: number of each clip's cluster [clips], 0 … clusters - 1, none empty.

    Returns:
        AUCs [runs] and covariance [runs, runs].
    """
    placed_fakes, placed_reals = placements(fake, scores)
    aucs = placed_fakes.mean(axis=1)
    of_fakes = _cluster_sums(placed_fakes - aucs[:, None], clusters[fake], clusters)
    of_reals = _cluster_sums(placed_reals - aucs[:, None], clusters[~fake], clusters)
    fakes, reals = int(fake.sum()), int((~fake).sum())
    count = of_fakes.shape[1]
    between_fakes = _unbiased(len(np.unique(clusters[fake]))) * of_fakes @ of_fakes.T / fakes**2
    between_reals = _unbiased(len(np.unique(clusters[~fake]))) * of_reals @ of_reals.T / reals**2
    across = _unbiased(count) * of_fakes @ of_reals.T / (fakes * reals)
    return aucs, between_fakes + between_reals + across + across.T


def placements(fake: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Share of the other kind that each clip is ranked rightly against, ties counting half.

    Returns:
        For the fakes [runs, fakes] and for the reals [runs, reals].
    """
    of_fakes = np.stack([_share_below(run[fake], run[~fake]) for run in scores])
    of_reals = np.stack([_share_below(-run[~fake], -run[fake]) for run in scores])
    return of_fakes, of_reals


def _share_below(values: Floats, others: Floats) -> Floats:
    """Share of `others` below each value, equal ones counting half [values]."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")
    share: Floats = below / (2 * len(others))
    return share


def _cluster_sums(
    values: Floats, of_values: NDArray[np.intp], clusters: NDArray[np.intp]
) -> Floats:
    """Values [runs, some clips] summed over each cluster: [runs, clusters]."""
    count = int(clusters.max()) + 1
    return np.stack([np.bincount(of_values, weights=run, minlength=count) for run in values])


def _unbiased(count: int) -> float:
    return count / (count - 1)
