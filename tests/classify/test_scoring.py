"""Scores tables with verdicts on tracks, and the metrics of each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from classify.features import MemorySource, Samples, Sequences, Slots
from classify.scoring import metrics_by_side, metrics_of, scores_frame, track_scores
from classify.windows import Scores

CLASSES = ("real", "fake")


def samples(count=4):
    """Whole: fake where either track is; the last clip's sound has no label."""
    slots = [Slots(np.zeros((1, 1, 2)), np.ones((1, 1), bool))] * count
    audio, video = np.array([0, 1, 0, -1]), np.array([0, 0, 1, 1])
    return Samples(
        keys=tuple(f"d/{i}" for i in range(count)),
        datasets=("d",) * count,
        groups=tuple(f"g{i}" for i in range(count)),
        y=np.array([0, 1, 1, 1]),
        features={"audio": Sequences.of(MemorySource("a", slots, 1, 2))},
        part_labels={"audio": audio, "video": video},
    )


def frame(tracks):
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    scores = Scores(p, tracks=tracks)
    return scores_frame(samples(), scores, CLASSES, np.array([0.5, 0.5]), split="test", fold=0)


TRACKS = {"audio": np.array([0.1, 0.9, 0.6, 0.2]), "video": np.array([0.1, 0.2, np.nan, 0.7])}


def test_a_track_counts_where_it_has_a_label_of_its_own():
    table = frame(TRACKS)
    assert table["label_audio"].tolist()[:3] == ["real", "fake", "real"]
    known = track_scores(table, "audio")
    assert known.keys == ("d/0", "d/1", "d/2")
    report = metrics_of(table, [0.5, 0.5], 0)
    audio = report["tracks"]["audio"]["all"]["metrics"]
    assert audio["accuracy"]["value"] == 2 / 3
    assert audio["auc"]["value"] == 1.0
    assert report["all"]["metrics"]["accuracy"]["value"] == 1.0


def test_a_clip_without_a_verdict_on_the_track_is_undecided():
    known = track_scores(frame(TRACKS), "video")
    assert known.covered.tolist() == [True, True, False, True]
    report = metrics_of(frame(TRACKS), [0.5, 0.5], 0)["tracks"]["video"]
    assert (report["clips"], report["covered_clips"]) == (4, 3)
    assert report["covered"]["metrics"]["auc"]["value"] == 1.0


def test_the_verdict_in_words_asks_the_whole_first_and_then_the_tracks():
    assert frame(TRACKS)["verdict"].tolist() == ["real", "audio", "audio", "video"]
    both = {"audio": np.full(4, 0.5), "video": np.array([0.9, 0.9, np.nan, 0.1])}
    assert frame(both)["verdict"].tolist() == ["real", "video and audio", "audio", "audio"]
    assert frame({"video": np.full(4, 0.1)})["verdict"].tolist() == ["real", "fake", "fake", "fake"]
    p = np.array([[np.nan, np.nan], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    bare = Scores(p, tracks=TRACKS)
    table = scores_frame(samples(), bare, CLASSES, np.array([0.5, 0.5]), split="test", fold=0)
    assert table["verdict"].isna().tolist() == [True, False, False, False]


def test_models_that_judge_the_whole_only_have_no_tracks():
    table = frame({})
    assert not [c for c in table.columns if c.startswith(("track_", "label_", "verdict"))]
    assert "tracks" not in metrics_of(table, [0.5, 0.5], 0)


def test_clips_that_several_folds_scored_have_no_metrics_of_that_side():
    test, val = frame({}), frame({}).assign(split="val")
    twice = pd.concat([test, val, val.assign(fold=1)], ignore_index=True)
    assert set(metrics_by_side(twice, [0.5, 0.5], 0, 0)) == {"test"}
