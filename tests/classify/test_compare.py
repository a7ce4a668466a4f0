"""Paired tests against an independent DeLong in plain loops, and against simulated truth."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from avfd.errors import InputError
from classify.compare import _adjusted, bootstrap_p, compare
from classify.delong import aucs_with_covariance
from classify.metrics import BootstrapOptions, deepfake_scores, emotion_scores

QUICK = BootstrapOptions(replicates=300)


def psi(fake, real):
    return 1.0 if fake > real else 0.5 if fake == real else 0.0


def delong_in_loops(fake, first, second):
    """DeLong 1988 as printed: AUCs, and their covariance from placement values."""
    fakes, reals = np.flatnonzero(fake), np.flatnonzero(~fake)
    v10, v01, aucs = [], [], []
    for run in (first, second):
        v10.append([sum(psi(run[i], run[j]) for j in reals) / len(reals) for i in fakes])
        v01.append([sum(psi(run[i], run[j]) for i in fakes) / len(fakes) for j in reals])
        aucs.append(sum(v10[-1]) / len(fakes))
    return aucs, np.cov(v10) / len(fakes) + np.cov(v01) / len(reals)


def obuchowski_in_loops(fake, first, second, clusters):
    """Obuchowski 1997 as printed, for the covariance of two AUCs."""
    fakes, reals = np.flatnonzero(fake), np.flatnonzero(~fake)
    m, n = len(fakes), len(reals)
    names = sorted(set(clusters))
    sums = []
    for run in (first, second):
        v10 = {i: sum(psi(run[i], run[j]) for j in reals) / n for i in fakes}
        v01 = {j: sum(psi(run[i], run[j]) for i in fakes) / m for j in reals}
        theta = sum(v10.values()) / m
        of_fakes = [sum(v10[i] - theta for i in fakes if clusters[i] == c) for c in names]
        of_reals = [sum(v01[j] - theta for j in reals if clusters[j] == c) for c in names]
        sums.append((of_fakes, of_reals))
    (x1, y1), (x2, y2) = sums
    with_fakes = len({clusters[i] for i in fakes})
    with_reals = len({clusters[j] for j in reals})
    s10 = with_fakes / ((with_fakes - 1) * m) * sum(a * b for a, b in zip(x1, x2, strict=True))
    s01 = with_reals / ((with_reals - 1) * n) * sum(a * b for a, b in zip(y1, y2, strict=True))
    s11 = sum(a * b for a, b in zip(x1, y2, strict=True))
    s11 += sum(a * b for a, b in zip(x2, y1, strict=True))
    return s10 / m + s01 / n + len(names) / (len(names) - 1) * s11 / (m * n)


def tied_runs(clips, seed):
    rng = np.random.default_rng(seed)
    fake = np.r_[True, False, rng.random(clips - 2) < 0.4]
    runs = np.clip(0.3 + 0.3 * fake + rng.normal(0, 0.3, (2, clips)), 0, 1).round(1)
    return fake, runs


def scored(fake, run, groups=None, **more):
    keys = [f"d/{i:04}" for i in range(len(fake))]
    names = ["fake" if y else "real" for y in fake]
    return deepfake_scores(keys, names, run, groups=groups or keys, base_rate=0.5, **more)


@pytest.mark.parametrize("seed", range(4))
def test_one_clip_a_cluster_is_delong(seed):
    fake, runs = tied_runs(45, seed)
    aucs, covariance = aucs_with_covariance(fake, runs, np.arange(45))
    expected_aucs, expected = delong_in_loops(fake, *runs)
    np.testing.assert_allclose(aucs, expected_aucs)
    np.testing.assert_allclose(covariance, expected)


@pytest.mark.parametrize("seed", range(4))
def test_clustered_variance_is_obuchowskis(seed):
    fake, runs = tied_runs(48, seed)
    clusters = np.random.default_rng(seed).permutation(np.arange(48) % 9)
    _, covariance = aucs_with_covariance(fake, runs, clusters)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = obuchowski_in_loops(fake, runs[i], runs[j], clusters)
        assert covariance[i, j] == pytest.approx(expected)


def test_table_carries_the_delong_p_value():
    fake, runs = tied_runs(60, 9)
    table = compare({"a": scored(fake, runs[0]), "b": scored(fake, runs[1])}, bootstrap=QUICK)
    row = table.rows[0]
    (first, second), cov = delong_in_loops(fake, *runs)
    error = math.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    assert (row.metric, row.test) == ("auc", "clustered DeLong")
    assert row.difference == pytest.approx(first - second)
    assert row.p == pytest.approx(2 * t.sf(abs(first - second) / error, 59))
    assert row.high - row.low == pytest.approx(2 * t.ppf(0.975, 59) * error)


def subject_effects(rng, subjects, clips):
    """Two equally good runs, each leaning its own way on each subject; labels by subject."""
    subject = np.repeat(np.arange(subjects), clips)
    fake = subject % 2 == 1
    noise = rng.normal(size=(2, subjects))[:, subject] + rng.normal(size=(2, len(subject)))
    return fake, fake + noise, subject


def test_clustered_test_keeps_its_level_where_plain_delong_does_not():
    rng = np.random.default_rng(2026)
    rejected, trials = {"clustered": 0, "plain": 0}, 600
    for _ in range(trials):
        fake, runs, subject = subject_effects(rng, 20, 10)
        for name, clusters, law in (
            ("clustered", subject, t(19)),
            ("plain", np.arange(200), norm),
        ):
            aucs, cov = aucs_with_covariance(fake, runs, clusters)
            error = math.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
            rejected[name] += 2 * law.sf(abs(aucs[0] - aucs[1]) / error) < 0.05
    # 600 trials at 5 %: a standard error of 0.9 points.
    assert 0.025 <= rejected["clustered"] / trials <= 0.075
    assert rejected["plain"] / trials > 0.25


def test_bootstrap_and_delong_agree_on_many_groups():
    rng = np.random.default_rng(4)
    fake, runs, subject = subject_effects(rng, 200, 3)
    runs = 1 / (1 + np.exp(-runs))
    groups = [f"s{i}" for i in subject]
    table = compare(
        {"a": scored(fake, runs[0], groups), "b": scored(fake, runs[1], groups)},
        bootstrap=BootstrapOptions(replicates=2000),
    )
    delong, bootstrap, _ = table.rows
    assert bootstrap.difference == pytest.approx(delong.difference)
    assert bootstrap.high - bootstrap.low == pytest.approx(delong.high - delong.low, rel=0.1)
    assert bootstrap.p == pytest.approx(delong.p, abs=0.05)


def test_a_run_equals_itself():
    fake, runs = tied_runs(30, 1)
    run = scored(fake, runs[0])
    for row in compare({"a": run, "again": run}, bootstrap=QUICK).rows:
        assert (row.difference, row.p, row.p_adjusted) == (0, 1, 1)


def test_a_clear_difference_is_found_by_every_test():
    rng = np.random.default_rng(0)
    fake = np.arange(120) % 2 == 1
    groups = [f"s{i // 4}" for i in range(120)]
    good = np.where(fake, 0.8, 0.2) + rng.uniform(-0.2, 0.2, 120)
    table = compare(
        {"good": scored(fake, good, groups), "coin": scored(fake, rng.random(120), groups)},
        bootstrap=QUICK,
    )
    assert [(r.metric, r.test) for r in table.rows] == [
        ("auc", "clustered DeLong"),
        ("auc", "clustered bootstrap"),
        ("accuracy", "clustered bootstrap"),
    ]
    for row in table.rows:
        assert row.p < 0.01
        assert row.low > 0
    assert (table.clips, table.groups) == (120, 30)
    json.dumps(table.to_json(), allow_nan=False)


def test_order_of_the_clips_does_not_matter():
    fake, runs = tied_runs(40, 6)
    first, second = scored(fake, runs[0]), scored(fake, runs[1])
    shuffled = second.take(np.random.default_rng(0).permutation(40))
    straight = compare({"a": first, "b": second}, bootstrap=QUICK)
    assert compare({"a": first, "b": shuffled}, bootstrap=QUICK) == straight


def test_uncovered_clips_count_at_the_base_rate():
    fake = np.array([False, True, False, True])
    covered = [True, True, False, False]
    table = compare(
        {
            "all": scored(fake, [0.1, 0.9, 0.1, 0.9]),
            "half": scored(fake, [0.1, 0.9, math.nan, math.nan], covered=covered),
        },
        bootstrap=QUICK,
    )
    assert table.rows[0].second_value == pytest.approx(3.5 / 4)
    assert table.covered == {"all": 4, "half": 2}


def test_different_clips_are_refused_with_their_names():
    fake, runs = tied_runs(10, 0)
    first = scored(fake, runs[0])
    second = scored(fake, runs[1]).take(np.arange(8))
    with pytest.raises(InputError, match=r"8 in common.*only in a: d/0008, d/0009"):
        compare({"a": first, "b": second})


def test_common_clips_only_on_request_and_said():
    fake, runs = tied_runs(30, 0)
    first = scored(fake, runs[0]).take(np.arange(2, 30))
    second = scored(fake, runs[1]).take(np.arange(28))
    table = compare({"a": first, "b": second}, common=True, bootstrap=QUICK)
    assert table.clips == 26
    assert table.notes == (
        "Only the 26 clips that all runs scored are compared; left out: a 2, b 2.",
    )


def test_nothing_in_common_is_refused_even_on_request():
    fake, runs = tied_runs(10, 0)
    halves = scored(fake, runs[0]).take(np.arange(5)), scored(fake, runs[1]).take(np.arange(5, 10))
    with pytest.raises(InputError, match=r"different clips \(0 in common\)"):
        compare({"a": halves[0], "b": halves[1]}, common=True)


def test_other_labels_groups_or_classes_are_refused():
    fake, runs = tied_runs(6, 0)
    first = scored(fake, runs[0])
    with pytest.raises(InputError, match=r"disagree on the clips' labels.*d/0000 \(fake, real\)"):
        compare({"a": first, "b": scored(~fake, runs[1])})
    with pytest.raises(InputError, match=r"disagree on the clips' groups.*\(d/0000, x\)"):
        compare({"a": first, "b": scored(fake, runs[1], ["x"] * 6)})
    emotion = emotion_scores(
        first.keys,
        ["sad"] * 6,
        np.ones((6, 1)),
        classes=["sad"],
        groups=first.groups,
        base_rates=[1],
    )
    with pytest.raises(InputError, match="tell different classes apart; found: real, fake and sad"):
        compare({"a": first, "b": emotion})
    with pytest.raises(InputError, match="a comparison needs two runs; found: a"):
        compare({"a": first})


def test_one_class_or_one_group_gives_no_test_and_the_reason():
    one_class = scored(np.ones(4, dtype=bool), [0.1, 0.2, 0.7, 0.9])
    delong, bootstrap, accuracy = compare({"a": one_class, "b": one_class}, bootstrap=QUICK).rows
    assert delong.reason == bootstrap.reason == "undefined: the clips are of one class"
    assert (delong.p, bootstrap.p, accuracy.p) == (None, None, 1)
    fake = np.array([True, False, True])
    lone = scored(fake, [0.1, 0.2, 0.7], ["x", "x", "y"])
    row = compare({"a": lone, "b": lone}, bootstrap=QUICK).rows[0]
    assert (row.difference, row.p, row.reason) == (
        0,
        None,
        "no interval: only one group has real clips",
    )


def test_emotion_runs_compare_macro_auc_and_accuracy():
    rng = np.random.default_rng(0)
    classes, truth = ("angry", "happy", "sad"), rng.integers(0, 3, 90)
    keys = [f"d/{i}" for i in range(90)]

    def run(strength):
        weights = np.exp(rng.normal(size=(90, 3)) + strength * np.eye(3)[truth])
        return emotion_scores(
            keys,
            [classes[i] for i in truth],
            weights / weights.sum(axis=1, keepdims=True),
            classes=classes,
            groups=[f"s{i % 15}" for i in range(90)],
            base_rates=[1 / 3] * 3,
        )

    rows = compare({"strong": run(3), "weak": run(0)}, bootstrap=QUICK).rows
    assert [r.metric for r in rows] == ["macro_auc", "accuracy"]
    assert all(r.p < 0.01 for r in rows)


def test_holm_by_hand():
    fake, rng = np.arange(20) % 2 == 1, np.random.default_rng(1)
    named = {name: scored(fake, rng.random(20)) for name in "abc"}
    rows = compare(named, bootstrap=QUICK).rows[0::3]
    rows = [replace(row, p=p) for row, p in zip(rows, (0.04, 0.01, 0.03), strict=True)]
    assert [r.p_adjusted for r in _adjusted(rows)] == pytest.approx([0.06, 0.03, 0.06])


def test_bootstrap_p_is_never_zero():
    assert bootstrap_p(np.full(999, 0.1)) == pytest.approx(0.002)
    assert bootstrap_p(np.r_[np.full(10, -1.0), np.full(10, 1.0)]) == 1
