"""Metrics against scikit-learn, scipy and hand-worked numbers; intervals against theory."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics as sk

from avfd.errors import InputError
from classify.metrics import BootstrapOptions, deepfake_scores, emotion_scores, measure
from classify.metrics.bootstrap import (
    group_index,
    percentile_interval,
    replicate_weights,
    replicates_of,
)
from classify.metrics.ranking import Ranking, auc, average_precision

QUICK = BootstrapOptions(replicates=200)


def make(labels, p_fake, groups=None, covered=None, base_rate=0.5):
    keys = [f"d/{i}.mp4" for i in range(len(labels))]
    names = ["fake" if y else "real" for y in labels]
    return deepfake_scores(
        keys, names, p_fake, groups=groups or keys, base_rate=base_rate, covered=covered
    )


def values(scores, options=QUICK):
    return {name: m.value for name, m in measure(scores, options).covered.metrics.items()}


def sample(n, seed, decimals=2):
    """Overlapping classes, with many ties."""
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    p_fake = np.clip(0.35 + 0.3 * labels + rng.normal(0, 0.25, n), 0, 1).round(decimals)
    return labels, p_fake


@pytest.mark.parametrize("seed", range(5))
def test_real_fake_metrics_equal_scikit_learn(seed):
    labels, p_fake = sample(137, seed)
    got = values(make(labels, p_fake))
    decided = p_fake >= 0.5
    assert got["auc"] == pytest.approx(sk.roc_auc_score(labels, p_fake))
    assert got["average_precision"] == pytest.approx(sk.average_precision_score(labels, p_fake))
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, decided))
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(labels, decided))


@pytest.mark.parametrize("seed", range(5))
def test_equal_error_rate_is_where_the_interpolated_roc_crosses(seed):
    labels, p_fake = sample(90, seed)
    alarms, hits, _ = sk.roc_curve(labels, p_fake, drop_intermediate=False)
    roc = interp1d(alarms, hits)
    expected = brentq(lambda x: 1 - x - roc(x), 0, 1)
    assert values(make(labels, p_fake))["equal_error_rate"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("p_fake", "expected"), [([0, 0, 1, 1], 0), ([1, 1, 0, 0], 1)])
def test_equal_error_rate_at_the_ends(p_fake, expected):
    assert values(make([0, 0, 1, 1], p_fake))["equal_error_rate"] == expected


def test_calibration_error_by_hand():
    # Bin 0.2-0.3: mean 0.25, no fake. Bin 0.9-1: mean 0.95, half fake. Half of the clips each.
    got = values(make([0, 0, 0, 1], [0.2, 0.3 - 1e-9, 0.9, 1.0]))
    assert got["expected_calibration_error"] == pytest.approx((0.25 + 0.45) / 2)


def test_half_is_called_fake_and_below_half_real():
    report = measure(make([1, 1, 0, 0], [0.5, 0.4999, 0.5, 0.4999]), QUICK)
    assert report.classes == ("real", "fake")
    assert report.covered.confusion == ((1, 1), (1, 1))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_has_no_auc_but_an_accuracy(label):
    metrics = measure(make([label] * 4, [0.9, 0.8, 0.2, 0.6]), QUICK).covered.metrics
    for name in ("auc", "average_precision", "equal_error_rate", "balanced_accuracy"):
        assert metrics[name].value is None
        assert metrics[name].low is None
        assert metrics[name].reason == f"undefined: no clip is {('fake', 'real')[label]}"
    assert metrics["accuracy"].value == (0.25, 0.75)[label]
    assert metrics["accuracy"].reason == ""


def test_uncovered_clips_count_at_the_base_rate():
    labels, p_fake = [0, 0, 1, 1], [0.1, math.nan, math.nan, 0.9]
    scores = make(labels, p_fake, covered=[True, False, False, True], base_rate=0.7)
    report = measure(scores, QUICK)
    assert report.covered.metrics["auc"].value == 1
    assert report.covered.metrics["auc"].clips == 2
    # Ranked .1 < .7 = .7 < .9: one of the four pairs is a tie.
    assert report.all.metrics["auc"].value == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert report.all.metrics["accuracy"].value == 0.75
    assert (report.clips, report.covered_clips) == (4, 2)


def test_nothing_covered_still_reports_all():
    report = measure(make([0, 1], [math.nan] * 2, covered=[False, False]), QUICK)
    assert report.covered.metrics["accuracy"].reason == "no clip is covered"
    assert report.covered.confusion == ((0, 0), (0, 0))
    assert report.all.metrics["auc"].value == 0.5


def test_one_group_has_no_interval():
    metric = measure(make([0, 1], [0.1, 0.9], groups=["ann", "ann"]), QUICK).covered.metrics["auc"]
    assert (metric.value, metric.low, metric.groups) == (1.0, None, 1)
    assert metric.reason == "no interval: all clips are one group"


def test_replicates_without_a_class_are_left_out_and_said():
    """Three groups, fakes in one: a replicate misses it with probability (2/3)^3 = 0.296."""
    scores = make([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3], groups=["a", "a", "b", "c"])
    reason = measure(scores, BootstrapOptions(replicates=2000)).covered.metrics["auc"].reason
    undefined = int(reason.removeprefix("undefined on ").split(" of 2000 replicates")[0])
    assert undefined / 2000 == pytest.approx(0.296, abs=0.04)


@pytest.mark.parametrize("drop", [None, "sad"])
def test_emotion_metrics_equal_scikit_learn(drop):
    rng = np.random.default_rng(3)
    classes = ("angry", "happy", "neutral", "sad")
    truth = rng.integers(0, 4 if drop is None else 3, 120)
    logits = rng.normal(size=(120, 4)) + 1.2 * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    keys = [f"d/{i}" for i in range(120)]
    scores = emotion_scores(
        keys,
        [classes[i] for i in truth],
        probabilities,
        classes=classes,
        groups=[f"s{i % 10}" for i in range(120)],
        base_rates=[0.25] * 4,
    )
    report = measure(scores, QUICK)
    got = {name: m.value for name, m in report.covered.metrics.items()}
    decided = probabilities.argmax(axis=1)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(truth, decided))
    seen = np.unique(truth)
    recall = sk.recall_score(truth, decided, average="macro", labels=seen)
    assert got["unweighted_average_recall"] == pytest.approx(recall)
    aucs = [sk.roc_auc_score(truth == c, probabilities[:, c]) for c in seen]
    assert got["macro_auc"] == pytest.approx(np.mean(aucs))
    confusion = sk.confusion_matrix(truth, decided, labels=range(4))
    assert report.covered.confusion == tuple(map(tuple, confusion.tolist()))
    said = report.covered.metrics["macro_auc"].reason
    assert said == ("mean over the classes that occur: no clip is sad" if drop else "")


def test_report_is_json_without_nan():
    report = measure(make([1, 1, 1], [0.1, 0.2, math.nan], covered=[True, True, False]), QUICK)
    text = json.dumps(report.to_json(), allow_nan=False)
    assert json.loads(text)["all"]["metrics"]["auc"]["value"] is None


def test_same_seed_same_report_to_the_bit():
    labels, p_fake = sample(60, 1)
    scores = make(labels, p_fake, groups=[f"s{i % 12}" for i in range(60)])
    assert measure(scores, QUICK) == measure(scores, QUICK)
    other = measure(scores, BootstrapOptions(replicates=200, seed=1))
    assert other.covered.metrics["auc"].low != measure(scores, QUICK).covered.metrics["auc"].low


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_fake": [0.1, 1.2]}, "1 clips have a score that is no probability"),
        ({"p_fake": [0.1, math.nan]}, "d/b: 1 clips have a score that is no probability"),
        ({"labels": ["real", "maybe"]}, "maybe; accepted: real, fake"),
        ({"keys": ["d/a", "d/a"]}, "clips are scored twice; found: d/a"),
        ({"groups": ["ann"]}, "groups: the shape does not fit"),
        ({"base_rate": 1.5}, "a base rate is no share"),
    ],
)
def test_wrong_scores_are_refused(change, message):
    facts = {
        "keys": ["d/a", "d/b"],
        "labels": ["real", "fake"],
        "p_fake": [0.1, 0.9],
        "groups": ["ann", "bob"],
        "base_rate": 0.5,
    } | change
    with pytest.raises(InputError, match=message):
        deepfake_scores(facts.pop("keys"), facts.pop("labels"), facts.pop("p_fake"), **facts)


# The bootstrap itself


def test_a_replicate_draws_whole_groups():
    groups = ["ann", "bob", "ann", "cy", "bob", "ann"]
    (weights,) = replicate_weights(groups, BootstrapOptions(replicates=50))
    index, count = group_index(groups)
    for group in range(count):
        drawn = weights[:, index == group]
        assert (drawn == drawn[:, :1]).all()
    firsts = weights[:, [0, 1, 3]]
    assert (firsts.sum(axis=1) == count).all()


def test_weighted_statistics_equal_those_of_the_drawn_clips():
    labels, p_fake = sample(40, 5)
    groups = [f"s{i % 8}" for i in range(40)]
    (weights,) = replicate_weights(groups, BootstrapOptions(replicates=20))
    curves = Ranking.of(labels == 1, p_fake, groups).curves(weights)
    got = average_precision(curves)
    for row, value in zip(weights.astype(int), got, strict=True):
        drawn = np.repeat(np.arange(40), row)
        assert value == pytest.approx(sk.average_precision_score(labels[drawn], p_fake[drawn]))


def test_a_group_drawn_twice_meets_itself_twice():
    """A pair of clips counts as often as both were drawn, of one group as often as the group."""
    labels, p_fake = sample(40, 6)
    index = np.arange(40) % 8
    groups = [f"s{i}" for i in index]
    (weights,) = replicate_weights(groups, BootstrapOptions(replicates=20))
    got = auc(Ranking.of(labels == 1, p_fake, groups).curves(weights))
    f, r = np.flatnonzero(labels == 1)[:, None], np.flatnonzero(labels == 0)[None]
    wins = (p_fake[f] > p_fake[r]) + 0.5 * (p_fake[f] == p_fake[r])
    for drawn, value in zip(weights, got, strict=True):
        counts = np.where(index[f] == index[r], drawn[f], drawn[f] * drawn[r])
        assert value == pytest.approx((counts * wins).sum() / counts.sum())


def test_replicates_lie_around_the_auc_also_where_groups_hold_twins():
    """28 people, a fake often a little above its own original, people far apart."""
    rng = np.random.default_rng(0)
    levels = rng.normal(0, 1, 28)
    x = np.c_[levels, levels + 0.2 + rng.normal(0, 0.15, 28)].ravel()
    groups = [f"s{i // 2}" for i in range(56)]
    ranking = Ranking.of(np.tile([False, True], 28), x, groups)
    found = auc(ranking.curves(np.ones((1, 56))))[0]
    (weights,) = replicate_weights(groups, BootstrapOptions(replicates=4000))
    draws = auc(ranking.curves(weights))
    assert abs(draws.mean() - found) < 0.1 * draws.std()


def test_interval_of_a_mean_is_that_of_normal_theory():
    """The mean of 60 groups of equal size: standard error sd(group means) / sqrt(60)."""
    rng = np.random.default_rng(0)
    group_means = rng.normal(0.6, 0.1, 60)
    clips = np.repeat(group_means, 5)
    groups = [f"s{i}" for i in np.repeat(np.arange(60), 5)]

    def mean(weights):
        return {"mean": weights @ clips / weights.sum(axis=1)}

    draws = replicates_of(mean, groups, BootstrapOptions(replicates=8000))["mean"]
    error = group_means.std() / np.sqrt(60)
    assert draws.std() == pytest.approx(error, rel=0.03)
    low, high = percentile_interval(draws, 0.95)
    # A 2.5 % quantile of 8,000 draws has itself a standard error of 0.03 errors: four of them.
    assert low == pytest.approx(group_means.mean() - 1.96 * error, abs=0.12 * error)
    assert high == pytest.approx(group_means.mean() + 1.96 * error, abs=0.12 * error)


def test_intervals_cover_the_truth_where_clips_cluster():
    """30 subjects × 10 clips: clustered intervals near 95 %, clip-wise ones far below."""
    rng = np.random.default_rng(7)
    held = {"clustered": 0, "by clip": 0}
    subjects = np.repeat(np.arange(30), 10)
    for trial in range(200):
        # Each subject has a rate of its own; the beta distribution's mean is exactly 0.7.
        right = rng.random(300) < rng.beta(3.5, 1.5, 30)[subjects]
        for name, groups in (("clustered", subjects), ("by clip", np.arange(300))):

            def mean(weights, right=right):
                return {"mean": weights @ right / weights.sum(axis=1)}

            options = BootstrapOptions(replicates=300, seed=trial)
            draws = replicates_of(mean, [str(g) for g in groups], options)["mean"]
            low, high = percentile_interval(draws, 0.95)
            held[name] += low <= 0.7 <= high
    assert 0.90 <= held["clustered"] / 200 <= 0.98
    assert held["by clip"] / 200 < 0.80


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30))
def test_auc_is_the_share_of_ordered_pairs(clips):
    labels, p_fake = [a for a, _ in clips], [b / 8 for _, b in clips]
    fakes = [p for y, p in zip(labels, p_fake, strict=True) if y]
    reals = [p for y, p in zip(labels, p_fake, strict=True) if not y]
    got = values(make(labels, p_fake), BootstrapOptions(replicates=0))["auc"]
    if not fakes or not reals:
        assert got is None
        return
    pairs = [(f > r) + 0.5 * (f == r) for f in fakes for r in reals]
    assert got == pytest.approx(sum(pairs) / len(pairs))
