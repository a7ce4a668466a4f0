"""What a run says clip by clip, for people: of clips whose label nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avfd.clips import FAKE
from classify.scoring import PREFIX

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClipVerdict:
    """One clip.

    Attributes:
        key: of the clip.
        says: the likeliest class; None where no column covers the clip.
        score: of the class fake where there is one, else of the likeliest class; None as above.
    """

    key: str
    says: str | None
    score: float | None


def unlabelled_verdicts(scores: pd.DataFrame) -> list[ClipVerdict]:
    """Of clips without a label: the highest scores first, what nothing covers last.

    Args:
        scores: a table of scores as runs keep it, a row a clip.
    """
    rows = scores[scores["label"].isna()]
    names = [c.removeprefix(PREFIX) for c in rows.columns if c.startswith(PREFIX)]
    p = rows[[PREFIX + name for name in names]].to_numpy(dtype=np.float64)
    best = p.argmax(axis=1)
    asked = np.full(len(p), names.index(FAKE)) if FAKE in names else best
    shown = p[np.arange(len(p)), asked].tolist()
    there = rows["covered"].tolist()
    order = sorted(range(len(rows)), key=lambda i: (not there[i], -shown[i]))
    return [
        ClipVerdict(
            rows["key"].iloc[i],
            names[best[i]] if there[i] else None,
            shown[i] if there[i] else None,
        )
        for i in order
    ]
