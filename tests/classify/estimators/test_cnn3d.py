"""The estimator `cnn3d`: stacks of faces, first weights, what it gives stage 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from avfd.errors import InputError, MissingError
from avfd.nets.emo_cnn3d import EmoCnn3d, EmoCnn3dSettings, hardwired_maps
from avfd.nets.frames_cnn3d import FramesCnn3d, FramesCnn3dSettings, prepared
from avfd.nets.hardwired import resized_gray
from classify import estimators
from classify.estimators import EstimatorOptions
from classify.estimators.cnn3d import stacks_of
from classify.features import MemorySource, Sequences, Slots
from classify.metrics import BootstrapOptions, deepfake_scores, measure
from classify.nets.cnn3d import FrameLogits, StackLogits, drawn_stacks
from classify.trained_weights import Exports

TINY = "cnn3d:long_px=32,short_px=28,hidden=relu,first_sets=4,batch=8,train_stacks=1"
FPS, SIZE_PX = 8, 12


def clips(count=32, seed=0, signal=60.0, rows=1):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    made = []
    for label in y:
        noise = rng.normal(size=(rows, FPS, SIZE_PX, SIZE_PX, 3))
        made.append(np.clip(96 + signal * label + 10 * noise, 0, 255).astype(np.uint8))
    return made, y


def sequences(values, masks=None):
    slots = [
        None if v is None else Slots(v, (masks or {}).get(i, np.ones(v.shape[:2], bool)))
        for i, v in enumerate(values)
    ]
    dim = SIZE_PX * SIZE_PX * 3
    return {"video": Sequences.of(MemorySource("faces", slots, FPS, dim, (SIZE_PX, SIZE_PX, 3)))}


def build(more="", **options):
    ask = f"{TINY},{more}" if more else TINY
    return estimators.build(ask, EstimatorOptions(preset="small", **options))


@pytest.fixture(scope="module")
def fitted():
    made, y = clips()
    return build(epochs=4).fit(sequences(made), y)


def test_learns(fitted):
    made, y = clips(seed=1)
    assert (fitted.predict_proba(sequences(made)).argmax(axis=1) == y).mean() > 0.9


def test_without_signal_intervals_on_unseen_people_hold_one_half():
    """A 95 % interval may miss one half now and then; of three at most one does."""
    intervals = []
    for seed in range(3):
        made, y = clips(signal=0.0, seed=seed)
        model = build(epochs=1, seed=seed).fit(sequences(made), y)
        fresh, truth = clips(signal=0.0, seed=100 + seed)
        p = model.predict_proba(sequences(fresh))[:, 1]
        scores = deepfake_scores(
            [str(i) for i in range(len(truth))],
            [("real", "fake")[c] for c in truth],
            p,
            groups=[f"g{i // 2}" for i in range(len(truth))],
            base_rate=0.5,
        )
        intervals.append(measure(scores, BootstrapOptions(replicates=200)).all.metrics["auc"])
    assert sum(auc.low <= 0.5 <= auc.high for auc in intervals) >= 2


@pytest.mark.parametrize(
    ("valid", "step", "first"),
    [
        ("1111111", 7, [[0, 1, 2, 3, 4, 5, 6]]),
        ("11111111111111", 7, [list(range(7)), list(range(7, 14))]),
        ("111111111", 1, [list(range(i, i + 7)) for i in range(3)]),
        ("0111111110111", 7, [[1, 2, 3, 4, 5, 6, 7]]),
        ("1101110", 7, [[3, 3, 3, 4, 5, 5, 5]]),
        ("0000100", 7, [[4] * 7]),
    ],
)
def test_stacks_never_cross_a_lost_face(valid, step, first):
    found = stacks_of(np.array([c == "1" for c in valid]), step)
    assert found.tolist() == first


def test_no_face_no_stack():
    assert stacks_of(np.zeros(9, bool), 7).shape == (0, 7)


def test_a_stack_is_gray_at_the_size_of_the_maps():
    made, _ = clips(rows=2)
    model = build()
    features = sequences(made)
    example = model.example(model.reader(features)[0])
    assert example["video"].shape == (2, 7, 32, 28)
    assert example["video"].dtype == np.uint8
    faces = made[0].reshape(-1, SIZE_PX, SIZE_PX, 3)
    gray = resized_gray(torch.from_numpy(faces), model.facts)
    np.testing.assert_array_equal(example["video"][1] / np.float32(255), gray[7:14])


def test_what_it_gives_stage_1_is_the_emotion_network(fitted):
    assert isinstance(fitted, Exports)
    tensors, settings = fitted.exported()
    again = EmoCnn3d(EmoCnn3dSettings(**settings)).eval()
    again.load_state_dict(tensors, strict=True)
    made, _ = clips(count=4, seed=1)
    p = fitted.predict_proba(sequences(made))
    faces = torch.from_numpy(np.concatenate(made)[:, :7])
    with torch.no_grad():
        logits = again(hardwired_maps(faces, again.settings))
    np.testing.assert_allclose(torch.softmax(logits.double(), dim=1), p, atol=1e-5)


def test_a_clips_score_is_the_mean_over_its_stacks():
    model = build()
    logits = torch.randn(1, 3, 2)
    there = torch.tensor([[True, True, False]])
    expected = torch.softmax(logits.double(), dim=2)[0, :2].mean(dim=0)
    torch.testing.assert_close(model.probabilities(StackLogits(logits, there))[0], expected)


def test_every_stack_learns_its_clips_class():
    model = build()
    logits = torch.randn(2, 3, 2, dtype=torch.float64)
    there = torch.tensor([[True, True, False], [True, False, False]])
    p = torch.softmax(logits, dim=2)
    expected = -(p[0, 0, 1].log() + p[0, 1, 1].log() + p[1, 0, 0].log()) / 3
    weight = torch.ones(2, dtype=torch.float64)
    found = model.loss(StackLogits(logits, there), torch.tensor([1, 0]), weight)
    torch.testing.assert_close(found, expected)


def test_drawn_stacks_are_there_and_never_twice():
    video = torch.arange(10).reshape(2, 5)
    there = torch.tensor([[True] * 5, [True, False, True, False, False]])
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(20):
        picked, known = drawn_stacks(video, there, 2, generator)
        assert known.all()
        assert len(set(picked[0].tolist())) == 2
        assert sorted(picked[1].tolist()) == [5, 7]
        seen |= set(picked[0].tolist())
    assert seen == {0, 1, 2, 3, 4}
    picked, known = drawn_stacks(video, there, 9, generator)
    assert picked.shape == (2, 5)
    assert known.sum(dim=1).tolist() == [5, 2]


def test_starts_from_an_emotion_run_but_for_the_output(fitted, tmp_path):
    made, _ = clips(count=30)
    emotions = build(classes=5, epochs=1).fit(sequences(made), np.arange(30) % 5)
    (tmp_path / "weights").mkdir()
    tensors, _ = emotions.exported()
    save_file(tensors, tmp_path / "weights" / "emo-cnn3d.safetensors")
    (tmp_path / "weights" / "emo-cnn3d.json").write_text('{"training_keys": ["e/1.mp4"]}')
    made, y = clips(count=16)
    model = build(f"start={tmp_path},learning_rate=0", epochs=1).fit(sequences(made), y)
    found = model.module_.state_dict()
    kept = [n for n in tensors if not n.startswith("out.")]
    assert all(torch.equal(found[n], tensors[n]) for n in kept)
    assert found["out.weight"].shape == (2, 32)
    assert model.card_["started_from"]["training_keys"] == ["e/1.mp4"]


def test_a_start_that_is_not_there_or_does_not_fit(tmp_path):
    made, y = clips(count=8)
    with pytest.raises(MissingError, match="no such weights or run"):
        build("start=nowhere").fit(sequences(made), y)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="no weights of this network"):
        build(f"start={tmp_path / 'empty'}").fit(sequences(made), y)
    for fold in ("0", "1"):
        (tmp_path / "folds" / fold).mkdir(parents=True)
        save_file({"x": torch.zeros(1)}, tmp_path / "folds" / fold / "cnn3d.safetensors")
    with pytest.raises(InputError, match="several weight files"):
        build(f"start={tmp_path / 'folds'}").fit(sequences(made), y)
    with pytest.raises(InputError, match="does not fit"):
        build(f"start={tmp_path / 'folds' / '0' / 'cnn3d.safetensors'}").fit(sequences(made), y)


@pytest.mark.parametrize("preset", ["paper", "experiment-1"])
def test_what_the_two_layer_network_gives_stage_1(preset):
    made, y = clips(count=8)
    options = EstimatorOptions(preset=preset, epochs=1)
    model = estimators.build("cnn3d-frames:rows=12,columns=10", options).fit(sequences(made), y)
    tensors, settings = model.exported()
    again = FramesCnn3d(FramesCnn3dSettings(**settings)).eval()
    again.load_state_dict(tensors, strict=True)
    faces = prepared(torch.from_numpy(np.concatenate(made)), again.settings)
    with torch.no_grad():
        each = torch.softmax(again(faces).double(), dim=-1)
    p = each if preset == "paper" else each.mean(dim=1)
    np.testing.assert_allclose(model.predict_proba(sequences(made)), p, atol=1e-6)


def test_every_frame_or_every_window_learns():
    there = torch.tensor([[True, False, True], [True, True, True]])
    logits, target = torch.randn(2, 3, 2).double(), torch.tensor([1, 0])
    weight = torch.ones(2).double()
    log_p = torch.log_softmax(logits, dim=2)
    frames = -(log_p[0, [0, 2], 1].sum() + log_p[1, :, 0].sum()) / 5
    model = estimators.build("cnn3d-frames", EstimatorOptions(preset="experiment-1"))
    torch.testing.assert_close(model.loss(FrameLogits(logits, there), target, weight), frames)
    window = -(log_p[0, 0, 1] + log_p[1, 0, 0]) / 2
    found = model.loss(FrameLogits(logits[:, 0], there), target, weight)
    torch.testing.assert_close(found, window)


def test_lost_faces_and_other_columns(fitted):
    made, y = clips(count=4, seed=1, rows=2)
    lost = {0: np.zeros((2, FPS), bool)}
    lost[0][0, :7] = True
    broken = [made[0].copy(), *made[1:]]
    broken[0][0, 7:] = 255
    broken[0][1] = 255
    p = fitted.predict_proba(sequences(broken, lost))
    alone = fitted.predict_proba(sequences([made[0][:1, :]], {0: lost[0][:1]}))
    np.testing.assert_allclose(p[0], alone[0], atol=1e-6)
    vectors = MemorySource("vectors", [Slots(np.zeros((1, 5, 3)), np.ones((1, 5), bool))] * 4, 5, 3)
    with pytest.raises(InputError, match="pictures of faces"):
        build().fit({"video": Sequences.of(vectors)}, y)


@pytest.mark.parametrize(
    ("asked", "own"), [("emo-cnn3d", "cnn3d"), ("emo-cnn3d-frames", "cnn3d-frames")]
)
def test_stage_1s_name_asks_for_the_same_estimator(asked, own):
    model = estimators.build(f"{asked}:dropout=0.4")
    assert type(model) is estimators.kind_of(own)
    assert model.name == own
    assert model.settings == estimators.build(f"{own}:dropout=0.4").settings
    assert asked not in estimators.names()
