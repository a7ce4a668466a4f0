"""`evaluate` and `compare` on finished runs: their own clips, and other data sets."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import classify
from avfd.errors import FingerprintError, InputError, MissingError
from classify import FitOptions

FIT = FitOptions(datasets=("d",), folds=3, replicates=50, model="logreg")
PRINT = "1" * 64


@pytest.fixture(scope="module")
def home(kit, tmp_path_factory):
    """ "d" to train on; "e" with the same columns, labelled and not; "f" with another "mel"."""
    path = tmp_path_factory.mktemp("home")
    for name, fingerprint, bare in (("d", PRINT, 0), ("e", PRINT, 3), ("f", "2" * 64, 0)):
        columns = [
            kit.Column(kit.spec("mel"), kit.mean_signal, fingerprint),
            kit.Column(kit.spec("face_track", "video"), kit.mean_signal, PRINT),
        ]
        clips = [replace(c, split=None) for c in kit.make_clips(name, 8, 4, unlabelled=bare)]
        home = kit.make_home(path, name, clips, columns)
    return home


@pytest.fixture(scope="module")
def run(home):
    return classify.fit(home, replace(FIT, audio="mel")).run


def test_a_run_s_own_test_is_what_fit_reported(home, run):
    report = classify.evaluate(home, run)
    assert (report.clips, report.labelled) == (32, 32)
    assert report.metrics["all"]["metrics"]["auc"]["value"] > 0.9


def test_another_data_set_is_scored_by_the_mean_of_the_folds(home, run):
    report = classify.evaluate(home, run, dataset="e")
    assert (report.clips, report.labelled) == (35, 32)
    assert report.metrics["all"]["metrics"]["auc"]["value"] > 0.9
    table = pd.read_parquet(report.scores_path)
    assert table["label"].isna().sum() == 3
    assert table["score_fake"].between(0, 1).all()


def test_unlabelled_clips_get_scores_and_no_metrics(home, run):
    report = classify.evaluate(home, run, dataset="e", split="unlabelled")
    assert (report.clips, report.labelled, report.metrics) == (3, 0, None)
    assert len(pd.read_parquet(report.scores_path)) == 3


def test_evaluating_twice_gives_the_same_table(home, run):
    tables = [
        pd.read_parquet(classify.evaluate(home, run, dataset="e").scores_path) for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_column_of_another_fingerprint_is_refused_with_both(home, run):
    with pytest.raises(FingerprintError, match=r"found: 2{64}; accepted: 1{64}"):
        classify.evaluate(home, run, dataset="f")


def test_fused_runs_score_other_data_sets(home, run):
    video = classify.fit(home, replace(FIT, video="face_track")).run
    both = FitOptions(runs=(run, video), fusion="decision", replicates=50)
    fused = classify.evaluate(home, classify.fit(home, both).run, dataset="e")
    tables = [
        pd.read_parquet(classify.evaluate(home, name, dataset="e").scores_path)["score_fake"]
        for name in (run, video)
    ]
    found = pd.read_parquet(fused.scores_path)["score_fake"]
    pd.testing.assert_series_equal(found, sum(tables) / 2)
    assert set(fused.coverage) == {"audio", "video"}


def test_a_windowed_run_scores_the_seconds_of_other_clips(home):
    windowed = classify.fit(home, replace(FIT, audio="mel", window_seconds=1)).run
    report = classify.evaluate(home, windowed, dataset="e", split="unlabelled")
    seconds = pd.read_parquet(report.scores_path.with_name("seconds.parquet"))
    assert seconds.groupby("key")["second"].agg(list).tolist() == [[0, 1]] * 3


def test_an_unknown_split_lists_the_known_ones(home, run):
    with pytest.raises(InputError, match="unlabelled"):
        classify.evaluate(home, run, split="dev")


def test_an_unknown_protocol_is_refused_whatever_the_split(home, run):
    with pytest.raises(MissingError, match="nope"):
        classify.evaluate(home, run, dataset="e", protocol="nope")


@pytest.mark.parametrize("where", [{"dataset": "e"}, {"split": "test"}])
def test_a_protocol_that_would_choose_nothing_is_refused(home, run, where):
    with pytest.raises(InputError, match="chooses among another data set's clips"):
        classify.evaluate(home, run, protocol="hash", **where)


def test_a_side_that_the_run_lacks_is_named(home, run):
    with pytest.raises(MissingError, match="test"):
        classify.evaluate(home, run, split="val")


def test_an_unknown_run_lists_the_known_ones(home, run):
    with pytest.raises(MissingError, match=run):
        classify.evaluate(home, "nothing")


def test_runs_are_compared_on_the_same_clips(home, run):
    other = classify.fit(home, replace(FIT, video="face_track")).run
    table = classify.compare(home, [run, other], replicates=50)
    assert (table.clips, table.groups) == (32, 8)
    assert {(row.first, row.second) for row in table.rows} == {(run, other)}
