"""What `benchmarks.forged` measures: AUCs with clustered intervals, and the choice on validation.

A table of verdicts has a row a clip or a second: fold, split (val or test), group, fake (bool), and
p, P(fake). Validation rows of a fold come from a model that trained on neither of its two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avfd.clips import FAKE, Clip
from avfd.runs import Run
from classify.metrics import BootstrapOptions, ranking
from classify.metrics.bootstrap import Floats, percentile_interval, replicates_of, values_of
from classify.sides import part_labels

LEAST_SHARE = 0.5
"""A second is fake if at least so much of it is; with less, but some, it is left out."""
PARTS = ("audio", "video")
_CLIP = 1e-6


@dataclass(frozen=True)
class Number:
    """An AUC with its clustered 95 % interval; None where a class is missing."""

    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    groups: int = 0


def auc(table: pd.DataFrame, drawn: BootstrapOptions) -> Number:
    """Of the test rows of a table of verdicts."""
    rows = table[table["split"] == "test"]
    fake, groups = rows["fake"].to_numpy(dtype=bool), rows["group"].tolist()
    if not fake.any() or fake.all():
        return Number(None, rows=len(rows), groups=len(set(groups)))
    ranked = ranking.Ranking.of(fake, rows["p"].to_numpy(dtype=np.float64), groups)

    def statistics(weights: Floats) -> Mapping[str, Floats]:
        return {"auc": ranking.auc(ranked.curves(weights))}

    value = values_of(statistics, len(rows))["auc"]
    draws = replicates_of(statistics, groups, drawn).get("auc", np.empty(0))
    low, high = percentile_interval(draws, drawn.level) or (None, None)
    return Number(value, low, high, len(rows), len(set(groups)))


def clip_verdicts(run: Run, clips: Mapping[str, Clip], part: str = "whole") -> pd.DataFrame:
    """A row a clip, with its method, against the whole label or a track's own.

    Models that judge tracks are asked for their verdict on the track.
    """
    scores = run.scores()
    scores = scores[scores["split"] != "train"]
    own = f"track_{part}"
    p = scores[own].fillna(0.5) if own in scores else scores[f"score_{FAKE}"]
    return pd.DataFrame(
        {
            "key": scores["key"],
            "fold": scores["fold"],
            "split": scores["split"],
            "group": scores["group"],
            "method": [clips[key].method for key in scores["key"]],
            "fake": [_is_fake(clips[key], part) for key in scores["key"]],
            "p": p,
        }
    )


def _is_fake(clip: Clip, part: str) -> bool:
    if part == "whole":
        return clip.label == FAKE
    return part_labels(clip)[PARTS.index(part)] == FAKE


def second_verdicts(run: Run, clips: Mapping[str, Clip]) -> pd.DataFrame | None:
    """A row a second against what is really fake in it, of the clips that say what is.

    None for models without such scores, and where no fake says it.
    """
    known = {k for k, c in clips.items() if c.label != FAKE or c.fake_segments is not None}
    seconds = run.seconds()
    if seconds is None or all(clips[key].label != FAKE for key in known):
        return None
    seconds = seconds[seconds["key"].isin(known)]
    group = run.scores().drop_duplicates("key").set_index("key")["group"]
    share = np.array(
        [fake_share(clips[k], s) for k, s in zip(seconds["key"], seconds["second"], strict=True)]
    )
    table = pd.DataFrame(
        {
            "key": seconds["key"],
            "fold": seconds["fold"],
            "split": seconds["split"],
            "group": group.loc[seconds["key"]].to_numpy(),
            "fake": share >= LEAST_SHARE,
            "p": seconds[f"score_{FAKE}"],
        }
    )
    return table[(share == 0) | (share >= LEAST_SHARE)].reset_index(drop=True)


def fake_share(clip: Clip, second: int) -> float:
    """How much of the second [second, second + 1) is fake; of the last one what there is of it."""
    length = min(1.0, clip.seconds - second)
    inside = sum(
        max(0.0, min(second + length, end) - max(second, start))
        for start, end in clip.fake_segments or ()
    )
    return inside / length if length > 0 else 0.0


def choose(tables: Mapping[str, pd.DataFrame]) -> dict[int, str]:
    """Fold → the system with the best AUC on that fold's validation; of equal ones the first.

    No test row is looked at.
    """
    folds = sorted({int(f) for table in tables.values() for f in table["fold"].unique()})
    quality = {f: {name: _validated(table, f) for name, table in tables.items()} for f in folds}
    return {f: max(found, key=lambda name: found[name]) for f, found in quality.items()}


def followed(names: Mapping[int, str], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The test rows of each fold, by the system that was chosen without them.

    Its scores pass Platt's sigmoid, fitted on the fold's validation rows, so that scores of
    different systems can stand in one list.
    """
    parts = [_sigmoid(tables[name][tables[name]["fold"] == f]) for f, name in names.items()]
    return pd.concat(parts, ignore_index=True)


def _validated(table: pd.DataFrame, fold: int) -> float:
    """AUC on a fold's validation rows; -1 where there is none."""
    held = table[(table["fold"] == fold) & (table["split"] == "val")]
    value = auc(held.assign(split="test"), BootstrapOptions(replicates=0)).value
    return -1.0 if value is None else value


def validated(table: pd.DataFrame) -> float:
    """Mean over the folds of the AUC on their validation rows."""
    found = [_validated(table, int(fold)) for fold in sorted(table["fold"].unique())]
    return float(np.mean([value for value in found if value >= 0]))


def _sigmoid(table: pd.DataFrame) -> pd.DataFrame:
    """A fold's test rows with P(fake) recalibrated on its validation rows."""
    from sklearn.linear_model import LogisticRegression

    held, tested = (table[table["split"] == split] for split in ("val", "test"))
    if held["fake"].nunique() < 2:
        return tested
    model = LogisticRegression().fit(_log_odds(held["p"]), held["fake"])
    if model.coef_[0, 0] <= 0:  # worse than chance on validation: its order is kept, not turned
        return tested
    return tested.assign(p=model.predict_proba(_log_odds(tested["p"]))[:, 1])


def _log_odds(p: Sequence[float] | pd.Series) -> Floats:
    kept = np.clip(np.asarray(p, dtype=np.float64), _CLIP, 1 - _CLIP)
    return np.asarray(np.log(kept / (1 - kept))[:, None])
