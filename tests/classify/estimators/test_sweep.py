"""The sweep: what it tries, how it ranks, what it keeps, and what it refuses to read."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

import classify
from avfd import runs
from avfd.errors import InputError
from classify import FitOptions, estimators
from classify.estimators import EstimatorOptions, Validation
from classify.estimators.sweeping import (
    Task,
    attempt,
    attempts,
    check_trees,
    known,
    pipeline,
    restored,
)
from classify.features import MemorySource, Sequences, Slots

NEED_MORE = {  # of Lazypredict's set, those that cannot be made or fitted with defaults
    "CategoricalNB",
    "FixedThresholdClassifier",
    "SelfTrainingClassifier",
    "StackingClassifier",
    "TunedThresholdClassifierCV",
}


def task(count=80, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(count, 5)), np.arange(count) % classes
    x[:, 0] += 3.0 * y
    x[3, 2] = np.nan
    half = count // 2
    return Task(x[:half], y[:half], np.ones(half), x[half:], y[half:], 0)


def sequences(count=48, seed=0, signal=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    slots = [
        Slots(rng.normal(size=(1, 8, 3)) + signal * label, np.ones((1, 8), bool)) for label in y
    ]
    return {"audio": Sequences.of(MemorySource("a", slots, 8, 3))}, y


def build(ask="sweep", **options):
    return estimators.build(ask, EstimatorOptions(**{"preset": "small", **options}))


def test_the_whole_set_of_lazypredict_is_tried_and_comes_back_from_its_file():
    tried = {one.name: one for one in attempts(list(known()), task(), 0)}
    assert len(tried) == len(known()) >= 31
    assert {name for name, one in tried.items() if one.reason} == NEED_MORE
    for one in tried.values():
        assert bool(one.reason) != bool(one.model)
    assert tried["GaussianNB"].balanced_accuracy > 0.85
    assert tried["DummyClassifier"].balanced_accuracy == 0.5


@pytest.mark.parametrize("name", ["LinearSVC", "GaussianNB"])
def test_more_classes_have_probabilities_of_each(name):
    made = attempt(name, task(120, classes=3))
    assert made.balanced_accuracy > 0.8
    assert made.auc > 0.9


def test_the_best_on_validation_is_kept_and_not_the_best_on_training():
    """A tree knows its own training clips by heart; on others the linear model is better."""
    training, y = sequences(60, signal=0.4)
    held, truth = sequences(60, seed=1, signal=0.4)
    model = build("sweep:models=DecisionTreeClassifier+GaussianNB")
    model.fit(training, y, validation=Validation(held, truth))
    assert [one["name"] for one in model.ranking_] == ["GaussianNB", "DecisionTreeClassifier"]
    best, other = model.ranking_
    assert best["balanced_accuracy"] > other["balanced_accuracy"]
    p = model.predict_proba(held)
    recalls = [(p.argmax(axis=1)[truth == c] == c).mean() for c in (0, 1)]
    assert np.mean(recalls) == pytest.approx(best["balanced_accuracy"])
    assert model.notes_ == [
        "GaussianNB, the best of 2 classifiers on validation (balanced accuracy "
        f"{best['balanced_accuracy']:.3f})."
    ]


@pytest.mark.parametrize("name", ["LabelPropagation", "LabelSpreading"])
def test_no_finite_probabilities_are_a_reason(name):
    """Vectors of many numbers lie so far apart that their kernel is 0 and its shares 0 / 0."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 300)), np.arange(40) % 2
    far = Task(x[:20], y[:20], np.ones(20), x[20:], y[20:], 0)
    made = attempt(name, far)
    assert (made.reason, made.model) == ("gives no finite probabilities", b"")
    assert attempt(name, task()).balanced_accuracy >= 0.75


def test_what_did_not_work_or_could_not_be_weighted_stands_in_the_ranking_alone(tmp_path):
    """The note of a run has only their number."""
    features, y = sequences()
    ask = "sweep:models=GaussianNB+StackingClassifier+FixedThresholdClassifier+NearestCentroid"
    model = build(ask).fit(features, y)
    (note,) = model.notes_
    assert note.endswith("; 2 did not work: see ranking.json.")
    assert len(note) < 130
    model.save(tmp_path)
    ranking = json.loads((tmp_path / "ranking.json").read_text())
    reasons = {one["name"]: one["reason"] for one in ranking if one["reason"]}
    assert set(reasons) == {"StackingClassifier", "FixedThresholdClassifier"}
    assert "estimators" in reasons["StackingClassifier"]
    weighed = {one["name"]: one["weighed"] for one in ranking}
    assert weighed["GaussianNB"]
    assert not weighed["NearestCentroid"]


def test_without_validation_groups_are_held_out_and_the_best_sees_all():
    features, y = sequences()
    groups = [f"g{i // 4}" for i in range(len(y))]
    model = build("sweep:models=GaussianNB").fit(features, y, groups=groups)
    assert model.parts_["model"][-1].class_count_.sum() == len(y)
    with pytest.raises(InputError, match="too few groups"):
        build("sweep:models=GaussianNB").fit(features, y, groups=["one"] * len(y))


def test_saved_and_loaded_it_scores_alike(tmp_path):
    features, y = sequences()
    model = build("sweep:models=RandomForestClassifier+LinearSVC").fit(features, y)
    model.save(tmp_path)
    assert not list(tmp_path.rglob("*.pkl"))
    again = estimators.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(features), model.predict_proba(features))
    assert again.ranking_ == model.ranking_
    assert {one["name"] for one in json.loads((tmp_path / "ranking.json").read_text())} == {
        "RandomForestClassifier",
        "LinearSVC",
    }


def test_a_strange_type_in_the_file_is_refused():
    from sklearn.neighbors import KNeighborsClassifier
    from skops.io import dumps

    strange = KNeighborsClassifier(algorithm="kd_tree").fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(InputError, match="KDTree"):
        restored(dumps({"model": [strange], "calibration": None}))


def test_a_tree_that_points_out_of_itself_is_refused():
    made = task()
    model = pipeline("ExtraTreesClassifier", 0).fit(np.nan_to_num(made.x), made.y)[-1]
    check_trees(model)
    state = model.estimators_[3].tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["right_child"][0] = 10_000
    model.estimators_[3].tree_.__setstate__(state)
    with pytest.raises(InputError, match="broken"):
        check_trees(model)


def test_nothing_that_works_is_an_error_that_says_why():
    features, y = sequences()
    with pytest.raises(InputError, match=r"StackingClassifier: .*estimators"):
        build("sweep:models=StackingClassifier").fit(features, y)
    with pytest.raises(InputError, match="no such classifier"):
        build("sweep:models=Oracle").fit(features, y)


def test_one_that_takes_too_long_is_ended_and_the_next_goes_on():
    tried = list(attempts(["GaussianNB", "SVC"], task(), 60.0))
    assert [bool(one.model) for one in tried] == [True, True]
    tried = list(attempts(["GaussianNB"], task(), 1e-9))
    assert [one.reason for one in tried] == ["over 1e-09 s"]


def test_a_process_that_dies_is_an_attempt_that_failed(monkeypatch):
    from classify.estimators import sweeping

    monkeypatch.setattr(sweeping, "_serve", _die)
    tried = list(attempts(["GaussianNB"], task(), 60.0))
    assert [one.reason for one in tried] == ["its process died"]


def _die(pipe, task):
    pipe.send("ready")
    time.sleep(0)
    raise SystemExit(9)


def test_a_run_of_it_is_a_normal_run(av_home):
    options = FitOptions(audio="compare2016", folds=3, model="sweep", preset="small", replicates=20)
    report = classify.fit(av_home, options)
    assert report.metrics["test"]["all"]["metrics"]["auc"]["value"] > 0.95
    assert sum("the best of 3 classifiers on validation" in note for note in report.notes) == 3
    again = classify.evaluate(av_home, runs.load(av_home, report.run).path)
    assert again.clips == 48
