"""LSTM_I: its parts, its masks and the readings of the thesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avfd.nets.emo_lstm import SMALL, EmoLstm


def network(seed=0, **changes):
    torch.manual_seed(seed)
    return EmoLstm(replace(SMALL, inputs=6, **changes)).eval()


def test_parts_of_the_thesis():
    paper = EmoLstm()
    shapes = {k: tuple(v.shape) for k, v in paper.state_dict().items()}
    assert shapes["lstm1.weight_ih_l0"] == (4 * 64, 130)
    assert shapes["lstm2.weight_ih_l0"] == (4 * 32, 64)
    assert shapes["dense.weight"] == (32, 32)
    assert shapes["out.weight"] == (5, 32)
    windows = torch.randn(2, 300, 130)
    assert paper.features(windows).shape == (2, 300, 32)
    assert paper(windows).shape == (2, 5)


def transcribed(net, x):
    """One window [steps, inputs] in float64, the LSTM's gates written out."""
    p = {k: v.double().numpy() for k, v in net.state_dict().items()}

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    for name in ("lstm1", "lstm2"):
        wi, wh = p[f"{name}.weight_ih_l0"], p[f"{name}.weight_hh_l0"]
        bias = p[f"{name}.bias_ih_l0"] + p[f"{name}.bias_hh_l0"]
        h = c = np.zeros(wh.shape[1])
        out = []
        for step in x:
            i, f, g, o = np.split(wi @ step + wh @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            out.append(h)
        x = np.stack(out)
    emo = np.tanh(x @ p["dense.weight"].T + p["dense.bias"])
    return emo, (emo @ p["out.weight"].T + p["out.bias"]).mean(axis=0)


def test_numbers_are_those_of_a_straight_transcription():
    net = network().double()
    x = np.random.default_rng(0).uniform(-1, 1, size=(9, 6))
    emo, logits = transcribed(net, x)
    given = torch.from_numpy(x)[None]
    np.testing.assert_allclose(net.features(given)[0].detach(), emo, atol=1e-12)
    np.testing.assert_allclose(net(given)[0].detach(), logits, atol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "last", "mean-probability"])
@pytest.mark.parametrize("scaling", ["feature", "window", "none"])
def test_padding_never_changes_a_score(reduction, scaling):
    net = network(reduction=reduction, scaling=scaling)
    x = torch.randn(2, 8, 6)
    longer = torch.cat([x, torch.full((2, 4, 6), torch.nan)], dim=1)
    valid = torch.arange(12).expand(2, -1) < 8
    torch.testing.assert_close(net(longer, valid), net(x))


def test_reductions():
    x = torch.randn(1, 5, 6)
    net = network()
    each = net.out(net.features(x))[0]
    valid = torch.tensor([[True, True, False, True, False]])
    known = network().out(network().features(x, valid))[0][valid[0]]
    torch.testing.assert_close(net(x)[0], each.mean(dim=0))
    torch.testing.assert_close(network()(x, valid)[0], known.mean(dim=0))
    torch.testing.assert_close(network(reduction="last")(x, valid)[0], known[-1])
    mean = torch.softmax(known, dim=1).mean(dim=0)
    logits = network(reduction="mean-probability")(x, valid)[0]
    torch.testing.assert_close(torch.softmax(logits, dim=0), mean)


def test_nothing_valid_is_finite():
    for reduction in ("mean", "last", "mean-probability"):
        net = network(reduction=reduction, scaling="window")
        assert torch.isfinite(net(torch.randn(1, 4, 6), torch.zeros(1, 4).bool())).all()


def test_scalings_to_plus_minus_one():
    x = torch.randn(3, 20, 6) * 10 + 4
    x[:, :, 2] = 7.0  # constant
    low, high = x.amin(dim=(0, 1)), x.amax(dim=(0, 1))
    of = {}
    for name in ("feature", "global", "window", "none"):
        net = network(scaling=name)
        net.set_range(low, high)
        of[name] = net.scaled(x)
    torch.testing.assert_close(of["none"], x)
    varying = [0, 1, 3, 4, 5]
    torch.testing.assert_close(of["feature"].amin(dim=(0, 1))[varying], -torch.ones(5))
    torch.testing.assert_close(of["feature"].amax(dim=(0, 1))[varying], torch.ones(5))
    assert (of["feature"][..., 2] == 0).all()
    assert float(of["global"].min()) == pytest.approx(-1)
    assert float(of["global"].max()) == pytest.approx(1)
    torch.testing.assert_close(of["window"].amax(dim=1)[:, varying], torch.ones(3, 5))
    torch.testing.assert_close(of["window"].amin(dim=1)[:, varying], -torch.ones(3, 5))


def test_the_range_travels_with_the_weights():
    net = network()
    net.set_range(torch.zeros(6), torch.full((6,), 9.0))
    again = network(seed=5)
    again.load_state_dict(net.state_dict())
    x = torch.randn(1, 4, 6)
    torch.testing.assert_close(again(x), net(x), atol=0, rtol=0)


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
def test_gradients_reach_every_parameter(activation):
    net = network(activation=activation).train()
    net(torch.randn(8, 9, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
