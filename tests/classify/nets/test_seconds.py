"""One-second networks on clips: which seconds count, how they are drawn, how they are joined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from classify.nets.seconds import (
    SecondLogits,
    SecondsNetwork,
    drawn_seconds,
    mean_probabilities,
    seconds_loss,
)


class Sum(nn.Module):
    """Logits 0 and the sum of a second; keeps the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, audio):
        self.sizes.append(len(audio))
        total = audio.flatten(1).sum(dim=1)
        return SecondLogits(torch.stack([torch.zeros_like(total), total], dim=1), total)


def tracks(audio_seconds, video_seconds, seconds=4, slots=4):
    """Two clips of `seconds` whose first slots of each second are valid, as many as told."""

    def mask(told):
        counts = torch.tensor(told)
        return torch.arange(slots) < counts[..., None]

    audio = torch.arange(2.0 * seconds * slots).reshape(2, seconds, slots)
    return {
        "audio": audio,
        "audio_mask": mask(audio_seconds),
        "video": torch.zeros(2, seconds, slots, dtype=torch.uint8),
        "video_mask": mask(video_seconds),
    }


TRACKS = tracks([[4, 2, 1, 0], [4, 4, 4, 4]], [[4, 4, 4, 4], [0, 0, 3, 0]])


def wrapped(both=True, least_valid=0.5, at_once=2, apart=False):
    told = {"both": both, "least_valid": least_valid, "at_once": at_once, "apart": apart}
    return SecondsNetwork(Sum(), ("audio",), **told)


@pytest.mark.parametrize(
    ("both", "least_valid", "wanted"),
    [
        (True, 0.5, [[1, 1, 0, 0], [0, 0, 1, 0]]),
        (True, 0.0, [[1, 1, 1, 0], [0, 0, 1, 0]]),
        (False, 0.5, [[1, 1, 1, 1], [1, 1, 1, 1]]),
        (True, 1.0, [[1, 0, 0, 0], [0, 0, 0, 0]]),
    ],
)
def test_which_seconds_count(both, least_valid, wanted):
    assert wrapped(both, least_valid).counted(TRACKS).int().tolist() == wanted


def test_every_counted_second_is_looked_at_by_itself():
    made = wrapped().eval()
    out = made(**TRACKS)
    assert out.logits[0, :, 1].tolist() == [6.0, 22.0, 0.0, 0.0]
    assert out.logits[1, :, 1].tolist() == [0.0, 0.0, 102.0, 0.0]
    assert torch.equal(made.train()(**TRACKS).logits, out.logits)


def test_seconds_are_scored_in_portions_and_trained_on_together():
    made = wrapped(both=False, at_once=3).eval()
    made(**TRACKS)
    assert made.block.sizes == [3, 3, 2]
    made.train()(**TRACKS)
    assert made.block.sizes == [3, 3, 2, 8]


def test_clips_may_be_scored_each_by_itself():
    made = wrapped(at_once=1, apart=True).eval()
    out = made(**TRACKS)
    assert made.block.sizes == [2, 1]
    assert torch.equal(out.logits, wrapped().eval()(**TRACKS).logits)


def test_a_clips_probability_is_the_mean_of_its_seconds():
    logits = torch.tensor([[[0.0, 1.0], [0.0, -2.0], [0.0, 9.0]]])
    out = SecondLogits(logits, torch.tensor([[True, True, False]]))
    fake = np.mean([1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(2.0))])
    np.testing.assert_allclose(mean_probabilities(out)[0], [1 - fake, fake], atol=1e-12)


def test_the_loss_is_that_of_the_seconds_with_every_clip_the_same():
    logits = torch.tensor([[[0.0, 1.0], [0.0, -2.0]], [[0.0, 0.5], [0.0, 9.0]]])
    out = SecondLogits(logits, torch.tensor([[True, True], [True, False]]))
    first = np.mean([np.log1p(np.exp(-1.0)), np.log1p(np.exp(2.0))])  # class 1
    second = np.log1p(np.exp(0.5))  # class 0
    loss = seconds_loss(out, torch.tensor([1, 0]), torch.tensor([3.0, 1.0]))
    assert loss.item() == pytest.approx((first + 3 * second) / 4, abs=1e-6)


def test_drawn_seconds_count_and_are_each_clips_own():
    counted = torch.tensor([[True, False, True, True], [False, False, False, True]])
    values = {"audio": torch.arange(8).reshape(2, 4)}
    seen = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        taken, owner = drawn_seconds(values, counted, 1, generator)
        assert owner.tolist() == [0, 1]
        assert taken["audio"].shape == (2, 1)
        seen.add(taken["audio"][0].item())
        assert taken["audio"][1].item() == 7
    assert seen == {0, 2, 3}
    taken, owner = drawn_seconds(values, counted, 2, torch.Generator().manual_seed(0))
    assert owner.tolist() == [0, 0, 1]
    taken, owner = drawn_seconds(values, counted, 0, torch.Generator())
    assert (taken["audio"][:, 0].tolist(), owner.tolist()) == ([0, 2, 3, 7], [0, 0, 0, 1])
