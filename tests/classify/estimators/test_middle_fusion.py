"""`td3mf` and `iat` as estimators: what they accept, learn, and do without a modality."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from classify import estimators
from classify.estimators import EstimatorOptions, Validation
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure

SMALL = EstimatorOptions(preset="small", epochs=15)
SHORTER = EstimatorOptions(preset="small", epochs=10)
BRIEF = EstimatorOptions(preset="small", epochs=3)
CLIPS = 64
TRAIN, TEST = np.arange(32), np.arange(32, CLIPS)
Y = np.arange(CLIPS) % 2


def sequences(seed, rate, *shape, signal=1.5, missing=(), tail=0, rows=None):
    """Clips of 1 to 3 seconds; `tail` invalid rows of nonsense after each."""
    rng = np.random.default_rng(seed)
    slots = []
    for i in range(CLIPS):
        n = rows or 1 + (i // 2) % 3
        values = rng.normal(size=(n, rate, *shape)) + signal * Y[i]
        wild = np.concatenate([values, np.full((tail, rate, *shape), 1e9)])
        valid = np.repeat(np.arange(n + tail)[:, None] < n, rate, axis=1)
        slots.append(None if i in missing else Slots(wild, valid))
    return Sequences.of(MemorySource("made", slots, rate, int(np.prod(shape)), shape))


def both(audio=(6, 4), video=(2, 5), **told):
    return {"audio": sequences(1, *audio, **told), "video": sequences(2, *video, **told)}


def some(features, index):
    return {m: s[index] for m, s in features.items()}


def trained(ask, features, options=SMALL):
    held = Validation(some(features, TEST), Y[TEST])
    return estimators.build(ask, options).fit(some(features, TRAIN), Y[TRAIN], validation=held)


def accuracy(ask, features, options=SMALL):
    p = trained(ask, features, options).predict_proba(some(features, TEST))
    return (p.argmax(axis=1) == Y[TEST]).mean()


@pytest.mark.parametrize(
    "ask",
    [
        *(
            f"td3mf:fusion={kind}"
            for kind in ("audio-reuse", "video-reuse", "self", "multi", "self-cross")
        ),
        "td3mf:late=true",
        "td3mf:padding=zeros,positions=true",
        "td3mf:front=strided",
        "td3mf:audio_width=8,heads=2,attention_scale=video,residual_attention=true",
        "td3mf:modality_dropout=0.3,focal_gamma=2",
        "iat:fusion=it",
        "iat:fusion=lt",
        "iat:padding=zeros,frames=4,seconds=2.5",
        "iat:dropout=noise",
        "iat:dropout=none",
    ],
)
def test_every_variant_learns_from_both_modalities(ask):
    assert accuracy(ask, both(), SHORTER) > 0.85


@pytest.mark.parametrize("name", ["td3mf", "iat"])
@pytest.mark.parametrize("modality", ["audio", "video"])
def test_one_modality_alone_is_enough(name, modality):
    assert accuracy(name, {modality: both()[modality]}) > 0.85


@pytest.mark.parametrize(
    ("ask", "audio"),
    [
        ("td3mf", (1, 10, 16)),
        ("td3mf:share_mfcc_convs=true", (1, 10, 16)),
        ("td3mf", (3, 2, 4)),
        ("td3mf:front=none", (1, 10, 16)),
        ("iat", (1, 10, 16)),
        ("iat", (3, 2, 4)),
    ],
)
def test_maps_and_tokens_are_taken(ask, audio):
    assert accuracy(ask, both(audio=audio)) > 0.85


@pytest.mark.parametrize("ask", ["td3mf", "td3mf:padding=zeros", "td3mf:late=true", "iat"])
def test_padding_of_either_modality_never_changes_a_score(ask):
    estimator = trained(ask, both(), BRIEF)
    plain = estimator.predict_proba(both())
    for audio, video in ((2, 0), (0, 3), (1, 2)):
        padded = {
            "audio": sequences(1, 6, 4, tail=audio),
            "video": sequences(2, 2, 5, tail=video),
        }
        np.testing.assert_array_equal(estimator.predict_proba(padded), plain)


@pytest.mark.parametrize("name", ["td3mf", "iat"])
def test_a_clip_without_a_modality_is_scored_by_the_other(name):
    lacking = {
        "audio": sequences(1, 6, 4, missing=range(0, CLIPS, 4)),
        "video": sequences(2, 2, 5, missing=range(1, CLIPS, 4)),
    }
    estimator = trained(name, lacking)
    p = estimator.predict_proba(lacking)
    assert not np.isnan(p).any()
    for start in (0, 1):  # without audio (all real), without video (all fake)
        part = slice(start, None, 4)
        assert (p[part].argmax(axis=1) == Y[part]).mean() > 0.8


def test_longer_clips_are_cut():
    options = EstimatorOptions(preset="small", epochs=2)
    estimator = trained("td3mf", both(), options)
    long = both(rows=5)
    cut = {
        m: Sequences.of(
            MemorySource(
                m,
                [s.source.native(i, 0, 3) for i in range(CLIPS)],
                s.rate_hz,
                s.dim,
                s.shape,
            )
        )
        for m, s in long.items()
    }
    np.testing.assert_array_equal(estimator.predict_proba(long), estimator.predict_proba(cut))


@pytest.mark.parametrize("name", ["td3mf", "iat"])
def test_without_signal_intervals_on_unseen_groups_hold_one_half(name):
    """Of six draws one interval may miss one half; the mean is fair."""
    options = EstimatorOptions(preset="small", epochs=4)
    covered, values = 0, []
    for draw in range(6):
        features = {
            "audio": sequences(10 + draw, 6, 4, signal=0.0),
            "video": sequences(20 + draw, 2, 5, signal=0.0),
        }
        p = trained_blind(name, features, options).predict_proba(some(features, TEST))[:, 1]
        scores = deepfake_scores(
            [str(i) for i in TEST],
            [("real", "fake")[c] for c in Y[TEST]],
            p,
            groups=[f"g{i // 2}" for i in TEST],
            base_rate=0.5,
        )
        auc = measure(scores, BootstrapOptions(replicates=200)).all.metrics["auc"]
        covered += auc.low <= 0.5 <= auc.high
        values.append(auc.value)
    assert covered >= 4
    assert abs(np.mean(values) - 0.5) < 0.15


def trained_blind(name, features, options):
    """Fitted without the clips that test it, not even for validation."""
    return estimators.build(name, options).fit(some(features, TRAIN), Y[TRAIN])


@pytest.mark.parametrize(
    ("ask", "features", "said"),
    [
        ("td3mf:heads=3", both(), "heads"),
        ("td3mf:heads=2", both(audio=(6, 5)), "audio_width"),
        ("td3mf:front=mfcc", both(), "10 coefficients"),
        ("td3mf", both(video=(2, 4, 4, 3)), "vectors"),
        ("iat:heads=3", both(), "heads"),
        ("iat", both(video=(2, 4, 4, 3)), "vectors"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(ask, features, said):
    with pytest.raises(InputError) as caught:
        trained(ask, features)
    assert said in str(caught.value)


def test_a_vector_a_clip_is_refused():
    slots = [Slots(np.ones((1, 1, 5)), np.ones((1, 1), bool))] * CLIPS
    vector = Sequences.of(MemorySource("functionals", slots, 0, 5))
    for name in ("td3mf", "iat"):
        with pytest.raises(InputError, match="through time"):
            trained(name, {"audio": vector})


@pytest.mark.parametrize("name", ["td3mf", "iat"])
def test_the_tokens_of_a_clip_stand_beside_seconds(name):
    """EAT's 512 tokens of ten seconds are a clip-level column."""
    rng = np.random.default_rng(0)
    slots = [
        Slots(rng.normal(size=(1, 1, 16, 4)) + 1.5 * c, np.ones((1, 1), bool)) for c in Y.tolist()
    ]
    tokens = Sequences.of(MemorySource("eat", slots, 0, 64, (16, 4)))
    assert accuracy(name, {"audio": tokens, "video": both()["video"]}) > 0.85


def test_the_paper_presets_hold_the_published_training():
    td3mf = estimators.build("td3mf").settings
    assert (td3mf.hidden, td3mf.heads, td3mf.learning_rate) == (64, 2, 5e-4)
    assert (td3mf.beta1, td3mf.beta2, td3mf.schedule) == (0.5, 0.9, "plateau")
    assert (td3mf.decay, td3mf.plateau_patience, td3mf.stop_rate) == (0.5, 7, 1e-6)
    iat = estimators.build("iat").settings
    assert (iat.optimiser, iat.learning_rate, iat.momentum) == ("sgd", 0.04, 0.9)
    assert (iat.dampening, iat.weight_decay, iat.batch) == (0.9, 1e-3, 8)
    assert iat.milestones == (40, 55, 65, 70, 200, 250)
