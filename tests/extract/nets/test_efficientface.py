"""EfficientFace against FACTS.md, 5.2, and against torchvision's units put together otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual

from extract.nets.efficientface import EfficientFace
from extract.nets.efficientface_settings import PUBLISHED, SMALL

SEVEN = replace(PUBLISHED, classes=7)
KEYS = {
    "conv1.0.weight": (29, 3, 3, 3),
    "conv1.1.running_mean": (29,),
    "stage2.0.branch1.0.weight": (29, 1, 3, 3),
    "stage2.0.branch1.2.weight": (58, 29, 1, 1),
    "stage2.0.branch1.3.bias": (58,),
    "stage2.0.branch2.0.weight": (58, 29, 1, 1),
    "stage2.0.branch2.3.weight": (58, 1, 3, 3),
    "stage2.0.branch2.6.weight": (58,),
    "stage2.3.branch2.5.weight": (58, 58, 1, 1),
    "stage3.0.branch1.0.weight": (116, 1, 3, 3),
    "stage3.0.branch1.2.weight": (116, 116, 1, 1),
    "stage3.7.branch2.3.weight": (116, 1, 3, 3),
    "stage4.3.branch2.5.weight": (232, 232, 1, 1),
    "local.conv1_1.weight": (116, 1, 3, 3),
    "local.conv4_2.weight": (116, 1, 3, 3),
    "local.bn3_1.num_batches_tracked": (),
    "modulator.channel_att.gate_c.gate_c_fc_0.weight": (7, 116),
    "modulator.channel_att.gate_c.gate_c_bn_1.running_var": (7,),
    "modulator.channel_att.gate_c.gate_c_fc_final.weight": (116, 7),
    "modulator.spatial_att.gate_s.gate_s_conv_reduce0.bias": (7,),
    "modulator.spatial_att.gate_s.gate_s_bn_di_1.weight": (7,),
    "modulator.spatial_att.gate_s.gate_s_conv_di_0.weight": (7, 7, 3, 3),
    "modulator.spatial_att.gate_s.gate_s_conv_final.weight": (1, 7, 1, 1),
    "conv5.0.weight": (1024, 464, 1, 1),
    "fc.weight": (7, 1024),
}


def test_the_published_tensors() -> None:
    network = EfficientFace(SEVEN)
    state = network.state_dict()
    assert len(state) == 418
    assert sum(p.numel() for p in network.parameters()) == 1_275_293
    assert {name: tuple(state[name].shape) for name in KEYS} == KEYS
    biases = [name for name in state if name.endswith("bias") and state[name].ndim == 1]
    assert not [n for n in biases if n.replace("bias", "weight") not in state]
    assert len(EfficientFace(PUBLISHED).state_dict()) == 416


class Reference:
    """The network as FACTS.md, 5.1, tells it, for 224 px; units are torchvision's."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def __call__(self, x: Tensor) -> Tensor:
        """Features [batch, 1024]."""
        x = F.relu(self.norm("conv1.1", F.conv2d(x, self.state["conv1.0.weight"], None, 2, 1)))
        x = F.max_pool2d(x, 3, 2, 1)
        assert x.shape[1:] == (29, 56, 56)
        second = self.units("stage2", x, 29, 116, 4)
        x = self.modulated(second) + self.local(x)
        assert x.shape[1:] == (116, 28, 28)
        x = self.units("stage3", x, 116, 232, 8)
        x = self.units("stage4", x, 232, 464, 4)
        assert x.shape[1:] == (464, 7, 7)
        x = F.relu(self.norm("conv5.1", F.conv2d(x, self.state["conv5.0.weight"])))
        return F.avg_pool2d(x, 7).flatten(1)

    def norm(self, name: str, x: Tensor) -> Tensor:
        s = self.state
        mean, var = s[f"{name}.running_mean"], s[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{name}.weight"], s[f"{name}.bias"], eps=1e-5)

    def units(self, name: str, x: Tensor, inputs: int, outputs: int, count: int) -> Tensor:
        for i in range(count):
            unit = InvertedResidual(inputs if i == 0 else outputs, outputs, 2 if i == 0 else 1)
            front = f"{name}.{i}."
            own = {k.removeprefix(front): v for k, v in self.state.items() if k.startswith(front)}
            unit.load_state_dict(own)
            x = unit.eval()(x)
        return x

    def local(self, x: Tensor) -> Tensor:
        places = {1: (0, 0), 2: (28, 0), 3: (0, 28), 4: (28, 28)}
        out = x.new_zeros(len(x), 116, 28, 28)
        for i, (top, left) in places.items():
            y = x[:, :, top : top + 28, left : left + 28]
            y = F.conv2d(y, self.state[f"local.conv{i}_1.weight"], None, 2, 1, groups=29)
            y = F.relu(self.norm(f"local.bn{i}_1", y))
            y = F.conv2d(y, self.state[f"local.conv{i}_2.weight"], None, 1, 1, groups=116)
            y = F.relu(self.norm(f"local.bn{i}_2", y))
            out[:, :, top // 2 : top // 2 + 14, left // 2 : left // 2 + 14] = y
        return out

    def modulated(self, x: Tensor) -> Tensor:
        s, c = self.state, "modulator.channel_att.gate_c.gate_c_"
        channel = F.linear(x.flatten(2).mean(2), s[f"{c}fc_0.weight"], s[f"{c}fc_0.bias"])
        channel = F.relu(self.norm(f"{c}bn_1", channel))
        channel = F.linear(channel, s[f"{c}fc_final.weight"], s[f"{c}fc_final.bias"])
        g = "modulator.spatial_att.gate_s.gate_s_"
        place = F.conv2d(x, s[f"{g}conv_reduce0.weight"], s[f"{g}conv_reduce0.bias"])
        place = F.relu(self.norm(f"{g}bn_reduce0", place))
        for i in (0, 1):
            w, b = s[f"{g}conv_di_{i}.weight"], s[f"{g}conv_di_{i}.bias"]
            place = F.relu(self.norm(f"{g}bn_di_{i}", F.conv2d(place, w, b, 1, 4, 4)))
        place = F.conv2d(place, s[f"{g}conv_final.weight"], s[f"{g}conv_final.bias"])
        return x * torch.sigmoid(channel[:, :, None, None] * place)


def test_features_and_logits_equal_the_reference(randomised: Callable[..., nn.Module]) -> None:
    network = randomised(EfficientFace(SEVEN), seed=3)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(4))
    expected = Reference(network.state_dict())(x)
    assert expected.std() > 0.01
    found = network.features(x)
    assert ((found - expected).abs() <= 1e-5 * expected.abs().clamp_min(1)).all()
    logits = expected @ network.fc.weight.T + network.fc.bias
    torch.testing.assert_close(network(x), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("quarter", range(4))
def test_each_quarter_has_convolutions_of_its_own(
    quarter: int, randomised: Callable[..., nn.Module]
) -> None:
    local = randomised(EfficientFace(SMALL)).local
    x = torch.randn(1, 4, 16, 16)
    changed = x.clone()
    rows, columns = divmod(quarter, 2)
    changed[:, :, 8 * rows : 8 * rows + 8, 8 * columns : 8 * columns + 8] += 1
    differs = (local(x) != local(changed)).any(dim=1)[0]
    assert differs[4 * rows : 4 * rows + 4, 4 * columns : 4 * columns + 4].any()
    differs[4 * rows : 4 * rows + 4, 4 * columns : 4 * columns + 4] = False
    assert not differs.any()


def test_without_classes_the_answer_is_the_features(randomised: Callable[..., nn.Module]) -> None:
    network = randomised(EfficientFace(SMALL))
    x = torch.randn(3, 3, 64, 64)
    assert network(x).shape == (3, SMALL.dim)
    torch.testing.assert_close(network(x), network.features(x))
