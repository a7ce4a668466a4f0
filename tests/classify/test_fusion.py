"""Decision fusion: each rule by hand, and what happens where a model says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from classify.fusion import RULES, Fusion

NAN = float("nan")


def said(*fake: float) -> np.ndarray:
    p = np.array(fake)
    return np.stack([1 - p, p], axis=1)


def fused(rule: str, *models: np.ndarray) -> list[float]:
    return Fusion(rule).combine(dict(zip("abc", models, strict=False)))[:, 1].tolist()


@pytest.mark.parametrize(
    ("rule", "wanted"), [("mean", 0.5), ("or", 0.8), ("noisy-or", 1 - 0.8 * 0.2)]
)
def test_rules_by_hand(rule, wanted):
    assert fused(rule, said(0.2), said(0.8)) == pytest.approx([wanted])


@pytest.mark.parametrize("rule", ["mean", "or", "noisy-or"])
def test_a_missing_verdict_never_decides(rule):
    assert fused(rule, said(0.3, NAN), said(NAN, 0.6)) == pytest.approx([0.3, 0.6])


@pytest.mark.parametrize("rule", ["mean", "or", "noisy-or"])
def test_no_verdict_at_all_stays_none(rule):
    assert np.isnan(fused(rule, said(NAN, 0.1), said(NAN, 0.1))[0])


def test_or_calls_fake_what_either_calls_fake_at_every_threshold():
    a, b = np.random.default_rng(0).random((2, 100))
    either = np.array(fused("or", said(*a), said(*b)))
    for threshold in (0.1, 0.5, 0.9):
        np.testing.assert_array_equal(either >= threshold, (a >= threshold) | (b >= threshold))


def stacked(seed: int = 0, missing: bool = False):
    rng = np.random.default_rng(seed)
    y = np.arange(200) % 2
    good = np.clip(0.2 + 0.6 * y + 0.1 * rng.normal(size=200), 0.01, 0.99)
    noise = rng.random(200)
    if missing:
        good[::7] = NAN
    return {"good": said(*good), "noise": said(*noise)}, y


def test_stack_trusts_the_model_that_was_right():
    scores, y = stacked()
    fusion = Fusion("stack").fit(scores, y)
    fresh, truth = stacked(seed=1)
    assert (fusion.combine(fresh).argmax(axis=1) == truth).mean() > 0.95
    assert abs(fusion.coefficients_[0, 0]) > 5 * abs(fusion.coefficients_[0, 1])


def test_weights_go_to_the_model_that_was_right():
    scores, y = stacked()
    fusion = Fusion("weighted").fit(scores, y)
    assert fusion.weights_.sum() == pytest.approx(1.0)
    assert (fusion.weights_ >= 0).all()
    assert fusion.weights_[0] > 0.9


def test_the_weights_are_those_of_a_search_over_all():
    """Both models know something; every class weighs the same, however many clips it has."""
    rng = np.random.default_rng(3)
    y = (np.arange(300) % 5 == 0).astype(np.intp)
    p = [np.clip(0.5 + a * (y - 0.5) + 0.15 * rng.normal(size=300), 0.02, 0.98) for a in (0.2, 0.3)]
    fusion = Fusion("weighted").fit({"a": said(*p[0]), "b": said(*p[1])}, y)

    def loss(weight):
        mixed = weight * p[0] + (1 - weight) * p[1]
        each = -np.log(np.where(y == 1, mixed, 1 - mixed))
        return (each[y == 1].mean() + each[y == 0].mean()) / 2

    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmin([loss(weight) for weight in grid])]
    assert fusion.weights_[0] == pytest.approx(best, abs=2e-3)


def test_weights_are_taken_in_proportion_where_a_verdict_is_missing():
    fusion = Fusion("weighted")
    fusion.names_, fusion.weights_ = ["a", "b", "c"], np.array([0.6, 0.2, 0.2])
    models = said(0.1, NAN, NAN), said(0.5, 0.5, NAN), said(0.9, 0.9, NAN)
    p = fusion.combine(dict(zip("abc", models, strict=True)))[:, 1]
    assert p[:2].tolist() == pytest.approx([0.6 * 0.1 + 0.2 * 0.5 + 0.2 * 0.9, 0.7])
    assert np.isnan(p[2])


def test_a_model_without_weight_decides_where_it_is_alone():
    fusion = Fusion("weighted")
    fusion.names_, fusion.weights_ = ["a", "b"], np.array([1.0, 0.0])
    p = fusion.combine({"a": said(0.2, NAN), "b": said(0.9, 0.9)})[:, 1]
    assert p.tolist() == pytest.approx([0.2, 0.9])


def test_weights_are_learnt_of_more_classes_and_with_gaps():
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    right = np.eye(3)[y] * 0.6 + 0.4 / 3
    right[::5] = NAN
    fusion = Fusion("weighted", 3).fit({"a": right, "b": rng.dirichlet([1] * 3, 150)}, y)
    assert fusion.weights_[0] > 0.9


def test_stack_lives_with_missing_verdicts():
    scores, y = stacked(missing=True)
    p = Fusion("stack").fit(scores, y).combine(scores)
    assert not np.isnan(p).any()
    assert (p.argmax(axis=1) == y).mean() > 0.9


def test_stack_of_several_classes():
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    sure = np.full((150, 3), 0.1)
    sure[np.arange(150), y] = 0.8
    scores = {"sure": sure, "noise": rng.dirichlet(np.ones(3), size=150)}
    p = Fusion("stack", 3).fit(scores, y).combine(scores)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert (p.argmax(axis=1) == y).all()


def test_stack_needs_every_class_in_validation():
    scores, y = stacked()
    with pytest.raises(InputError, match="every class"):
        Fusion("stack").fit(scores, np.zeros_like(y))


@pytest.mark.parametrize("rule", RULES)
def test_saved_fusion_gives_the_same_numbers(rule, tmp_path):
    scores, y = stacked(missing=True)
    fusion = Fusion(rule).fit(scores, y)
    fusion.save(tmp_path)
    again = Fusion.load(tmp_path)
    np.testing.assert_array_equal(again.combine(scores), fusion.combine(scores))


@pytest.mark.parametrize("rule", ["or", "noisy-or"])
def test_rules_about_fakes_need_two_classes(rule):
    with pytest.raises(InputError, match="either"):
        Fusion(rule, 3)


def test_an_unknown_rule_lists_the_known_ones():
    with pytest.raises(InputError, match="noisy-or"):
        Fusion("loudest")
