"""Packed examples give the batches that collating them would."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from classify import estimators
from classify.estimators.base import EstimatorOptions
from classify.estimators.packing import Packed, Stacked, Stretches
from classify.estimators.training import padded
from classify.features import MemorySource, Sequences, Slots

CPU = torch.device("cpu")


def examples(lengths):
    rng = np.random.default_rng(0)
    return [
        {
            "audio": rng.normal(size=(n, 3)).astype(np.float32),
            "audio_mask": np.ones(n, bool),
            "video": rng.integers(0, 255, size=(2, 4), dtype=np.uint8),
        }
        for n in lengths
    ]


@pytest.mark.parametrize("places", [[0], [2, 0], [1, 3, 3], [0, 1, 2, 3]])
def test_a_batch_is_what_collating_gives(places):
    made = examples([5, 2, 4, 3])
    packed = Packed.of(lambda i: dict(made[i]), 4, CPU)
    assert packed is not None
    batch, wanted = packed.batch(places), padded([made[i] for i in places])
    assert batch.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert batch[name].dtype == tensor.dtype
        assert torch.equal(batch[name], tensor)


def test_what_does_not_fit_is_given_up_early():
    made = examples([5] * 10)
    asked = []

    def make(i):
        asked.append(i)
        return dict(made[i])

    size = sum(a.nbytes for a in made[0].values())
    assert Packed.of(make, 10, CPU, host_bytes=size * 9) is None
    assert len(asked) == 10
    asked.clear()
    assert Packed.of(make, 1000, CPU, host_bytes=size * 9) is None
    assert asked == [0]


def test_lengths_that_padding_would_blow_up_are_not_packed():
    made = examples([1] * 20 + [100])
    assert Packed.of(lambda i: dict(made[i]), 21, CPU) is None
    assert Packed.of(lambda i: dict(made[i]), 0, CPU) is None


def same_as_collated(part, arrays, places):
    wanted = padded([{"x": arrays[i]} for i in places])["x"]
    found = part.batch(places)
    return found.dtype == wanted.dtype and torch.equal(found, wanted)


def column(dtype=np.float32, mapped=None):
    """Twelve rows of two slots of three numbers."""
    values = np.arange(72).reshape(12, 2, 3).astype(dtype)
    if mapped is None:
        return values
    file = np.memmap(mapped, dtype, "w+", shape=values.shape)
    file[:] = values
    return file


@pytest.mark.parametrize("places", [[0], [2, 0], [1, 3, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, bool])
def test_stretches_of_a_column_stay_where_they_are(places, dtype):
    whole = column(dtype)
    arrays = [whole[a:b].reshape(-1, 3) for a, b in ((4, 6), (0, 4), (11, 12), (6, 11))]
    part = Stretches.of(arrays)
    assert part is not None
    assert same_as_collated(part, arrays, places)
    whole[:] = 0
    assert not part.batch(places).any()


def test_a_batch_of_stretches_is_a_copy_that_training_may_change(tmp_path):
    whole = column(mapped=tmp_path / "column")
    whole.flags.writeable = False
    arrays = [whole[0:2], whole[2:3]]
    part = Stretches.of(arrays)
    assert part is not None
    assert same_as_collated(part, arrays, [1, 0])
    part.batch([0]).zero_()
    assert whole[0, 0, 1] == 1


@pytest.mark.parametrize(
    "arrays",
    [
        [column()[:3], column()[3:]],
        [column()[:3, 0], column()[3:, 0]],
        [row.reshape(-1)[1:5].reshape(1, 4) for row in column()[:4]],
        [row.reshape(-1)[:4].reshape(1, 4) for row in column()[:4]],
        [column().copy(), column()],
    ],
    ids=["of two", "with gaps", "between rows", "parts of rows", "their own"],
)
def test_what_is_no_stretch_of_rows_is_stacked(arrays):
    assert Stretches.of(arrays) is None
    assert same_as_collated(Stacked.of(arrays), arrays, [1, 0])


def features(seed):
    """24 clips of 1 to 4 s, one without pictures; with a seed, every fourth has gaps."""
    rng = np.random.default_rng(seed)
    y = np.arange(24) % 2
    made = {}
    for name, rate, width in (("audio", 4, 6), ("video", 2, 5)):
        slots = []
        for i in range(24):
            values = rng.normal(size=(1 + i % 3 if i > 1 else 4, rate, width)) + y[i]
            valid = rng.random(values.shape[:2]) < (0.8 if i % 4 == 3 and seed else 2)
            slots.append(Slots(values.astype(np.float32), valid))
        slots[5] = None if name == "video" else slots[5]
        made[name] = Sequences.of(MemorySource(name, slots, rate, width))
    return made, y


@pytest.mark.parametrize("seed", [0, 1], ids=["whole", "with gaps"])
@pytest.mark.parametrize("model", ["td3mf:standardise=false", "td3mf", "iat"])
def test_scores_are_those_of_examples_made_for_every_batch(model, seed, monkeypatch):
    scores = []
    for _ in range(2):
        made, y = features(seed)
        options = EstimatorOptions(preset="small", epochs=2, device="cpu")
        estimator = estimators.build(model, options)
        estimator.fit(made, y)
        scores.append(estimator.predict_proba(made))
        monkeypatch.setattr(Packed, "of", lambda *_: None)
    np.testing.assert_array_equal(*scores)
