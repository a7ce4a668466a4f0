"""Pseudo-fakes: FACTS.md, 11.5."""

from __future__ import annotations

import itertools

import pytest
import torch

from classify.nets.pseudo_fakes import Stretches, with_pseudo_fakes

PAPER = Stretches(share=0.5, r_min=0.3, r_max=1.0)


@pytest.mark.parametrize(
    ("r_min", "r_max", "length", "wanted"),
    [
        (0.0, 1.0, 30, (2, 30)),  # r_min of about 0 is l_min = 2
        (0.0, 1.0, 48_000, (2, 48_000)),
        (0.3, 1.0, 30, (9, 30)),
        (0.3, 0.5, 30, (9, 15)),  # where the published code goes wrong
        (0.5, 0.5, 10, (5, 5)),
        (1.0, 1.0, 30, (30, 30)),
        (0.29, 1.0, 100, (29, 100)),
    ],
)
def test_lengths_are_shares_of_the_whole(r_min, r_max, length, wanted):
    assert Stretches(0.5, r_min, r_max).bounds(length) == wanted


def test_stretches_are_uniform_and_inside():
    how = Stretches(0.5, 0.3, 0.6)  # of 10: 3, 4, 5 or 6
    grid = [i / 1000 + 1e-9 for i in range(1000)]
    taken = [how.stretch(10, a, b) for a, b in itertools.product(grid[::5], grid[::5])]
    lengths = [s.stop - s.start for s in taken]
    assert {n: lengths.count(n) / len(lengths) for n in (3, 4, 5, 6)} == pytest.approx(
        dict.fromkeys((3, 4, 5, 6), 0.25), abs=0.01
    )
    for n in (3, 6):
        starts = [s.start for s in taken if s.stop - s.start == n]
        assert set(starts) == set(range(10 - n + 1))
    assert max(s.stop for s in taken) == 10


def made(samples: int = 400, seed: int = 0, share: float = 0.5, same: bool = False):
    """Tracks whose values name their clip; a clip has two samples."""
    owner = torch.arange(samples) // 2
    number = torch.zeros_like(owner) if same else owner
    tracks = {
        "audio": number[:, None].float() * torch.ones(100),
        "video": number[:, None, None].expand(-1, 10, 3).to(torch.int64),
    }
    how = Stretches(share, 0.3, 0.6)
    out, changed = with_pseudo_fakes(tracks, owner, how, torch.Generator().manual_seed(seed))
    return tracks, owner, out, changed


def test_half_become_fakes_a_third_in_sound_a_third_in_picture_a_third_in_both():
    _, owner, out, changed = made(3000)
    sound = (out["audio"] != owner[:, None]).any(dim=1)
    picture = (out["video"] != owner[:, None, None]).flatten(1).any(dim=1)
    assert torch.equal(changed, sound | picture)
    n = changed.sum().item()
    assert n / 3000 == pytest.approx(0.5, abs=0.03)
    assert (sound & picture).sum().item() / n == pytest.approx(1 / 3, abs=0.04)
    assert (sound & ~picture).sum().item() / n == pytest.approx(1 / 3, abs=0.04)


def test_a_stretch_comes_whole_from_one_other_clip_at_its_own_place():
    _, owner, out, _ = made()
    places = []
    for i in range(len(owner)):
        for values in (out["audio"][i], out["video"][i, :, 0]):
            strange = (values != owner[i]).nonzero()[:, 0]
            if len(strange):
                assert len(values[strange].unique()) == 1
                assert torch.equal(strange, torch.arange(strange[0], strange[-1] + 1))
                assert 0.3 <= len(strange) / len(values) <= 0.6
                places.append((strange[0].item() / len(values), len(values)))
    assert len(set(places)) > 50


def test_sound_and_picture_are_cut_independently_from_the_same_donor():
    _, owner, out, _ = made()
    starts = []
    for i in range(len(owner)):
        sound = (out["audio"][i] != owner[i]).nonzero()[:, 0]
        picture = (out["video"][i, :, 0] != owner[i]).nonzero()[:, 0]
        if len(sound) and len(picture):
            assert out["audio"][i, sound[0]] == out["video"][i, picture[0], 0]
            starts.append((sound[0].item() / 100, picture[0].item() / 10))
    apart = [abs(a - b) > 0.1 for a, b in starts]
    assert sum(apart) > len(apart) / 4


def test_what_was_given_is_left_alone():
    tracks, owner, _, _ = made()
    assert (tracks["audio"] == owner[:, None]).all()
    assert (tracks["video"] == owner[:, None, None]).all()


def test_an_equal_stretch_makes_no_fake():
    """A clip that is in the batch twice, as balancing by repetition has it, is no donor."""
    assert not made(same=True, share=1.0)[3].any()


def test_a_batch_of_one_clip_has_no_donor():
    assert not made(samples=2, share=1.0)[3].any()


def test_the_generator_decides():
    assert torch.equal(made(seed=3)[2]["audio"], made(seed=3)[2]["audio"])
    assert not torch.equal(made(seed=3)[2]["audio"], made(seed=4)[2]["audio"])
