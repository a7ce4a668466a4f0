"""What every registered estimator promises, checked for each of them.

An estimator that cannot learn from 3 numbers ten times a second of one modality has a `Case` in
`CASES`: what its clips are made of, and how it is asked for to be quick.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avfd.errors import InputError, MissingError
from classify import estimators
from classify.estimators import EstimatorOptions, Validation
from classify.estimators.base import register
from classify.estimators.network import NetworkEstimator
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure

SMALL = EstimatorOptions(preset="small")
BRIEF = replace(SMALL, epochs=2)
"""Where it is no matter how well it has learnt."""

Values = NDArray[Any]
Make = Callable[[np.random.Generator, int, float], Values]
"""One clip: (generator, rows, height of the signal) → values [rows, rate, *shape]."""


def vectors(rate_hz: int = 10, dim: int = 3) -> Make:
    """Noise; the first number's mean is the signal."""

    def make(rng: np.random.Generator, rows: int, signal: float) -> Values:
        values = rng.normal(size=(rows, rate_hz, dim))
        values[..., 0] += signal
        return values

    return make


def maps(rate_hz: int, *shape: int) -> Make:
    """Noise whose mean is the signal, such as MFCC maps [10, 87] once a second."""

    def make(rng: np.random.Generator, rows: int, signal: float) -> Values:
        return rng.normal(size=(rows, rate_hz, *shape)) + signal

    return make


def pictures(rate_hz: int, size_px: int) -> Make:
    """uint8 RGB noise whose brightness is the signal."""

    def make(rng: np.random.Generator, rows: int, signal: float) -> Values:
        noise = rng.normal(size=(rows, rate_hz, size_px, size_px, 3))
        return np.clip(96 + 20 * noise + 20 * signal, 0, 255).astype(np.uint8)

    return make


def waves(rate_hz: int) -> Make:
    """Samples, one number each; noise whose loudness is the signal."""

    def make(rng: np.random.Generator, rows: int, signal: float) -> Values:
        return 0.1 * (1 + signal) * rng.normal(size=(rows, rate_hz)).astype(np.float32)

    return make


@dataclass(frozen=True)
class Case:
    """How one estimator is tried.

    Attributes:
        tracks: modality → what its clips are made of; all that the estimator needs.
        clips: how many, half of them for training.
        options: of the ask, "key=value,key=value".
    """

    tracks: Mapping[str, Make] = field(default_factory=lambda: {"audio": vectors()})
    clips: int = 72
    options: str = ""


CASES: dict[str, Case] = {
    "avt2dwf": Case(
        {"audio": vectors(10, 30), "video": pictures(2, 8)},
        clips=48,
        options="size_px=8,patch_px=4,epochs=15",
    ),
    "cnn3d": Case(
        {"video": pictures(7, 2)},
        clips=48,
        options="epochs=6,batch=8,hidden=relu,first_sets=6,long_px=32,short_px=28,"
        "step_frames=21,train_stacks=1",
    ),
    "cnn3d-frames": Case({"video": pictures(4, 6)}, options="rows=10,columns=8,dropout=0"),
    "finegrained": Case(
        {"audio": maps(100, 160), "video": pictures(4, 16)}, 48, "size_px=16,channels=4"
    ),
    "resnet18": Case({"audio": maps(1, 6, 12)}, clips=48),
    "syncstream": Case(
        {"audio": waves(2000), "video": pictures(5, 16)},
        clips=36,
        options="epochs=8,width=4,size_px=16",
    ),
}
"""Estimator → its case, where the plain one does not do."""

NO_SIGNAL_ELSEWHERE = {
    "avt2dwf",
    "cnn3d",
    "finegrained",
    "iat",
    "logreg",
    "syncstream",
    "td3mf",
}
"""Estimators whose own tests try them where there is nothing to find."""

pytestmark = pytest.mark.parametrize("name", estimators.names())


def case_of(name: str) -> Case:
    return CASES.get(name, Case())


def build(name: str, options: EstimatorOptions = SMALL):
    told = case_of(name).options
    return estimators.build(f"{name}:{told}" if told else name, options)


def clips(
    name: str,
    shift: float = 2.0,
    seed: int = 0,
    classes: int = 2,
    missing: tuple[int, ...] = (),
):
    """Features of clips of 1 to 3 seconds in which the signal tells the class, and the classes."""
    case = case_of(name)
    y = np.arange(case.clips) % classes
    features = {
        modality: sequences(make, y * shift, seed + 100 * i, missing)
        for i, (modality, make) in enumerate(case.tracks.items())
    }
    return features, y


def sequences(
    make: Make, signals: NDArray[Any], seed: int, missing: tuple[int, ...] = ()
) -> Sequences:
    rng = np.random.default_rng(seed)
    made = [make(rng, 1 + i % 3, signal) for i, signal in enumerate(signals.tolist())]
    return held(made, missing)


def held(made: list[Values], missing: tuple[int, ...] = (), tail: int = 0) -> Sequences:
    """Clips as sequences, with `tail` invalid rows of nonsense after each."""
    slots = []
    for i, values in enumerate(made):
        wild = np.full((tail, *values.shape[1:]), 1e9 if values.dtype.kind == "f" else 255)
        valid = np.arange(len(values) + tail) < len(values)
        mask = np.repeat(valid[:, None], values.shape[1], axis=1)
        whole = np.concatenate([values, wild.astype(values.dtype)])
        slots.append(None if i in missing else Slots(whole, mask))
    shape = made[0].shape[2:]
    dim = int(np.prod(shape, dtype=int))
    return Sequences.of(MemorySource("made", slots, made[0].shape[1], dim, shape))


def some(features, index):
    return {modality: s[index] for modality, s in features.items()}


def fitted(name: str, options: EstimatorOptions = SMALL, **made: object):
    """An estimator, all features and classes; fitted once for all tests that ask alike."""
    key = (name, options, tuple(sorted(made.items())))
    if key not in _FITTED:
        _FITTED[key] = fit_anew(name, options, **made)
    return _FITTED[key]


_FITTED: dict[tuple[object, ...], tuple] = {}


def fit_anew(name: str, options: EstimatorOptions = SMALL, **made: object):
    features, y = clips(name, classes=options.classes, **made)
    half = np.arange(len(y) // 2)
    rest = half + len(y) // 2
    validation = Validation(some(features, rest), y[rest])
    estimator = build(name, options)
    estimator.fit(some(features, half), y[half], validation=validation)
    return estimator, features, y


def test_learns_a_difference_in_the_mean(name):
    estimator, _, _ = fitted(name)
    fresh, truth = clips(name, seed=9)
    decided = estimator.predict_proba(fresh).argmax(axis=1)
    assert (decided == truth).mean() > 0.85


def test_finds_nothing_where_there_is_nothing(name):
    """A 95 % interval on unseen groups may miss one half now and then, never in most of 4 draws."""
    if name in NO_SIGNAL_ELSEWHERE:
        pytest.skip("its own tests try it")
    intervals = [auc_without_signal(name, seed=draw) for draw in range(4)]
    assert sum(auc.low <= 0.5 <= auc.high for auc in intervals) >= 2
    assert abs(np.mean([auc.value for auc in intervals]) - 0.5) < 0.1


def auc_without_signal(name: str, seed: int):
    """Of clips of unseen groups, four a group, after a short training on others."""
    options = replace(SMALL, epochs=3, seed=seed)
    estimator, _, _ = fit_anew(name, options, shift=0.0, seed=seed)
    fresh, y = clips(name, shift=0.0, seed=1000 + seed)
    scores = deepfake_scores(
        [str(i) for i in range(len(y))],
        [("real", "fake")[c] for c in y],
        estimator.predict_proba(fresh)[:, 1],
        groups=[f"g{i // 4}" for i in range(len(y))],
        base_rate=0.5,
    )
    return measure(scores, BootstrapOptions(replicates=200)).all.metrics["auc"]


def test_gradients_reach_every_parameter(name):
    import torch

    from classify.estimators.devices import seeded

    if not issubclass(estimators.kind_of(name), NetworkEstimator):
        pytest.skip("it is no network")
    estimator, features, y = fitted(name)
    reader, target = estimator.reader(features), torch.from_numpy(y[:16])
    if estimator.uses_parts:
        target = target[:, None].expand(-1, 3)  # whole, audio, video
    batch = estimator.collate([estimator.example(reader[i]) for i in range(16)])
    x, target = estimator.augment(batch, target, torch.Generator().manual_seed(0))
    with seeded(0):
        module = estimator.network().train()
        estimator.loss(module(**x), target, torch.ones(2)).backward()
    unreached = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_tells_three_classes_apart(name):
    estimator, _, _ = fitted(name, EstimatorOptions(classes=3, preset="small"), shift=4.0)
    fresh, truth = clips(name, shift=4.0, seed=9, classes=3)
    p = estimator.predict_proba(fresh)
    assert p.shape == (len(truth), 3)
    assert (p.argmax(axis=1) == truth).mean() > 0.75


def test_probabilities_are_probabilities(name):
    estimator, features, _ = fitted(name)
    p = estimator.predict_proba(features)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_same_seed_same_numbers_to_the_bit(name):
    first, features, _ = fit_anew(name, BRIEF)
    second, _, _ = fit_anew(name, BRIEF)
    np.testing.assert_array_equal(first.predict_proba(features), second.predict_proba(features))


def test_what_is_saved_scores_alike_to_the_bit(name, tmp_path):
    estimator, features, _ = fitted(name)
    estimator.save(tmp_path)
    again = estimators.load(tmp_path)
    assert again.options == estimator.options
    assert again.settings == estimator.settings
    np.testing.assert_array_equal(again.predict_proba(features), estimator.predict_proba(features))


def test_nothing_saved_is_a_pickle(name, tmp_path):
    fitted(name)[0].save(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".txt", ".skops", ".safetensors"}
    for path in tmp_path.iterdir():
        assert not path.read_bytes().startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05"))


def test_padding_never_changes_a_score(name):
    estimator, features, _ = fitted(name)
    padded = {
        modality: held([s.native(i).values for i in range(len(s))], tail=2 + at)
        for at, (modality, s) in enumerate(features.items())
    }
    np.testing.assert_array_equal(
        estimator.predict_proba(padded), estimator.predict_proba(features)
    )


def test_neighbours_do_not_change_a_score(name):
    estimator, features, y = fitted(name)
    together = estimator.predict_proba(features)
    for i in (0, 7, len(y) // 2 + 5):
        alone = estimator.predict_proba(some(features, np.array([i])))
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-6)


def test_a_clip_that_nothing_covers_gets_no_score_and_trains_nothing(name):
    at = case_of(name).clips // 2 + 4
    estimator, features, _ = fit_anew(name, BRIEF, missing=(3, at))
    p = estimator.predict_proba(features)
    assert np.flatnonzero(np.isnan(p).any(axis=1)).tolist() == [3, at]


def test_a_missing_modality_is_missing_and_not_zero(name):
    features, y = clips(name)
    takes = estimators.kind_of(name).takes
    if len(features) == 1 and (takes is None or {"audio", "video"} <= set(takes)):
        features["video"] = sequences(vectors(), 2.0 * y, seed=5)
    *others, patchy = features
    source = features[patchy].source
    partly = [None if i % 5 == 0 else source.native(i, 0, 9) for i in range(len(y))]
    kept = MemorySource("made", partly, source.rate_hz, source.dim, source.shape)
    features[patchy] = Sequences.of(kept)
    p = build(name).fit(features, y).predict_proba(features)
    scored = ~np.isnan(p).any(axis=1)
    assert scored.all() or not others or patchy in estimators.kind_of(name).needs
    assert (p.argmax(axis=1) == y)[scored].mean() > 0.85


ODD = {
    "vectors": vectors(),
    "maps": maps(1, 10, 87),
    "pictures": pictures(2, 8),
    "samples": waves(200),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_column_of_any_shape_is_learnt_from_or_refused(name, kind):
    y = np.arange(8) % 2
    features = {
        modality: sequences(ODD[kind], 2.0 * y, seed)
        for seed, modality in enumerate(case_of(name).tracks)
    }
    estimator = build(name, replace(SMALL, epochs=1))
    try:
        p = estimator.fit(features, y).predict_proba(features)
    except InputError:
        return  # with a sentence
    assert np.isfinite(p).all()


def test_one_class_is_refused(name):
    features, y = clips(name)
    with pytest.raises(InputError, match="one class"):
        build(name).fit(features, np.zeros_like(y))


def test_nothing_covered_is_refused(name):
    features, y = clips(name, missing=tuple(range(case_of(name).clips)))
    with pytest.raises(InputError, match="covered"):
        build(name).fit(features, y)


def test_other_features_than_those_of_training_are_refused(name):
    estimator, features, _ = fitted(name)
    wrong = {"other": next(iter(features.values()))}
    with pytest.raises(InputError, match="not those of training"):
        estimator.predict_proba(wrong)


def test_an_option_that_it_does_not_have_is_refused(name):
    with pytest.raises(InputError, match="option"):
        estimators.build(f"{name}:nonsense=1")


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
