"""The estimator `finegrained`: what it accepts, what it learns, its seconds and its maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avfd.errors import InputError
from classify import estimators
from classify.estimators import EstimatorOptions
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure

TINY = "finegrained:size_px=16,channels=4"
SLOTS, WIDTH, FPS, SIZE_PX = 100, 160, 4, 16


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


def clips(signal: float = 40.0, count: int = 32, seed: int = 0):
    """Noise to hear, noise to see that is brighter in fakes, and the classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    audio, video = [], []
    for i, label in enumerate(y.tolist()):
        rows = 1 + i % 3
        audio.append(0.1 * rng.normal(size=(rows, SLOTS, WIDTH)).astype(np.float32))
        noise = 20 * rng.normal(size=(rows, FPS, SIZE_PX, SIZE_PX, 3))
        video.append(np.clip(96 + noise + signal * label, 0, 255).astype(np.uint8))
    return audio, video, y


def features(audio, video):
    return {"audio": sequences(audio), "video": sequences(video)}


def small(**more: object) -> EstimatorOptions:
    return EstimatorOptions(preset="small", **more)


@pytest.fixture(scope="module")
def fitted():
    audio, video, y = clips()
    return estimators.build(TINY, small(epochs=15)).fit(features(audio, video), y)


def auc_on_unseen_people(estimator, signal: float, seed: int = 9):
    audio, video, y = clips(signal, count=60, seed=seed)
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
    assert auc_on_unseen_people(fitted, 40.0).low > 0.9


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


def test_every_second_has_a_score_and_the_clips_is_their_mean(fitted):
    audio, video, _ = clips(seed=3, count=6)
    seconds = fitted.second_probabilities(features(audio, video))
    assert [len(s) for s in seconds] == [1, 2, 3, 1, 2, 3]
    means = np.stack([s.mean(axis=0) for s in seconds])
    np.testing.assert_allclose(
        means, fitted.predict_proba(features(audio, video)), rtol=0, atol=1e-6
    )


def test_a_fake_second_among_real_ones_is_seen(fitted):
    audio, video, _ = clips(signal=0.0, seed=4, count=12)
    for clip in video[2::3]:
        clip[1] = np.clip(clip[1].astype(int) + 40, 0, 255)
    seconds = [s[:, 1] for s in fitted.second_probabilities(features(audio, video))[2::3]]
    assert all(s.argmax() == 1 for s in seconds)


def test_seconds_without_enough_of_either_do_not_count(fitted):
    audio, video, _ = clips(seed=5, count=3)  # of 1, 2 and 3 seconds
    heard, seen = np.ones((3, SLOTS), bool), np.ones((3, FPS), bool)
    heard[0, 51:] = False  # 51 % are there
    heard[1, :51] = False  # 49 %
    seen[2, :3] = False
    made = {"audio": sequences(audio, {2: heard}), "video": sequences(video, {2: seen})}
    p = fitted.second_probabilities(made)[2]
    assert np.isnan(p).any(axis=1).tolist() == [False, True, True]
    whole = fitted.predict_proba(made)[2]
    np.testing.assert_allclose(whole, p[0], rtol=0, atol=1e-9)


def test_a_clip_without_both_tracks_has_no_score_and_trains_nothing():
    audio, video, y = clips(count=8)
    made = features([None, *audio[1:]], [video[0], None, *video[2:]])
    estimator = estimators.build(TINY, small(epochs=1)).fit(made, y)
    p = estimator.predict_proba(made)
    assert np.isnan(p).any(axis=1).tolist() == [True, True] + [False] * 6
    assert np.isnan(estimator.second_probabilities(made)[0]).all()
    rest = {m: s[np.arange(2, 8)] for m, s in made.items()}
    alone = estimators.build(TINY, small(epochs=1)).fit(rest, y[2:])
    np.testing.assert_array_equal(alone.predict_proba(rest), p[2:])


def test_tracks_that_never_overlap_give_no_score(fitted):
    audio, video, _ = clips(seed=6, count=3)
    heard, seen = np.zeros((3, SLOTS), bool), np.zeros((3, FPS), bool)
    heard[0], seen[1:] = True, True
    made = {"audio": sequences(audio, {2: heard}), "video": sequences(video, {2: seen})}
    assert np.isnan(fitted.predict_proba(made)).any(axis=1).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("modality", "shape", "match"),
    [
        ("video", (10, 3), "pictures of faces"),
        ("audio", (1, 10, 87), "the samples themselves"),
        ("audio", (1, 768), "the samples themselves"),
        ("audio", (100, 64), "the samples themselves"),
        ("video", (600, 16, 16, 3), "too few samples"),
    ],
)
def test_columns_of_other_shapes_are_refused(modality, shape, match):
    audio, video, y = clips(count=4)
    made = features(audio, video)
    made[modality] = sequences([np.zeros((1, *shape), dtype=np.uint8)] * 4)
    with pytest.raises(InputError, match=match):
        estimators.build(TINY, small()).fit(made, y)


def test_one_modality_alone_is_refused():
    audio, _, y = clips(count=4)
    with pytest.raises(InputError, match="does not work on these modalities"):
        estimators.build(TINY, small()).fit({"audio": sequences(audio)}, y)


def test_stretches_that_are_no_shares_are_refused():
    audio, video, y = clips(count=4)
    for more in ("r_min=0.5,r_max=0.4", "r_max=1.2", "r_min=-0.1"):
        with pytest.raises(InputError, match=r"share of its second|out of range"):
            estimators.build(f"{TINY},{more}", small()).fit(features(audio, video), y)


@pytest.mark.parametrize(("rate", "slots"), [(22_050, 50), (44_100, 100), (48_000, 100)])
def test_other_sampling_rates_are_heard_too(rate, slots):
    _, video, y = clips(count=4)
    rng = np.random.default_rng(0)
    audio = [rng.normal(size=(len(v), slots, rate // slots)).astype(np.float32) for v in video]
    made = features(audio, video)
    estimator = estimators.build(TINY, small(epochs=1)).fit(made, y)
    assert not np.isnan(estimator.predict_proba(made)).any()


def test_training_makes_pseudo_fakes_of_reals_and_leaves_scoring_alone():
    audio, video, y = clips(count=8)
    estimator = estimators.build(f"{TINY},pseudo_fakes=1", small(epochs=1))
    estimator.fit(features(audio, video), y)
    reader = estimator.reader(features(audio, video))
    batch = estimator.collate([estimator.example(reader[i]) for i in range(8)])
    target = torch.from_numpy(y)
    made, labels = estimator.augment(batch, target, torch.Generator().manual_seed(0))
    assert labels.tolist() == [1] * 8
    assert made["video"].shape == (8, 1, FPS, SIZE_PX, SIZE_PX, 3)
    assert made["audio"].shape == (8, 1, SLOTS, WIDTH)
    assert target.tolist() == y.tolist()
    for m in ("audio", "video"):
        assert torch.equal(
            batch[m][0, : len(audio[0])], torch.from_numpy((audio, video)[m == "video"][0])
        )


def cut_in_seconds(count: int):
    """Clips of three seconds as samples of one, each second with its clip's number in it."""
    audio = [np.full((3, SLOTS, WIDTH), 10 * i, dtype=np.float32) for i in range(count)]
    video = [np.full((3, FPS, SIZE_PX, SIZE_PX, 3), 10 * i, dtype=np.uint8) for i in range(count)]
    for seconds in (*audio, *video):
        seconds[1:] += 1  # so that a donor of the same clip would be seen
    spans = [(i, second, second + 1) for i in range(count) for second in range(3)]
    table = np.array(spans, dtype=np.intp)
    return {m: s.cut(table) for m, s in features(audio, video).items()}, table[:, 0]


def pseudo_fakes_of(made, y, groups, samples):
    """A batch of these samples with a pseudo-fake wherever there is a donor."""
    ask = f"{TINY},pseudo_fakes=1,audio_scale=none,r_min=1"
    estimator = estimators.build(ask, small(epochs=1)).fit(made, y, groups=groups)
    reader = estimator.reader(made)
    batch = estimator.collate([estimator.example(reader[i]) for i in samples])
    target = torch.zeros(len(samples), dtype=torch.int64)
    return estimator.augment(batch, target, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("grouped", [False, True])
def test_the_donor_is_another_clip_of_another_group_and_no_other_second(grouped):
    made, clip = cut_in_seconds(4)
    groups = [f"g{i // 2}" for i in clip.tolist()] if grouped else None
    batch, labels = pseudo_fakes_of(made, clip % 2, groups, range(12))
    assert labels.tolist() == [1] * 12
    shown = batch["video"].flatten(1).float().mean(dim=1).div(10).floor().long().numpy()
    changed = shown != clip
    assert 4 <= changed.sum() < 12  # the others are changed in sound alone
    if grouped:
        assert (shown[changed] // 2 != clip[changed] // 2).all()
    original = np.array([made["video"].native(i).values.mean() for i in range(12)])
    kept = batch["video"].flatten(1).float().mean(dim=1).numpy()[~changed]
    np.testing.assert_array_equal(kept, original[~changed])


@pytest.mark.parametrize("grouped", [False, True])
def test_a_batch_of_one_clip_or_of_one_group_makes_no_pseudo_fake(grouped):
    made, clip = cut_in_seconds(4)
    groups = [f"g{i // 2}" for i in clip.tolist()] if grouped else None
    samples = range(6) if grouped else range(3)
    batch, labels = pseudo_fakes_of(made, clip % 2, groups, samples)
    assert labels.tolist() == [0] * len(samples)
    for at, i in enumerate(samples):
        np.testing.assert_array_equal(batch["video"][at].numpy(), made["video"].native(i).values)


@pytest.mark.parametrize(("pseudo_fakes", "classes"), [(0, 2), (1, 3)])
def test_no_pseudo_fakes_unless_wanted_and_sensible(pseudo_fakes, classes):
    audio, video, y = clips(count=9)
    y = np.arange(9) % classes
    ask = f"{TINY},pseudo_fakes={pseudo_fakes}"
    estimator = estimators.build(ask, small(epochs=1, classes=classes))
    estimator.fit(features(audio, video), y)
    reader = estimator.reader(features(audio, video))
    batch = estimator.collate([estimator.example(reader[i]) for i in range(9)])
    generator = torch.Generator().manual_seed(0)
    made, labels = estimator.augment(batch, torch.from_numpy(y), generator)
    assert labels.tolist() == y.tolist()
    everything = {a.tobytes() for clip in audio for a in clip}
    assert {a.numpy().tobytes() for a in made["audio"][:, 0]} <= everything


@pytest.mark.parametrize("preset", ["paper", "code"])
def test_the_presets_are_those_of_paper_and_code(preset):
    told = estimators.build("finegrained", EstimatorOptions(preset=preset)).settings
    assert (told.epochs, told.batch, told.weight_decay) == (100, 8, 1e-5)
    assert (told.monitor, told.r_min, told.r_max) == ("train-loss", 0.3, 1.0)
    wanted = {"paper": (1e-3, "running"), "code": (1e-4, "batch")}[preset]
    assert (told.learning_rate, told.batch_norm) == wanted


def test_the_codes_batch_norm_takes_a_clip_by_itself():
    audio, video, y = clips(count=8)
    made = features(audio, video)
    estimator = estimators.build(f"{TINY},batch_norm=batch", small(epochs=1)).fit(made, y)
    alone = estimator.predict_proba({m: s[np.array([4])] for m, s in made.items()})
    np.testing.assert_allclose(alone[0], estimator.predict_proba(made)[4], rtol=0, atol=1e-6)


def test_maps_are_those_of_the_equations_second_by_second(fitted):
    audio, video, _ = clips(seed=7, count=3)
    looked = list(fitted.maps(features(audio, video)))
    assert [(one.sample, one.seconds) for one in looked] == [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])]
    out = looked[2].out
    assert out.distance.shape == out.attention.shape == out.weighted.shape == (3, 2, 2)
    np.testing.assert_allclose(out.attention.sum(axis=(1, 2)), 1.0, atol=1e-6)
    np.testing.assert_allclose(out.weighted, out.distance * out.attention, rtol=1e-5)
    head = fitted.module_.block.head
    z = out.weighted.reshape(3, -1) @ head.weight[0].detach().numpy() + head.bias.item()
    p = fitted.second_probabilities(features(audio, video))[2][:, 1]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), atol=1e-5)


def test_training_starts_from_another_run(tmp_path, fitted):
    audio, video, y = clips(count=4)
    made = features(audio, video)
    fitted.save(tmp_path)
    ask = f"{TINY},weights={tmp_path},learning_rate=0,weight_decay=0"
    estimator = estimators.build(ask, small(epochs=1)).fit(made, y)
    before = dict(fitted.module_.named_parameters())
    for name, value in estimator.module_.named_parameters():
        assert torch.equal(value, before[name])
    assert estimator.card_["started_from"][0]["file"] == str(tmp_path / "finegrained.safetensors")
