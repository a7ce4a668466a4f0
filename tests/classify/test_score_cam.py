"""Score-CAM against a straight transcription in double precision, and where the answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from classify.nets.r2plus1d import R2Plus1d
from classify.score_cam import score_cam


def transcribed(x, layers, scores):
    """Algorithm 1, a channel at a time, with plain numbers."""
    found = layers(x[None])[0]
    size = tuple(x.shape[1:])
    gains, maps = [], []
    empty = scores(torch.zeros_like(x[None]))[0]
    for channel in found:
        if channel.max() == channel.min():
            continue
        mask = interpolate(channel[None, None], size, mode="trilinear")[0, 0]
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        gains.append(scores((x * mask)[None])[0] - empty)
        maps.append(channel)
    powers = [torch.exp(gain) for gain in gains]
    heat = sum(power / sum(powers) * channel for power, channel in zip(powers, maps, strict=True))
    heat = interpolate(torch.relu(heat)[None, None], size, mode="trilinear")[0, 0]
    return (heat - heat.min()) / (heat.max() - heat.min())


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_it_is_the_algorithm(at_once):
    torch.manual_seed(0)
    network, head = R2Plus1d(width=2, blocks=1).double().eval(), nn.Linear(16, 2).double()
    x = torch.randn(3, 6, 20, 20, dtype=torch.float64)

    def layers(film):
        return network.layers(film)[-1]

    def scores(films):
        return head(network(films))[:, 1]

    found = score_cam(x, layers, scores, at_once=at_once)
    torch.testing.assert_close(found, transcribed(x, layers, scores).detach())
    assert (found.min(), found.max()) == (0, 1)


def test_heat_lies_where_the_score_comes_from():
    """Two channels see the left and the right half; the score counts the left one alone."""
    x = torch.ones(3, 2, 8, 8)

    def layers(film):
        left, right = film.clone(), film.clone()
        left[..., 4:], right[..., :4] = 0, 0
        return torch.stack([left[:, 0], right[:, 0]], dim=1)

    heat = score_cam(x, layers, lambda films: 50 * films[..., :4].mean(dim=(1, 2, 3, 4)))
    assert heat[..., :3].min() > 0.9
    assert heat[..., 5:].max() < 0.1


def test_the_strongest_channels_and_a_film_without_any():
    x = torch.ones(3, 2, 4, 4)
    calls = []

    def layers(film):
        return torch.stack([k * film[:, 0].cumsum(dim=-1) for k in (1.0, 5.0, 3.0)], dim=1)

    def scores(films):
        calls.append(len(films))
        return films.mean(dim=(1, 2, 3, 4))

    score_cam(x, layers, scores, channels=2)
    assert calls == [2, 1]  # two masks, and the empty film
    nothing = score_cam(x, lambda film: torch.ones(1, 3, 2, 4, 4), scores)
    assert not nothing.any()
