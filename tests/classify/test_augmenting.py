"""What training may do to spectra: each thing alone, seeded, and nothing where nothing is asked."""

from __future__ import annotations

import pytest
import torch

from classify.estimators.augmenting import Augmentation, augmented

CLASSES = 3


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = 1.0 + torch.arange(4 * 20 * 6).reshape(4, 20, 6) / 480
    mask = torch.ones(4, 20, dtype=torch.bool)
    mask[1, 15:] = False
    return x * mask.unsqueeze(2), mask, torch.tensor([0, 1, 2, 0])


def run(how: Augmentation, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, mask, target = batch()
    return augmented(x, mask, target, CLASSES, how, torch.Generator().manual_seed(seed))


def test_nothing_asked_is_nothing_done():
    for found, given in zip(run(Augmentation()), batch(), strict=True):
        assert torch.equal(found, given)


@pytest.mark.parametrize(("how", "axis"), [("mask_slots", 1), ("mask_bands", 2)])
def test_masks_blank_whole_stretches_of_one_axis(how, axis):
    before, mask, _ = batch()
    blanked = 0
    for seed in range(10):
        x, *_ = run(Augmentation(**{how: 4}), seed)
        gone = (x == 0) & mask.unsqueeze(2).expand_as(x)
        whole = (gone | ~mask.unsqueeze(2)).all(dim=3 - axis).sum(dim=1)
        assert (whole - (~mask).sum(dim=1) * (axis == 1)).max() <= 8
        assert torch.equal(x[~gone], before[~gone])
        blanked += int(gone.sum())
    assert blanked


def test_a_shift_moves_every_slot_of_a_clip_alike():
    before, _, _ = batch()
    seen = set()
    for seed in range(8):
        x, *_ = run(Augmentation(shift_bands=2), seed)
        for i in range(len(x)):
            shifts = [
                by
                for by in range(-2, 3)
                if torch.equal(x[i], before[i][:, (torch.arange(6) - by).clamp(0, 5)])
            ]
            assert len(shifts) == 1
            seen.update(shifts)
    assert seen == {-2, -1, 0, 1, 2}


def test_a_level_is_one_constant_a_clip_and_leaves_the_padding():
    before, mask, _ = batch()
    x, *_ = run(Augmentation(level=1.0))
    moved = x - before
    assert (moved[1, 15:] == 0).all()
    for i in range(len(x)):
        assert moved[i][mask[i]].std() < 1e-6
    assert len({round(float(moved[i, 0, 0]), 4) for i in range(4)}) == 4


def test_mixing_shares_labels_as_it_shares_sound():
    before, _, target = batch()
    mixed = [out for seed in range(12) if (out := run(Augmentation(mix=1.0), seed))[2].ndim == 2]
    assert 2 <= len(mixed) <= 10
    for x, _, soft in mixed:
        torch.testing.assert_close(soft.sum(dim=1), torch.ones(4))
        kept = [float(soft[i, target[i]]) for i in range(4) if soft[i].max() < 1]
        assert all(abs(k - kept[0]) < 1e-6 or abs(1 - k - kept[0]) < 1e-6 for k in kept)
        assert x.min() >= 0
        assert x.max() <= before.max()


def test_the_same_seed_gives_the_same_batch():
    how = Augmentation(3, 2, 2, 0.5, 0.3)
    for one, other in zip(run(how, 5), run(how, 5), strict=True):
        assert torch.equal(one, other)
