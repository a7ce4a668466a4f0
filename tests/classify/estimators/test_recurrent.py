"""`lstm2`: the shapes of the thesis' LSTM_II (FACTS 13.4), and columns that are missing."""

from __future__ import annotations

import numpy as np

from classify import estimators
from classify.estimators import EstimatorOptions
from classify.features import MemorySource, Sequences, Slots

THESIS = "lstm2:presence=false,seconds=10"
CLIPS, SECONDS, RATE_HZ = 6, 12, 30


def column(dim=32, seed=0, seconds=SECONDS, missing=(), late=0):
    """Noise about 5, and its first `late` seconds nonsense that is not valid."""
    rng = np.random.default_rng(seed)
    valid = np.repeat((np.arange(seconds) >= late)[:, None], RATE_HZ, axis=1)
    slots = []
    for i in range(CLIPS):
        values = rng.normal(5.0, 2.0, size=(seconds, RATE_HZ, dim))
        values[~valid] = 1e9
        slots.append(None if i in missing else Slots(values, valid))
    return Sequences.of(MemorySource("made", slots, RATE_HZ, dim))


def both(**more):
    return {"audio": column(**more), "video": column(seed=1)}


def fitted(ask, features):
    estimator = estimators.build(ask, EstimatorOptions(epochs=1))
    return estimator.fit(features, np.arange(CLIPS) % 2)


def inputs_of(estimator, features):
    """Network input [steps, channels] of every sample."""
    reader = estimator.reader(features)
    return [estimator.example(reader[i])["x"] for i in range(CLIPS)]


def test_feature_fusion_of_two_columns_of_32_numbers_is_300_by_64():
    features = both()
    model = fitted(THESIS, features)
    assert {x.shape for x in inputs_of(model, features)} == {(300, 64)}
    assert model.module_.lstm.input_size == 64
    counts = [sum(p.numel() for p in part.parameters()) for part in model.module_.children()]
    lstm = 4 * 32 * (64 + 32 + 2)  # four gates, PyTorch's two biases each
    assert counts == [lstm, 0, 32 * 8 + 8, 8 * 2 + 2]
    assert model.card_["parameters"] == 12_826


def test_by_default_every_second_is_read_and_each_column_says_whether_it_is_there():
    features = both(missing=(1,))
    made = inputs_of(fitted("lstm2", features), features)
    assert {x.shape for x in made} == {(360, 66)}
    assert [x[0, 64:].tolist() for x in made[:2]] == [[1, 1], [0, 1]]


def test_one_column_has_no_presence_whatever_is_asked():
    features = {"audio": column()}
    for ask in ("lstm2", THESIS):
        assert fitted(ask, features).module_.lstm.input_size == 32


def test_without_presence_a_missing_column_is_zeros_and_its_clip_has_a_score():
    features = both(missing=(1, 4))
    model = fitted(THESIS, features)
    made = inputs_of(model, features)
    assert (made[1][:, :32] == 0).all()
    assert (made[1][:, 32:] != 0).any(axis=0).all()
    np.testing.assert_allclose(np.concatenate(made)[:, 32:].mean(axis=0), 0, atol=1e-5)
    assert np.isfinite(model.predict_proba(features)).all()


def test_seconds_that_are_not_valid_do_not_count_and_short_clips_stay_short():
    late = {"audio": column(late=4)}
    made = inputs_of(fitted("lstm2:seconds=3", late), late)
    assert {x.shape for x in made} == {(90, 32)}
    assert np.abs(made[0]).max() < 10
    short = {"audio": column(seconds=2)}
    assert {x.shape for x in inputs_of(fitted("lstm2:seconds=3", short), short)} == {(60, 32)}


def test_what_comes_after_the_seconds_changes_nothing():
    features = {"audio": column()}
    model = fitted("lstm2:seconds=3", features)
    spans = np.array([(i, 0, 3) for i in range(CLIPS)], dtype=np.intp)
    first = {"audio": features["audio"].cut(spans)}
    np.testing.assert_array_equal(model.predict_proba(first), model.predict_proba(features))
