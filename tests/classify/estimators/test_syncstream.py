"""The estimator `syncstream`: what it looks at, learns from, starts with and says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from avfd.errors import InputError, MissingError
from classify import estimators
from classify.estimators import EstimatorOptions, Validation
from classify.estimators.track_verdicts import either, of_clips, word_of
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure
from classify.nets.r2plus1d import R2Plus1d
from classify.nets.syncstream import Verdicts

TINY = "syncstream:width=2,size_px=16,seconds=1,frames_hz=5,heads=1,batch=8"
SOUND_HZ, SLOTS, FPS, SIZE_PX = 40, 50, 10, 16  # 2,000 samples a second


def sequences(values, masks=None):
    slots = [
        None if v is None else Slots(v, (masks or {}).get(i, np.ones(v.shape[:2], bool)))
        for i, v in enumerate(values)
    ]
    shape = next(v.shape for v in values if v is not None)
    dim = int(np.prod(shape[2:], dtype=int))
    return Sequences.of(MemorySource("made", slots, shape[1], dim, shape[2:]))


def clips(count=48, seed=0, signal=1.0, rows=1):
    """Real and fake tracks in all four combinations; fake sound is loud, fake pictures bright.

    Returns:
        values of audio and video, whole classes, classes of the tracks.
    """
    rng = np.random.default_rng(seed)
    parts = {"audio": np.arange(count) % 2, "video": np.arange(count) // 2 % 2}
    audio = [
        (0.1 * (1 + 2 * signal * a) * rng.normal(size=(rows, SLOTS, SOUND_HZ))).astype(np.float32)
        for a in parts["audio"]
    ]
    video = [
        np.clip(
            96 + 50 * signal * v + 10 * rng.normal(size=(rows, FPS, SIZE_PX, SIZE_PX, 3)), 0, 255
        ).astype(np.uint8)
        for v in parts["video"]
    ]
    return audio, video, np.maximum(parts["audio"], parts["video"]), parts


def features(audio, video):
    return {"audio": sequences(audio), "video": sequences(video)}


def build(more="", preset="small", **options):
    ask = f"{TINY},{more}" if more else TINY
    return estimators.build(ask, EstimatorOptions(preset=preset, **options))


@pytest.fixture(scope="module")
def fitted():
    audio, video, y, parts = clips()
    return build(epochs=15).fit(features(audio, video), y, parts=parts)


def test_each_head_learns_its_own_track(fitted):
    audio, video, y, parts = clips(seed=1)
    said = fitted.track_probabilities(features(audio, video))
    p = fitted.predict_proba(features(audio, video))[:, 1]
    assert ((p >= 0.5) == y).mean() > 0.9
    words = {(0, 0): "real", (1, 0): "audio", (0, 1): "video", (1, 1): "video and audio"}
    truth = [
        words[pair] for pair in zip(*(parts[k].tolist() for k in ("audio", "video")), strict=True)
    ]
    rows = np.column_stack([p, said["video"], said["audio"]]).tolist()
    found = [word_of(*row) for row in rows]
    assert np.mean([a == b for a, b in zip(found, truth, strict=True)]) > 0.8


@pytest.mark.parametrize("fusion", ["late", "independent"])
def test_other_fusions_learn(fusion):
    audio, video, y, parts = clips()
    model = build(f"fusion={fusion}", epochs=15).fit(features(audio, video), y, parts=parts)
    fresh_audio, fresh_video, truth, _ = clips(seed=1)
    p = model.predict_proba(features(fresh_audio, fresh_video))
    assert (p.argmax(axis=1) == truth).mean() > 0.9


def test_without_signal_intervals_on_unseen_people_hold_one_half():
    """A 95 % interval may miss one half now and then; of five at most one does."""
    intervals = []
    for seed in range(5):
        audio, video, y, parts = clips(signal=0.0, seed=seed)
        model = build(epochs=2, seed=seed).fit(features(audio, video), y, parts=parts)
        fresh_audio, fresh_video, truth, _ = clips(signal=0.0, seed=100 + seed)
        p = model.predict_proba(features(fresh_audio, fresh_video))[:, 1]
        scores = deepfake_scores(
            [str(i) for i in range(len(truth))],
            [("real", "fake")[c] for c in truth],
            p,
            groups=[f"g{i // 2}" for i in range(len(truth))],
            base_rate=0.75,
        )
        intervals.append(measure(scores, BootstrapOptions(replicates=200)).all.metrics["auc"])
    assert sum(auc.low <= 0.5 <= auc.high for auc in intervals) >= 4


def test_saved_and_loaded_it_scores_alike_to_the_bit(fitted, tmp_path):
    audio, video, _, _ = clips(seed=1, count=8)
    fitted.save(tmp_path)
    again = estimators.load(tmp_path)
    given = features(audio, video)
    np.testing.assert_array_equal(again.predict_proba(given), fitted.predict_proba(given))
    one, other = (model.track_probabilities(given) for model in (again, fitted))
    for part in ("audio", "video"):
        np.testing.assert_array_equal(one[part], other[part])


def test_it_looks_at_ten_pictures_a_second_and_all_samples():
    made = estimators.build("syncstream:size_px=16,width=4,seconds=3,heads=1")
    rows = [
        np.full((1, 30, SIZE_PX, SIZE_PX, 3), row * 30, np.uint8)
        + np.arange(30, dtype=np.uint8)[:, None, None, None]
        for row in range(4)
    ]
    video = np.concatenate(rows)
    audio = np.arange(4 * SLOTS * SOUND_HZ, dtype=np.float32).reshape(4, SLOTS, SOUND_HZ)
    given = features([audio], [video])
    made.rates_ = {m: s.rate_hz for m, s in given.items()}
    example = made.example(made.reader(given)[0])
    # Picture j is on screen at (j + 0.5) / 10 s: of thirty a second the second of each three.
    assert example["video"][:, 0, 0, 0].tolist() == [3 * j + 1 for j in range(30)]
    np.testing.assert_array_equal(example["audio"], np.arange(3 * 2000))
    short = features([audio[:1]], [video[:1]])
    example = made.example(made.reader(short)[0])
    assert example["video_mask"].tolist() == [True] * 10 + [False] * 20
    assert not example["audio"][2000:].any()
    assert not example["video"][10:].any()


def verdicts(logits, present):
    whole, video, audio = (torch.tensor(x, dtype=torch.float64) for x in logits)
    return Verdicts(whole, video, audio, torch.tensor(present), torch.zeros(len(present), 1))


def log_softmax(row):
    return [x - math.log(sum(math.exp(v) for v in row)) for x in row]


def test_loss_is_a_third_of_each_cross_entropy():
    """Equation 5; whole fake, audio unknown or absent: what stands in or stays out."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 2))
    whole = [0, 1, 1, 1]
    audio = [0, 1, -1, 0]
    video = [0, 0, 1, 1]
    present = [[True, True], [True, True], [True, True], [True, False]]
    target = torch.tensor(list(zip(whole, audio, video, strict=True)))
    out = verdicts(logits, present)
    for unknown, labels in (("whole", [0, 1, 1, None]), ("skip", [0, 1, None, None])):
        model = build(f"unknown_parts={unknown}", balance="none")
        model._part_weights = {"audio": [1.0, 1.0], "video": [1.0, 1.0]}
        expected = 0.0
        for head, own in ((0, whole), (1, video), (2, labels)):
            terms = [-log_softmax(logits[head, i])[c] for i, c in enumerate(own) if c is not None]
            expected += sum(terms) / len(terms) / 3
        found = model.loss(out, target, torch.ones(2, dtype=torch.float64))
        assert float(found) == pytest.approx(expected, abs=1e-12)


def test_or_and_cascade():
    logits = np.log(
        [
            [[0.3, 0.7], [0.2, 0.8], [0.9, 0.1]],
            [[0.6, 0.4], [0.6, 0.4], [0.5, 0.5]],
            [[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]],
        ]
    )
    out = verdicts(logits, [[True, True], [True, True], [True, False]])
    np.testing.assert_allclose(either(out)[:, 1], [0.9, 0.4, 0.5])
    p = {
        v: build(f"verdict={v}").probabilities(out)[:, 1].tolist()
        for v in ("whole", "or", "cascade")
    }
    assert p["whole"] == pytest.approx([0.7, 0.8, 0.1])
    assert p["or"] == pytest.approx([0.9, 0.4, 0.5])
    assert p["cascade"] == pytest.approx([0.7, 0.4, 0.1])
    assert word_of(0.7, 0.4, 0.9) == "audio"
    assert word_of(0.8, 0.4, 0.2) == "fake"
    assert word_of(0.1, 0.9, 0.9) == "real"
    assert word_of(math.nan, 0.1, 0.1) is None


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_sliding_windows_score_a_clip_by_all_of_them(fitted, aggregate):
    audio, video, _, _ = clips(count=8, seed=2, rows=3)
    sliding = build(f"windows=sliding,aggregate={aggregate}")
    for name in ("dims_", "rates_", "shapes_", "constants_", "module_"):
        setattr(sliding, name, getattr(fitted, name))
    each = np.stack(
        [
            fitted.predict_proba(
                features([a[i : i + 1] for a in audio], [v[i : i + 1] for v in video])
            )
            for i in range(3)
        ]
    )[:, :, 1]
    expected = each.mean(axis=0) if aggregate == "mean" else each.max(axis=0)
    found = sliding.predict_proba(features(audio, video))
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(
        fitted.predict_proba(features(audio, video))[:, 1], each[0], atol=1e-6
    )
    tail = [np.concatenate([a, np.full((2, *a.shape[1:]), 1e9, a.dtype)]) for a in audio]
    mask = {i: np.repeat(np.arange(5)[:, None] < 3, SLOTS, axis=1) for i in range(8)}
    padded = {"audio": sequences(tail, mask), "video": sequences(video)}
    np.testing.assert_array_equal(sliding.predict_proba(padded), found)


def test_windows_without_a_score_do_not_count():
    p = np.array([[0.2, 0.8], [np.nan, np.nan], [0.6, 0.4], [np.nan, np.nan]])
    found = of_clips(p, np.array([0, 0, 0, 2]), 3, "mean")
    np.testing.assert_allclose(found, [[0.4, 0.6], [np.nan] * 2, [np.nan] * 2])


def test_training_windows_are_samples():
    audio, video, y, parts = clips(count=8, rows=3)
    model = build("training_windows=sliding", epochs=1)
    held = Validation(features(audio, video), y, parts)
    model.fit(features(audio, video), y, parts=parts, validation=held)
    assert model.card_["training_samples"] == 24


def test_shuffled_audio_takes_its_label_along():
    model = build("shuffle_audio=true")
    target = torch.tensor([[0, 0, 0], [1, 1, 0], [1, 0, 1], [1, -1, 1], [0, -1, -1]])
    batch = {
        "audio": torch.arange(5.0)[:, None],
        "audio_mask": torch.ones(5, 1, dtype=torch.bool),
        "video": torch.arange(5.0),
    }
    generator = torch.Generator().manual_seed(1)
    shuffled, labels = model.augment(batch, target, generator)
    order = shuffled["audio"][:, 0].long()
    assert not torch.equal(order, torch.arange(5))
    torch.testing.assert_close(shuffled["video"], batch["video"])
    own_audio, own_video = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 0, 1, 1, 0])
    torch.testing.assert_close(labels[:, 1], own_audio[order])
    torch.testing.assert_close(labels[:, 0], torch.maximum(own_audio[order], own_video))


def test_streams_of_an_independent_run_can_be_fixed(tmp_path):
    audio, video, y, parts = clips(count=16)
    given = features(audio, video)
    build("fusion=independent", epochs=1).fit(given, y, parts=parts).save(tmp_path / "model" / "m")
    (tmp_path / "run.json").write_text('{"training_keys": ["d/a.mp4"]}')
    model = build(f"streams={tmp_path},fixed=true", epochs=2).fit(given, y, parts=parts)
    before = load_file(tmp_path / "model" / "m" / "syncstream.safetensors")
    after = model.module_.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {n.split(".")[0] for n in set(after) - set(before)} == {"sync", "whole_head"}
    assert model.card_["started_from"]["training_keys"] == ["d/a.mp4"]
    model.save(tmp_path / "again")
    (tmp_path / "model" / "m" / "syncstream.safetensors").unlink()
    again = estimators.load(tmp_path / "again")  # needs its start no more
    np.testing.assert_array_equal(again.predict_proba(given), model.predict_proba(given))


def test_kinetics_weights_start_the_video_stream(tmp_path):
    torch.manual_seed(5)
    published = {**R2Plus1d(2, 1).state_dict(), "fc.weight": torch.zeros(400, 16)}
    path = tmp_path / "r2plus1d_18-91a641e6.pth"
    torch.save(published, path)
    audio, video, y, parts = clips(count=8)
    model = build(f"kinetics={path},learning_rate=0", epochs=1)
    model.fit(features(audio, video), y, parts=parts)
    found = model.module_.video.layer4[0].conv2[0][3].weight
    torch.testing.assert_close(found, published["layer4.0.conv2.0.3.weight"])
    assert model.card_["started_from"]["file"] == str(path)
    with pytest.raises(MissingError, match="no such weights or run"):
        build("kinetics=nowhere.pth").fit(features(audio, video), y, parts=parts)


@pytest.mark.parametrize("more", ["fixed=true", "fixed=true,streams=x,fusion=independent"])
def test_fixed_streams_need_a_start_and_something_to_train(more):
    audio, video, y, _ = clips(count=8)
    with pytest.raises(InputError, match="fixed"):
        build(more).fit(features(audio, video), y)


def test_vectors_are_refused():
    audio, video, y, _ = clips(count=8)
    with pytest.raises(InputError, match="audio column"):
        build().fit({"audio": sequences([a.reshape(1, SLOTS, 8, 5) for a in audio])}, y)
    with pytest.raises(InputError, match="video column"):
        build().fit({"video": sequences([v.reshape(1, FPS, -1) for v in video])}, y)


def test_a_missing_track_leaves_the_other_ones_verdict(fitted):
    audio, video, _, _ = clips(count=8, seed=1)
    whole = features(audio, video)
    blind = {"audio": whole["audio"], "video": sequences([None, *video[1:]])}
    out = {i: o for index, o in fitted.outputs(blind) for i in index if 0 in index}[0]
    reference = next(o for index, o in fitted.outputs(whole) if 0 in index)
    assert out.present[0].tolist() == [False, True]
    torch.testing.assert_close(out.audio[0], reference.audio[0], atol=1e-5, rtol=1e-5)
    assert not np.isnan(fitted.predict_proba(blind)).any()


def test_one_track_alone():
    audio, _, _, parts = clips(count=32)
    model = build(epochs=12).fit({"audio": sequences(audio)}, parts["audio"])
    fresh, _, _, truth = clips(count=32, seed=3)
    p = model.predict_proba({"audio": sequences(fresh)})
    assert (p.argmax(axis=1) == truth["audio"]).mean() > 0.9


def test_tracks_have_verdicts_of_their_own_whatever_the_whole_is(fitted):
    audio, video, _, parts = clips(seed=1)
    said = fitted.track_probabilities(features(audio, video))
    for part in ("audio", "video"):
        assert not np.isnan(said[part]).any()
        assert ((said[part] >= 0.5) == parts[part]).mean() > 0.9
    blind = {"audio": sequences([None, *audio[1:]]), "video": sequences(video)}
    assert np.isnan(fitted.track_probabilities(blind)["audio"]).tolist() == [True] + [False] * (
        len(video) - 1
    )
