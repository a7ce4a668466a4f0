"""The estimator `avt2dwf`: what it accepts, what it learns, what it shows."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from avfd.errors import InputError
from classify import estimators
from classify.estimators import EstimatorOptions
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure
from classify.nets.avt2dwf import FaceTransformer

TINY = "avt2dwf:size_px=8,patch_px=4,width=16,depth=1,head_dim=4,feed_forward=16"
RATE_HZ, COEFFICIENTS, FPS, SIZE_PX = 10, 30, 2, 8


def sequences(values: list[np.ndarray | None], valid: dict[int, np.ndarray] | None = None):
    """Clips [rows, rate, *shape]; None: missing; `valid`: masks of some."""
    masks = valid or {}
    slots = [
        None if v is None else Slots(v, masks.get(i, np.ones(v.shape[:2], bool)))
        for i, v in enumerate(values)
    ]
    shape = next(v.shape for v in values if v is not None)
    dim = int(np.prod(shape[2:], dtype=int))
    return Sequences.of(MemorySource("made", slots, shape[1], dim, shape[2:]))


def clips(signal: float = 3.0, count: int = 40, seed: int = 0):
    """MFCC-like vectors whose first number tells the class, noise for faces, and the classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    audio, video = [], []
    for i, label in enumerate(y.tolist()):
        rows = 1 + i % 3
        audio.append(rng.normal(size=(rows, RATE_HZ, COEFFICIENTS)))
        audio[-1][..., 0] += signal * label
        video.append(rng.integers(0, 256, (rows, FPS, SIZE_PX, SIZE_PX, 3), dtype=np.uint8))
    return audio, video, y


def features(audio, video):
    return {"audio": sequences(audio), "video": sequences(video)}


def small(**more: object) -> EstimatorOptions:
    return EstimatorOptions(preset="small", **more)


@pytest.fixture(scope="module")
def fitted():
    audio, video, y = clips()
    return estimators.build(TINY, small(epochs=12)).fit(features(audio, video), y)


def auc_on_unseen_people(estimator, signal: float, seed: int = 9):
    audio, video, y = clips(signal, count=80, seed=seed)
    p = estimator.predict_proba(features(audio, video))[:, 1]
    scores = deepfake_scores(
        [str(i) for i in range(len(y))],
        [("real", "fake")[c] for c in y],
        p,
        groups=[f"g{i // 4}" for i in range(len(y))],
        base_rate=0.5,
    )
    return measure(scores, BootstrapOptions(replicates=300)).all.metrics["auc"]


def test_learns_what_tells_fake_from_real(fitted):
    assert auc_on_unseen_people(fitted, 3.0).low > 0.9


def test_finds_nothing_where_there_is_nothing():
    """A 95 % interval may miss one half now and then; of six at most one does."""
    intervals = []
    for seed in range(6):
        audio, video, y = clips(0.0, seed=seed)
        estimator = estimators.build(TINY, small(epochs=3, seed=seed))
        estimator.fit(features(audio, video), y)
        intervals.append(auc_on_unseen_people(estimator, 0.0, seed=100 + seed))
    assert sum(auc.low <= 0.5 <= auc.high for auc in intervals) >= 5
    assert abs(np.mean([auc.value for auc in intervals]) - 0.5) < 0.08


def test_maps_once_a_second_are_vectors_many_times_a_second():
    audio, video, y = clips(count=12)
    steps = [a[:, None] for a in audio]
    first = [a.swapaxes(2, 3) for a in steps]  # (30 coefficients, 10 steps)
    said = []
    for axes, values in (
        ("auto", audio),
        ("steps", steps),
        ("coefficients", first),
        ("coefficients", steps),
    ):
        made = features(values, video)
        estimator = estimators.build(f"{TINY},audio_axes={axes}", small(epochs=1)).fit(made, y)
        said.append(estimator.predict_proba(made))
    np.testing.assert_array_equal(said[0], said[1])
    np.testing.assert_array_equal(said[0], said[2])
    assert not np.array_equal(said[0], said[3])


@pytest.mark.parametrize(
    ("shape", "tokens"), [((30, 30), 30), ((247, 30), 247), ((10, 87), 87), ((16, 12), 16)]
)
def test_the_longer_axis_of_a_map_is_time(shape, tokens):
    _, video, y = clips(count=4)
    made = features([np.zeros((len(v), 1, *shape)) for v in video], video)
    estimator = estimators.build(TINY, small(epochs=1)).fit(made, y)
    assert estimator.module_.block.audio.encoder.positions.shape[1] == tokens + 1


@pytest.mark.parametrize(
    ("modality", "shape", "match"),
    [
        ("video", (10, 3), "pictures of faces"),
        ("video", (10, 8, 8), "pictures of faces"),
        ("audio", (1, 768), "coefficients over time"),
        ("audio", (5, 2, 3), "coefficients over time"),
    ],
)
def test_columns_of_other_shapes_are_refused(modality, shape, match):
    audio, video, y = clips(count=4)
    made = features(audio, video)
    made[modality] = sequences([np.zeros((2, *shape))] * 4)
    with pytest.raises(InputError, match=match):
        estimators.build(TINY, small()).fit(made, y)


def test_settings_that_do_not_fit_are_refused():
    audio, video, y = clips(count=4)
    for more, match in (("face_tokens=patches,patch_px=3", "fill"), ("fusion_heads=5", "divide")):
        with pytest.raises(InputError, match=match):
            estimators.build(f"avt2dwf:size_px=8,{more}", small()).fit(features(audio, video), y)


@pytest.mark.parametrize(
    "more", ["face_tokens=patches", "audio_tokens=one", "fusion=concat", "frame_order=reshape"]
)
def test_every_variant_trains_and_repeats_itself(more):
    audio, video, y = clips(count=8)
    made = features(audio, video)
    first, second = (
        estimators.build(f"{TINY},{more}", small(epochs=1)).fit(made, y).predict_proba(made)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("alone", ["audio", "video"])
def test_one_modality_is_enough(alone):
    audio, video, y = clips(count=8)
    made = {alone: features(audio, video)[alone]}
    estimator = estimators.build(TINY, small(epochs=1)).fit(made, y)
    assert not np.isnan(estimator.predict_proba(made)).any()
    assert estimator.fused(made).shape == (8, 16)


def test_a_modality_that_a_clip_lacks_weighs_nothing(fitted):
    audio, video, _ = clips(seed=3, count=6)
    made = features([None, None, *audio[2:]], [None, *video[1:]])
    p, weights = fitted.predict_proba(made), fitted.weights(made)
    assert np.isnan(p[0]).all()
    assert not np.isnan(p[1:]).any()
    assert weights[1].tolist() == [1.0, 0.0]  # the face alone
    np.testing.assert_allclose(weights[2:].sum(axis=1), 1.0, atol=1e-6)
    assert (weights[2:] > 0.05).all()


def test_a_clips_score_is_the_mean_of_its_seconds(fitted):
    audio, video, _ = clips(seed=4, count=6)
    masks = {i: np.ones(a.shape[:2], bool) for i, a in enumerate(audio)}
    masks[2][1] = False  # a second that nobody heard or saw
    unseen = {2: np.repeat([[True], [False], [True]], FPS, axis=1)}
    made = {"audio": sequences(audio, masks), "video": sequences(video, unseen)}
    seconds = fitted.second_probabilities(made)
    assert [len(s) for s in seconds] == [len(a) for a in audio]
    assert np.isnan(seconds[2][1]).all()
    means = np.stack([np.nanmean(s, axis=0) for s in seconds])
    np.testing.assert_allclose(means, fitted.predict_proba(made), atol=1e-6)


def test_the_fused_representation_has_a_part_a_modality(fitted):
    audio, video, y = clips(seed=5, count=20)
    fused = fitted.fused(features(audio, video))
    assert fused.shape == (20, 32)
    other = fitted.fused(features(audio, video[::-1]))
    assert np.abs(fused[:, 16:].mean(axis=0)).max() > 0
    assert not np.allclose(fused[:, :16], other[:, :16])
    apart = fused[y == 1, 16:].mean(axis=0) - fused[y == 0, 16:].mean(axis=0)
    assert np.linalg.norm(apart) > fused[y == 0, 16:].std(axis=0).mean()


def test_encoders_start_from_files_and_a_fitted_model_needs_them_no_more(tmp_path):
    audio, video, y = clips(count=8)
    made = features(audio, video)
    options = estimators.build(TINY, small()).settings
    torch.manual_seed(7)
    encoder = FaceTransformer(FPS, SIZE_PX, options).encoder
    path = tmp_path / "face.pt"
    torch.save(named_as_published(encoder), path)
    ask = f"{TINY},video_weights={path},learning_rate=0"
    estimator = estimators.build(ask, small(epochs=1)).fit(made, y)
    assert torch.equal(estimator.module_.block.video.encoder.positions, encoder.positions)
    (card,) = estimator.card_["started_from"]
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    estimator.save(tmp_path / "model")
    path.unlink()
    again = estimators.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(made), estimator.predict_proba(made))


def named_as_published(encoder) -> dict[str, torch.Tensor]:
    """An encoder of one block under the names of FACTS.md, 10.1."""
    (block,) = encoder.blocks
    parts = {
        "to_patch_embedding.1": encoder.embedding.norm,
        "to_patch_embedding.2": encoder.embedding.linear,
        "to_patch_embedding.3": encoder.embedding.after,
        "transformer.norm": encoder.norm,
        "transformer.layers.0.0.norm": block.attention.norm,
        "transformer.layers.0.0.to_qkv": block.attention.qkv,
        "transformer.layers.0.0.to_out.0": block.attention.out,
        "transformer.layers.0.1.net.0": block.feed_forward.norm,
        "transformer.layers.0.1.net.1": block.feed_forward.up,
        "transformer.layers.0.1.net.4": block.feed_forward.down,
    }
    named = {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
    return {**named, "cls_token": encoder.class_token.data, "pos_embedding": encoder.positions.data}
