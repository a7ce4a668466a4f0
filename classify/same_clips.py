"""The same clips for every run: what must hold before two runs may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from avfd.errors import InputError
from classify.metrics.scores import ClipScores

_LISTED = 10


def on_same_clips(
    runs: Mapping[str, ClipScores], *, common: bool
) -> tuple[dict[str, ClipScores], tuple[str, ...]]:
    """The runs on the same clips in the same order, and sentences on what was left out.

    Args:
        runs: name → scores, two or more.
        common: restrict runs with different clips to those that all of them have.

    Raises:
        InputError: fewer than two runs; other clips and not `common`; other labels, classes or
            groups. The clips are named, up to ten.
    """
    if len(runs) < 2:
        raise InputError("a comparison needs two runs", found=", ".join(runs) or "none")
    shared = set.intersection(*(set(run.keys) for run in runs.values()))
    every = set.union(*(set(run.keys) for run in runs.values()))
    if shared != every and not (common and shared):
        _refuse_other_clips(runs, shared)
    order = sorted(shared)
    aligned = {name: _in_order(run, order) for name, run in runs.items()}
    _check_same_truth(aligned)
    if shared == every:
        return aligned, ()
    left = ", ".join(f"{name} {len(run.keys) - len(shared)}" for name, run in runs.items())
    said = f"Only the {len(shared)} clips that all runs scored are compared; left out: {left}."
    return aligned, (said,)


def _in_order(run: ClipScores, order: Sequence[str]) -> ClipScores:
    """The run on those clips."""
    position = {key: i for i, key in enumerate(run.keys)}
    return run.take(np.array([position[key] for key in order], dtype=np.intp))


def _refuse_other_clips(runs: Mapping[str, ClipScores], shared: set[str]) -> None:
    extra = {name: sorted(set(run.keys) - shared) for name, run in runs.items()}
    found = "; ".join(f"only in {name}: {_some(keys)}" for name, keys in extra.items() if keys)
    raise InputError(
        f"the runs were scored on different clips ({len(shared)} in common)",
        where=", ".join(runs),
        found=found,
        next_step="evaluate them on the same split, or compare on the common clips"
        if shared
        else "evaluate them on the same split",
    )


def _check_same_truth(runs: Mapping[str, ClipScores]) -> None:
    (name, first), *others = runs.items()
    for other_name, other in others:
        if other.classes != first.classes:
            raise InputError(
                "the runs tell different classes apart",
                where=f"{name}, {other_name}",
                found=f"{', '.join(first.classes)} and {', '.join(other.classes)}",
            )
        for what in ("labels", "groups"):
            pairs = zip(first.keys, getattr(first, what), getattr(other, what), strict=True)
            differing = [f"{key} ({a}, {b})" for key, a, b in pairs if a != b]
            if differing:
                raise InputError(
                    f"the runs disagree on the clips' {what}",
                    where=f"{name}, {other_name}",
                    found=_some(differing),
                    next_step="evaluate both on the clip table as it is now",
                )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
