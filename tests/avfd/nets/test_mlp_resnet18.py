"""The perceptron on emobase2010 and 2D3MF's AudioResNet18 against FACTS.md, section 6."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision.models.resnet import BasicBlock

from avfd.nets import mlp, resnet18


def test_perceptron_of_the_thesis():
    network = mlp.EmoMlp()
    assert [tuple(layer.weight.shape) for layer in network.hidden] == [
        (1024, 3900),
        (512, 1024),
        (256, 512),
    ]
    assert network(torch.zeros(2, 100, 39)).shape == (2, 4)
    assert network.features(torch.zeros(2, 100, 39)).shape == (2, 256)
    assert not any(isinstance(m, torch.nn.BatchNorm1d) for m in network.modules())


def test_perceptron_takes_invalid_steps_as_zero():
    network = mlp.EmoMlp(mlp.SMALL).eval()
    x = torch.randn(2, 100, 39)
    valid = torch.rand(2, 100) > 0.3
    dirty = x.masked_fill(~valid.unsqueeze(2), torch.nan)
    torch.testing.assert_close(network(dirty, valid), network(x * valid.unsqueeze(2)))


def test_resnet18_has_the_published_tensors():
    network = resnet18.AudioResNet18()
    state = network.state_dict()
    assert len(state) == 122
    assert sum(p.numel() for p in network.parameters()) == 11_171_784
    expected = {
        "conv1.0.weight": (64, 1, 3, 3),
        "conv1.1.running_var": (64,),
        "layer1.0.left.0.weight": (64, 64, 3, 3),
        "layer2.0.left.0.weight": (128, 64, 3, 3),
        "layer2.0.left.3.weight": (128, 128, 3, 3),
        "layer3.0.shortcut.0.weight": (256, 128, 1, 1),
        "layer4.0.shortcut.1.weight": (512,),
        "layer4.1.left.4.num_batches_tracked": (),
        "fc.weight": (8, 512),
        "fc.bias": (8,),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected
    assert "layer1.0.shortcut.0.weight" not in state


def test_resnet18_map_sizes():
    network = resnet18.AudioResNet18()
    sizes = []
    for layer in (network.conv1, network.layer1, network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda _m, _x, y: sizes.append(tuple(y.shape[1:])))
    assert network.features(torch.zeros(1, 1, 10, 87)).shape == (1, 512)
    assert sizes == [(64, 10, 87), (64, 10, 87), (128, 5, 44), (256, 3, 22), (512, 2, 11)]


def test_resnet18_stage_is_two_of_torchvisions_blocks():
    torch.manual_seed(0)
    network = resnet18.AudioResNet18(resnet18.SMALL)
    for p in network.buffers():
        if p.is_floating_point():
            p.copy_(torch.rand_like(p) + 0.5)
    ours = network.layer2[0]
    shortcut = torch.nn.Sequential(
        torch.nn.Conv2d(8, 16, 1, 2, bias=False), torch.nn.BatchNorm2d(16)
    )
    theirs = BasicBlock(8, 16, 2, shortcut).eval()
    names = {
        "left.0": "conv1",
        "left.1": "bn1",
        "left.3": "conv2",
        "left.4": "bn2",
        "shortcut": "downsample",
    }
    state = {}
    for key, value in ours.state_dict().items():
        start = next(name for name in names if key.startswith(name))
        state[key.replace(start, names[start], 1)] = value
    theirs.load_state_dict(state)
    x = torch.randn(2, 8, 10, 21)
    torch.testing.assert_close(ours(x), theirs(x))


def test_resnet18_starts_in_evaluation_mode_and_neighbours_change_nothing():
    network = resnet18.AudioResNet18(resnet18.SMALL)
    assert not network.training
    x = torch.randn(3, 10, 87)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (mlp.EmoMlp(mlp.SMALL), torch.randn(4, 100, 39)),
        (resnet18.AudioResNet18(resnet18.SMALL).train(), torch.randn(4, 10, 87)),
    ],
)
def test_gradients_reach_every_parameter(network, x):
    network(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_rest_of_an_epoch_may_be_one_clip():
    network = mlp.EmoMlp(replace(mlp.SMALL, steps=2, columns=3, dropout=0.0)).train()
    network(torch.randn(4, 2, 3))
    before = network.norm.running_mean.clone()
    one = torch.randn(1, 2, 3)
    out = network(one)
    torch.testing.assert_close(out, network.eval()(one))
    torch.testing.assert_close(network.norm.running_mean, before)
