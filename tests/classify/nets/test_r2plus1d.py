"""R(2+1)D-18 against torchvision with the same weights, and FACTS.md 12.2."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models.video import r2plus1d_18

from avfd.errors import InputError
from classify.nets.checkpoint import put_into, read_tensors
from classify.nets.r2plus1d import Block, R2Plus1d, middle_width, published


def wild(module, seed=0):
    """Batch norms with statistics that are not those of the start."""
    torch.manual_seed(seed)
    for name, value in module.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(std=0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return module


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return wild(r2plus1d_18(weights=None)).eval()


def test_every_layer_is_torchvisions(reference):
    ours = R2Plus1d().eval()
    ours.load_state_dict(published(reference.state_dict()), strict=True)
    x = torch.randn(1, 3, 5, 24, 24)
    theirs = reference.stem(x)
    with torch.no_grad():
        layers = ours.layers(x)
        for i, mine in enumerate(layers):
            if i:
                theirs = getattr(reference, f"layer{i}")(theirs)
            torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(reference.fc(ours(x)), reference(x))


def test_a_published_file_loads_and_a_wrong_one_does_not(reference, tmp_path: Path):
    path = tmp_path / "r2plus1d_18.pth"
    torch.save(reference.state_dict(), path)
    ours = R2Plus1d()
    put_into(ours, published(read_tensors(path)), path)
    torch.testing.assert_close(
        ours.layer4[1].conv2[0][3].weight, reference.layer4[1].conv2[0][3].weight
    )
    with pytest.raises(InputError, match="does not fit"):
        put_into(R2Plus1d(width=8), published(read_tensors(path)), path)


def test_counts():
    with torch.device("meta"):
        ours = R2Plus1d()
    state = ours.state_dict()
    assert len(state) == 224 - 2
    assert sum(p.numel() for p in ours.parameters()) == 31_505_325 - 400 * 513
    expected = {
        "stem.0.weight": (45, 3, 1, 7, 7),
        "layer2.0.conv2.0.0.weight": (230, 128, 1, 3, 3),
        "layer3.1.conv1.0.3.weight": (256, 576, 3, 1, 1),
        "layer4.0.conv1.0.0.weight": (921, 256, 1, 3, 3),
        "layer4.0.downsample.0.weight": (512, 256, 1, 1, 1),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected


def test_sizes_of_thirty_pictures_of_112():
    with torch.device("meta"):
        layers = R2Plus1d().layers(torch.zeros(1, 3, 30, 112, 112))
    assert [tuple(x.shape[1:]) for x in layers] == [
        (64, 30, 56, 56),
        (64, 30, 56, 56),
        (128, 15, 28, 28),
        (256, 8, 14, 14),
        (512, 4, 7, 7),
    ]


@pytest.mark.parametrize(
    ("inputs", "outputs", "middle"),
    [(64, 64, 144), (64, 128, 230), (128, 256, 460), (512, 512, 1152)],
)
def test_middle_width(inputs, outputs, middle):
    assert middle_width(inputs, outputs) == middle


def test_a_block_without_shortcut_has_none():
    block = Block(4, 8, 2, residual=False).eval()
    assert block.downsample is None
    x = torch.randn(1, 4, 4, 6, 6)
    torch.testing.assert_close(block(x), torch.relu(block.conv2(block.conv1(x))))
