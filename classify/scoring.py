"""Scores as tables: what a run writes, and what metrics are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avfd.clips import LABELS
from classify.estimators.track_verdicts import word_of
from classify.features import Samples
from classify.metrics import BootstrapOptions, ClipScores, emotion_scores, measure
from classify.windows import Floats, Scores

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "score_"
TRACK = "track_"


def scores_frame(
    samples: Samples,
    scores: Scores,
    classes: Sequence[str],
    base_rates: Floats,
    *,
    split: str,
    fold: int,
) -> pd.DataFrame:
    """A row a sample: key, dataset, split, fold, group, label, score_<class>…, covered….

    A sample that the model could not score stands at the training base rates, marked by
    `covered`; `covered_<key>` says what the columns had. Models that judge tracks add
    `track_<modality>`, P(fake) of that track alone, `label_<modality>`, its own label, and
    `verdict`, the answer in words at one half: first the clip's score, then the tracks'.
    """
    import pandas as pd

    covered = ~np.asarray(np.isnan(scores.probabilities).any(axis=1))
    filled = np.where(covered[:, None], scores.probabilities, base_rates)
    labels = [classes[i] if i >= 0 else None for i in samples.y.tolist()]
    content: dict[str, Any] = {
        "key": samples.keys,
        "dataset": samples.datasets,
        "split": split,
        "fold": np.full(len(samples), fold, dtype=np.int64),
        "group": samples.groups,
        "label": pd.Series(labels, dtype="str"),
        **{PREFIX + name: filled[:, i] for i, name in enumerate(classes)},
        "covered": covered,
        **{f"covered_{name}": s.covered for name, s in samples.features.items()},
    }
    for part, p in scores.tracks.items():
        own = [classes[i] if i >= 0 else None for i in samples.part_labels[part].tolist()]
        content |= {TRACK + part: p, f"label_{part}": pd.Series(own, dtype="str")}
    if scores.tracks:
        content["verdict"] = pd.Series(_words(scores), dtype="str")
    frame = pd.DataFrame(content)
    return frame.astype(dict.fromkeys(("key", "dataset", "split", "group"), "str"))


def _words(scores: Scores) -> list[str | None]:
    """What each sample is called; None without a score."""
    whole = scores.probabilities[:, 1]
    unknown = np.full(len(whole), np.nan)
    tracks = [scores.tracks.get(part, unknown) for part in ("video", "audio")]
    return [word_of(*row) for row in np.column_stack([whole, *tracks]).tolist()]


def seconds_frame(
    samples: Samples, scores: Scores, classes: Sequence[str], *, split: str, fold: int
) -> pd.DataFrame:
    """A row a second that has a score: key, split, fold, second, score_<class>…."""
    import pandas as pd

    seconds = scores.seconds or []
    lengths = [len(one) for one in seconds]
    joined = np.concatenate(seconds) if seconds else np.zeros((0, len(classes)))
    frame = pd.DataFrame(
        {
            "key": np.repeat(np.array(samples.keys, dtype=object), lengths),
            "split": split,
            "fold": np.full(len(joined), fold, dtype=np.int64),
            "second": np.concatenate([np.arange(n) for n in lengths] or [np.zeros(0, int)]),
            **{PREFIX + name: joined[:, i] for i, name in enumerate(classes)},
        }
    ).astype({"key": "str", "split": "str"})
    known = np.flatnonzero(~np.isnan(joined).any(axis=1))
    return frame.iloc[known].reset_index(drop=True)


def classes_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """The class names of a scores table, in column order."""
    return tuple(c[len(PREFIX) :] for c in frame.columns if c.startswith(PREFIX))


def clip_scores(frame: pd.DataFrame, base_rates: Sequence[float]) -> ClipScores:
    """The labelled rows of a scores table, ready for metrics."""
    classes = classes_of(frame)
    known = frame[frame["label"].notna()]
    return emotion_scores(
        known["key"].tolist(),
        known["label"].tolist(),
        known[[PREFIX + name for name in classes]].to_numpy(dtype=np.float64),
        classes=classes,
        groups=known["group"].tolist(),
        base_rates=base_rates,
        covered=known["covered"].to_numpy(dtype=bool),
    )


def metrics_of(
    frame: pd.DataFrame, base_rates: Sequence[float], replicates: int, seed: int = 0
) -> dict[str, object] | None:
    """The metrics' report as JSON on the labelled rows; None where there are none.

    Where the table has verdicts on tracks, `tracks` holds a report of each.
    """
    if not frame["label"].notna().any():
        return None
    drawn = BootstrapOptions(replicates=replicates, seed=seed)
    report = measure(clip_scores(frame, base_rates), drawn).to_json()
    tracks = {
        part: measure(track_scores(frame, part), drawn).to_json()
        for part in (c[len(TRACK) :] for c in frame.columns if c.startswith(TRACK))
        if frame[f"label_{part}"].notna().any()
    }
    return {**report, "tracks": tracks} if tracks else report


def track_scores(frame: pd.DataFrame, part: str) -> ClipScores:
    """Verdicts on one track alone, of the clips whose track has a label of its own.

    A clip without a verdict on it counts as undecided, at one half.
    """
    known = frame[frame[f"label_{part}"].notna()]
    p = known[TRACK + part].to_numpy(dtype=np.float64)
    covered = ~np.isnan(p)
    fake = np.where(covered, p, 0.5)
    return emotion_scores(
        known["key"].tolist(),
        known[f"label_{part}"].tolist(),
        np.column_stack([1 - fake, fake]),
        classes=LABELS,
        groups=known["group"].tolist(),
        base_rates=[0.5, 0.5],
        covered=covered,
    )


def metrics_by_side(
    frame: pd.DataFrame, base_rates: Sequence[float], replicates: int, seed: int
) -> dict[str, dict[str, object]]:
    """Side → the metrics' report as JSON; intervals for validation and test only.

    A side whose clips the models of several folds scored has none.
    """
    out: dict[str, dict[str, object]] = {}
    for side in ("train", "val", "test"):
        rows = frame[frame["split"] == side]
        if rows["key"].duplicated().any():
            continue
        drawn = 0 if side == "train" else replicates
        report = metrics_of(rows, base_rates, drawn, seed)
        if report is not None:
            out[side] = report
    return out
