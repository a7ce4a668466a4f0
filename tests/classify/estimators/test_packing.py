"""Packed examples give the batches that collating them would."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from classify.estimators.packing import Packed
from classify.estimators.training import padded

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
