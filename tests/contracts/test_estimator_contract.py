"""What every registered estimator promises, checked for each of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avfd.errors import InputError, MissingError
from classify import estimators
from classify.estimators import EstimatorOptions, Validation
from classify.estimators.base import register
from classify.features import MemorySource, Sequences, Slots

RATE_HZ, DIM, CLIPS = 10, 3, 72
SMALL = EstimatorOptions(preset="small")

pytestmark = pytest.mark.parametrize("name", estimators.names())


def clips(shift: float = 2.0, seed: int = 0, classes: int = 2, missing: tuple[int, ...] = ()):
    """Sequences of 1 to 3 seconds whose mean tells the class, and the classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(CLIPS) % classes
    slots = []
    for i in range(CLIPS):
        values = rng.normal(size=(1 + i % 3, RATE_HZ, DIM))
        values[..., 0] += shift * y[i]
        slots.append(Slots(values, np.ones(values.shape[:2], dtype=bool)))
    kept = [None if i in missing else s for i, s in enumerate(slots)]
    return Sequences.of(MemorySource("made", kept, RATE_HZ, DIM)), y


def fitted(name: str, options: EstimatorOptions = SMALL, **made: object):
    """An estimator, all features and classes; fitted once for all tests that ask alike."""
    key = (name, options, tuple(sorted(made.items())))
    if key not in _FITTED:
        _FITTED[key] = fit_anew(name, options, **made)
    return _FITTED[key]


_FITTED: dict[tuple[object, ...], tuple] = {}


def fit_anew(name: str, options: EstimatorOptions = SMALL, **made: object):
    sequences, y = clips(classes=options.classes, **made)
    half = np.arange(CLIPS // 2)
    rest = half + CLIPS // 2
    features = {"audio": sequences}
    held = Validation({"audio": sequences[rest]}, y[rest])
    estimator = estimators.build(name, options)
    estimator.fit({"audio": sequences[half]}, y[half], validation=held)
    return estimator, features, y


def test_learns_a_difference_in_the_mean(name):
    estimator, _, _ = fitted(name)
    fresh, truth = clips(seed=9)
    decided = estimator.predict_proba({"audio": fresh}).argmax(axis=1)
    assert (decided == truth).mean() > 0.85


def test_tells_three_classes_apart(name):
    estimator, _, _ = fitted(name, EstimatorOptions(classes=3, preset="small"), shift=4.0)
    fresh, truth = clips(shift=4.0, seed=9, classes=3)
    p = estimator.predict_proba({"audio": fresh})
    assert p.shape == (CLIPS, 3)
    assert (p.argmax(axis=1) == truth).mean() > 0.75


def test_probabilities_are_probabilities(name):
    estimator, features, _ = fitted(name)
    p = estimator.predict_proba(features)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_same_seed_same_numbers_to_the_bit(name):
    first, features, _ = fitted(name)
    second, _, _ = fit_anew(name)
    np.testing.assert_array_equal(first.predict_proba(features), second.predict_proba(features))


def test_what_is_saved_scores_alike_to_the_bit(name, tmp_path):
    estimator, features, _ = fitted(name)
    estimator.save(tmp_path)
    again = estimators.load(tmp_path)
    assert again.options == estimator.options
    np.testing.assert_array_equal(again.predict_proba(features), estimator.predict_proba(features))


def test_nothing_saved_is_a_pickle(name, tmp_path):
    fitted(name)[0].save(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".txt", ".skops", ".safetensors"}
    for path in tmp_path.iterdir():
        assert not path.read_bytes().startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05"))


def test_padding_never_changes_a_score(name):
    estimator, features, _ = fitted(name)
    plain = features["audio"]
    padded = []
    for i in range(CLIPS):
        slots = plain.read(i)
        tail = np.full((2, RATE_HZ, DIM), 1e9)
        valid = np.concatenate([slots.valid, np.zeros((2, RATE_HZ), bool)])
        padded.append(Slots(np.concatenate([slots.values, tail]), valid))
    long = {"audio": Sequences.of(MemorySource("made", padded, RATE_HZ, DIM))}
    np.testing.assert_array_equal(estimator.predict_proba(long), estimator.predict_proba(features))


def test_neighbours_do_not_change_a_score(name):
    estimator, features, _ = fitted(name)
    together = estimator.predict_proba(features)
    for i in (0, 7, 41):
        alone = estimator.predict_proba({"audio": features["audio"][np.array([i])]})
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-6)


def test_a_clip_that_nothing_covers_gets_no_score_and_trains_nothing(name):
    estimator, features, _ = fitted(name, missing=(3, 40))
    p = estimator.predict_proba(features)
    assert np.flatnonzero(np.isnan(p).any(axis=1)).tolist() == [3, 40]


def test_a_missing_modality_is_missing_and_not_zero(name):
    audio, y = clips()
    video, _ = clips(seed=5, missing=tuple(range(0, CLIPS, 5)))
    features = {"audio": audio, "video": video}
    estimator = estimators.build(name, SMALL).fit(features, y)
    p = estimator.predict_proba(features)
    assert not np.isnan(p).any()
    assert (p.argmax(axis=1) == y).mean() > 0.85


def test_one_class_is_refused(name):
    sequences, y = clips()
    with pytest.raises(InputError, match="one class"):
        estimators.build(name, SMALL).fit({"audio": sequences}, np.zeros_like(y))


def test_nothing_covered_is_refused(name):
    sequences, y = clips(missing=tuple(range(CLIPS)))
    with pytest.raises(InputError, match="covered"):
        estimators.build(name, SMALL).fit({"audio": sequences}, y)


def test_other_features_than_those_of_training_are_refused(name):
    estimator, features, _ = fitted(name)
    with pytest.raises(InputError, match="not those of training"):
        estimator.predict_proba({"video": features["audio"]})


def test_an_unknown_format_version_is_refused(name, tmp_path):
    fitted(name)[0].save(tmp_path)
    facts = json.loads((tmp_path / "estimator.json").read_text())
    (tmp_path / "estimator.json").write_text(json.dumps({**facts, "format_version": 99}))
    with pytest.raises(InputError, match="99"):
        estimators.load(tmp_path)


def test_a_duplicate_name_is_a_bug(name):
    with pytest.raises(KeyError, match="twice"):
        register(name)(estimators.kind_of(name))


def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(MissingError, match=name):
        estimators.build("nothing")
