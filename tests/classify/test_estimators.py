"""What single estimators learn, and what they refuse to load."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from classify import estimators
from classify.estimators import EstimatorOptions
from classify.estimators.base import class_weights
from classify.estimators.linear import load_trusted
from classify.estimators.steps import StepReader, scale_of
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure

SMALL = EstimatorOptions(preset="small")
CLIPS = 80
TRAIN, TEST = np.arange(CLIPS // 2), np.arange(CLIPS // 2, CLIPS)


def sequences(make, seed=0, rate=10, dim=2):
    """Sequences of 2 seconds from `make(rng, class) -> [slots, dim]`, and classes 0, 1, 0, …."""
    rng = np.random.default_rng(seed)
    y = np.arange(CLIPS) % 2
    slots = [
        Slots(make(rng, c).reshape(2, rate, dim), np.ones((2, rate), bool)) for c in y.tolist()
    ]
    return Sequences.of(MemorySource("made", slots, rate, dim)), y


def accuracy(name, made, y):
    estimator = estimators.build(name, SMALL).fit({"a": made[TRAIN]}, y[TRAIN])
    decided = estimator.predict_proba({"a": made[TEST]}).argmax(axis=1)
    return (decided == y[TEST]).mean()


@pytest.mark.parametrize("name", ["lightgbm", "logreg", "svm", "svm-rbf"])
def test_moments_carry_a_difference_in_variance(name):
    made, y = sequences(lambda rng, c: rng.normal(scale=1 + 2 * c, size=(20, 2)))
    assert accuracy(name, made, y) > 0.85


@pytest.mark.parametrize("name", ["lightgbm", "logreg"])
def test_moments_carry_a_difference_in_kurtosis(name):
    def make(rng, c):
        flat = np.sign(rng.normal(size=(20, 2)))  # kurtosis -2
        peaked = np.zeros((20, 2))
        peaked[rng.permutation(20)[:2]] = np.sqrt(10) * np.array([[1.0], [-1.0]])
        return peaked if c else flat

    made, y = sequences(make)
    assert accuracy(name, made, y) > 0.9


def ramp(rng, c):
    """Rising or falling: the same moments, another order."""
    line = np.linspace(-1.5, 1.5, 20)
    return np.stack([line if c else -line] * 2, axis=1) + 0.3 * rng.normal(size=(20, 2))


def test_lstm2_learns_the_order_in_time():
    assert accuracy("lstm2", *sequences(ramp)) > 0.9


def test_moments_do_not_carry_the_order_in_time():
    assert accuracy("logreg", *sequences(ramp)) < 0.75


def test_without_signal_intervals_on_unseen_groups_hold_one_half():
    """95 % intervals may miss one half in some of 30 draws, never in many; the mean is fair."""
    covered, values = 0, []
    for draw in range(30):
        made, y = sequences(lambda rng, c: rng.normal(size=(20, 2)), seed=draw)
        model = estimators.build("logreg").fit({"a": made[TRAIN]}, y[TRAIN])
        p = model.predict_proba({"a": made[TEST]})[:, 1]
        scores = deepfake_scores(
            [str(i) for i in TEST],
            [("real", "fake")[c] for c in y[TEST]],
            p,
            groups=[f"g{i // 2}" for i in TEST],
            base_rate=0.5,
        )
        auc = measure(scores, BootstrapOptions(replicates=200)).all.metrics["auc"]
        covered += auc.low <= 0.5 <= auc.high
        values.append(auc.value)
    assert covered >= 24  # at 92 % true coverage fewer has probability 0.008
    assert abs(np.mean(values) - 0.5) < 0.06


def test_balance_gives_every_class_the_same_weight():
    y = np.array([0, 0, 0, 1])
    weights = class_weights(y, EstimatorOptions())
    assert weights[:3].sum() == pytest.approx(weights[3:].sum())
    assert weights.mean() == pytest.approx(1.0)
    assert class_weights(y, EstimatorOptions(balance="none")).tolist() == [1.0] * 4


def test_a_saved_model_with_a_strange_type_is_not_loaded(tmp_path):
    from skops.io import dump

    dump({"model": StrangeType()}, tmp_path / "model.skops")
    with pytest.raises(InputError, match="StrangeType"):
        load_trusted(tmp_path / "model.skops")


class StrangeType:
    """A type that no avfd model has."""


def test_scales_come_from_valid_steps_only():
    values = np.array([1.0, 3.0, 1e9]).reshape(1, 3, 1)
    slots = Slots(values, np.array([[True, True, False]]))
    reader = StepReader({"a": Sequences.of(MemorySource("m", [slots], 3, 1))}, 3)
    mean, deviation = scale_of(reader)
    assert (mean[0], deviation[0]) == (2.0, 1.0)


def test_a_vector_a_clip_is_used_as_it_is():
    rng = np.random.default_rng(0)
    y = np.arange(CLIPS) % 2
    slots = [Slots(rng.normal(size=(1, 1, 5)) + 2 * c, np.ones((1, 1), bool)) for c in y]
    made = Sequences.of(MemorySource("functionals", slots, 0, 5))
    assert made.vectors().shape == (CLIPS, 5)
    assert accuracy("svm", made, y) > 0.9
    with pytest.raises(InputError, match="vectors a second"):
        accuracy("lstm2", made, y)


def test_probabilities_of_classes_never_trained_on_are_zero():
    made, y = sequences(lambda rng, c: rng.normal(size=(20, 2)) + 2 * c)
    for name in ("logreg", "svm"):
        estimator = estimators.build(name, EstimatorOptions(classes=3)).fit({"a": made}, 2 * y)
        p = estimator.predict_proba({"a": made})
        assert (p[:, 1] == 0).all()
        assert (p.argmax(axis=1) == 2 * y).mean() > 0.85


def test_the_callers_random_state_is_left_alone():
    import torch

    made, y = sequences(ramp)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    estimators.build("lstm2", SMALL).fit({"a": made[TRAIN]}, y[TRAIN])
    assert torch.equal(before, torch.get_rng_state())


def test_logreg_by_quantiles_sees_ranks_alone(kit):
    """A number and its exponential have the same ranks, so the same verdicts."""
    values, y = noisy_threshold()
    plain, steep = clip_vectors(values), clip_vectors(np.exp(4 * values))
    said = [
        estimators.build("logreg:scaling=quantiles").fit(f, y).predict_proba(f)
        for f in (plain, steep)
    ]
    np.testing.assert_allclose(said[0], said[1], atol=0.02)


def test_logreg_by_quantiles_holds_no_number_for_rarer_than_three_deviations(tmp_path):
    """Normal numbers keep their place on the curve, so 3 and 30 deviations are one verdict."""
    values, y = noisy_threshold()
    model = estimators.build("logreg:scaling=quantiles").fit(clip_vectors(values), y)
    model.save(tmp_path)
    far = clip_vectors(np.array([[3.5, 0.0], [30.0, 0.0], [2.0, 0.0]]))
    said = estimators.load(tmp_path).predict_proba(far)[:, 1]
    assert said[0] == said[1]
    slope = model.parts_["model"]["classify"].coef_[0, 0]
    odds = np.log(said / (1 - said))
    assert odds[0] - odds[2] < 1.5 * slope  # 3.2 deviations without the cut


def noisy_threshold():
    """Vectors [300, 2] and labels that follow the first number, with noise."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 2))
    return values, (values[:, 0] + 0.5 * rng.normal(size=300) > 0).astype(np.intp)


def clip_vectors(numbers):
    """One vector a clip."""
    slots = [Slots(v[None, None].astype(np.float64), np.ones((1, 1), bool)) for v in numbers]
    return {"audio": Sequences.of(MemorySource("x", slots, 0, 2))}
