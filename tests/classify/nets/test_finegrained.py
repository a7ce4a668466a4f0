"""The fine-grained detector against FACTS.md, section 11, and transcriptions of its equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from avfd.errors import InputError
from classify.nets.checkpoint import read_tensors
from classify.nets.finegrained import FineGrained, distance_map, feature_side, minmax
from classify.nets.finegrained_branches import (
    AudioBranch,
    VisualBranch,
    fewest_samples,
    pooled_steps,
    to_steps,
    visual_steps,
)
from classify.nets.finegrained_options import FineGrainedOptions
from classify.nets.finegrained_weights import load_detector

PAPER = FineGrainedOptions()
TINY = FineGrainedOptions(channels=8)
FRAMES, SIZE_PX, SAMPLES = 6, 32, 1600


def network(options: FineGrainedOptions = TINY, **more: object) -> FineGrained:
    torch.manual_seed(0)
    return FineGrained(FRAMES, SIZE_PX, SAMPLES, options, **more)


def seconds(number: int = 3, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (number, FRAMES, SIZE_PX, SIZE_PX, 3)
    return {
        "video": torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        "audio": torch.randn(number, SAMPLES, generator=generator),
    }


# Shapes and counts of FACTS.md, 11.2 to 11.4.


def test_the_visual_branch_has_the_published_shapes():
    with torch.device("meta"):
        branch, x = VisualBranch(PAPER), torch.zeros(1, 3, 30, 224, 224)
        assert branch.conv1(x).shape == (1, 64, 30, 112, 112)
        assert branch.maxpool(branch.conv1(x)).shape == (1, 64, 30, 56, 56)
        assert branch.layer1(branch.maxpool(branch.conv1(x))).shape == (1, 64, 30, 56, 56)
        assert branch(x).shape == (1, 128, 15, 28, 28)


def test_mds_own_blocks_keep_the_frames():
    with torch.device("meta"):
        branch = VisualBranch(replace(PAPER, blocks="2d"))
        assert branch(torch.zeros(1, 3, 30, 224, 224)).shape == (1, 128, 30, 28, 28)


def test_the_audio_branch_has_the_published_shapes():
    with torch.device("meta"):
        branch, x = AudioBranch(48_000, 15, PAPER), torch.zeros(1, 1, 48_000)
        assert branch.layer1(x).shape == (1, 128, 5991)
        assert branch.layer2(branch.layer1(x)).shape == (1, 192, 1497)
        assert branch.to_visual[0].weight.shape == (64, 192, 111)
        assert branch.to_visual[0].stride == (99,)
        assert branch.to_visual[:3](branch.layer2(branch.layer1(x))).shape == (1, 64, 15)
        assert branch(x).shape == (1, 128, 15)


def test_steps_follow_from_samples():
    assert (pooled_steps(48_000), to_steps(1497, 15)) == (1497, (111, 99))
    assert pooled_steps(fewest_samples(5)) == 10
    assert pooled_steps(fewest_samples(5) - 1) == 9
    for samples, frames in ((16_000, 10), (44_100, 25), (48_000, 30)):
        steps = visual_steps(frames, "3d")
        with torch.device("meta"):
            assert AudioBranch(samples, steps, PAPER)(torch.zeros(1, 1, samples)).shape[2] == steps


def test_the_parameters_are_those_of_the_published_layers():
    """Kernels and batch norms of the tables; biases that do nothing are left out."""
    block1 = 2 * 64 * 64 * 27 + 4 * 64
    first = (64 + 128) * 128 * 27 + 4 * 128 + 64 * 128 + 2 * 128
    visual = 64 * 3 * 49 + 2 * 64 + 2 * block1 + first + 2 * 128 * 128 * 27 + 4 * 128
    audio = 128 * 80 + 2 * 128 + 192 * 128 * 3 + 2 * 192 + 192 * 192 * 3 + 2 * 192
    to_visual = 64 * 192 * 111 + 2 * 64 + 128 * 64 * 3 + 128
    embeddings, head = 32 * 128 + 32 * 128 + 32, 784 + 1
    with torch.device("meta"):
        made = FineGrained(30, 224, 48_000, PAPER)
    found = sum(p.numel() for p in made.parameters())
    assert found == visual + audio + to_visual + embeddings + head


def test_maps_and_head_have_the_published_sizes():
    with torch.device("meta"):
        made = FineGrained(30, 224, 48_000, PAPER)
        faces = torch.zeros(2, 30, 224, 224, 3, dtype=torch.uint8)
        said = made(faces, torch.zeros(2, 100, 480))
    assert said.distance.shape == said.attention.shape == said.weighted.shape == (2, 28, 28)
    assert made.head.weight.shape == (1, 784)
    assert made.scale == 480
    assert FineGrained(30, 224, 48_000, replace(PAPER, attention_scale="features")).scale == 1920


@pytest.mark.parametrize("size_px", [33, 57, 64])
def test_the_side_of_the_maps_follows_from_the_picture(size_px):
    with torch.device("meta"):
        side = VisualBranch(PAPER)(torch.zeros(1, 3, 4, size_px, size_px)).shape[-1]
    assert side == feature_side(size_px)


# Equations 2 to 5.


def array(tensor):
    return tensor.detach().double().numpy()


def maps_written_out(made: FineGrained, seen: np.ndarray, heard: np.ndarray):
    """M, A and y of one second, place by place; F^v [C, T, H, W], F^a [C, T]."""
    t, height, width = seen.shape[1:]
    wv, wa = array(made.embed_visual.weight)[:, :, 0, 0, 0], array(made.embed_audio.weight)[:, :, 0]
    ba = array(made.embed_audio.bias)
    distance, scores = np.zeros((height, width)), np.zeros((height, width))
    embedded = wa @ heard + ba[:, None]
    for i in range(height):
        for j in range(width):
            distance[i, j] = np.sqrt(((seen[:, :, i, j].ravel() - heard.ravel()) ** 2).sum())
            scores[i, j] = (embedded * (wv @ seen[:, :, i, j])).sum() / (len(wv) * t)
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    return distance, attention


@pytest.mark.parametrize("attention", ["map", "residual", "none"])
def test_the_maps_are_their_equations(attention):
    made = network(replace(TINY, attention=attention)).double().eval()
    data = seconds(2)
    said = made(**data)
    frames = (data["video"].double() / 255 - 0.5) / 0.5
    sound = np.stack([minmax_written_out(x) for x in array(data["audio"])])
    seen = array(made.visual(frames.permute(0, 4, 1, 2, 3)))
    heard = array(made.audio(torch.from_numpy(sound)[:, None]))
    for n in range(2):
        if attention == "none":
            distance = array(distance_map(torch.from_numpy(seen), torch.from_numpy(heard)))[n]
            wanted = distance
        else:
            distance, a = maps_written_out(made, seen[n], heard[n])
            np.testing.assert_allclose(array(said.attention)[n], a, rtol=0, atol=1e-12)
            wanted = distance * a + (distance if attention == "residual" else 0)
        np.testing.assert_allclose(array(said.distance)[n], distance, rtol=1e-12)
        np.testing.assert_allclose(array(said.weighted)[n], wanted, rtol=1e-11)
        z = wanted.ravel() @ array(made.head.weight)[0] + array(made.head.bias)[0]
        p = said.logits.softmax(dim=1)[n, 1].item()
        assert p == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-12)


def minmax_written_out(x):
    return 2 * (x - x.min()) / (x.max() - x.min()) - 1


def test_samples_of_a_second_go_from_minus_one_to_one():
    x = torch.tensor([[0.1, 0.2, 0.5], [3.0, 3.0, 3.0]])
    np.testing.assert_allclose(minmax(x), [[-1.0, -0.5, 1.0], [0.0, 0.0, 0.0]], atol=1e-6)


def test_maps_of_another_size_come_from_averaged_features():
    made = network(replace(TINY, map_size=2)).double().eval()
    data = seconds(1)
    frames = ((data["video"].double() / 255 - 0.5) / 0.5).permute(0, 4, 1, 2, 3)
    seen = made.visual(frames)
    heard = made.audio(minmax(data["audio"].double())[:, None])
    corner = array(seen[0, :, :, :2, :2].mean(dim=(2, 3)))
    said = made(**data).distance[0]
    assert said.shape == (2, 2)
    assert said[0, 0].item() == pytest.approx(np.linalg.norm(corner - array(heard)[0]), abs=1e-9)


# Batch norm and training.

VARIANTS = [
    {},
    {"attention": "none"},
    {"attention": "residual"},
    {"attention_scale": "features"},
    {"map_size": 2},
    {"blocks": "2d"},
    {"batch_norm": "batch"},
    {"audio_scale": "none"},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_every_parameter(variant):
    """But one of the published network's: a shift that only the next batch norm sees."""
    made = network(replace(TINY, **variant)).double()
    target = torch.tensor([0, 1, 1])
    torch.nn.functional.cross_entropy(made(**seconds()).logits, target).backward()
    unreached = {
        n for n, p in made.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-12
    }
    assert unreached == {"audio.layer2.5.bias"}


@pytest.mark.parametrize("variant", [v for v in VARIANTS if "batch_norm" not in v])
def test_batch_mates_do_not_change_a_verdict(variant):
    made = network(replace(TINY, **variant))
    made(**seconds(4))  # running statistics
    made.eval()
    data = seconds(5)
    alone = made(**{k: v[2:3] for k, v in data.items()})
    torch.testing.assert_close(alone.logits[0], made(**data).logits[2], rtol=0, atol=1e-5)


def test_the_codes_batch_norm_lets_batch_mates_change_a_verdict():
    made = network(replace(TINY, batch_norm="batch")).eval()
    data = seconds(5)
    alone = made(**{k: v[2:3] for k, v in data.items()})
    assert (alone.distance[0] - made(**data).distance[2]).abs().max() > 1e-3


# The authors' weight file: FACTS.md, 11.6.


class PublishedAudio(nn.Module):
    """The audio branch under its published names, with the biases that PyTorch gives."""

    def __init__(self):
        super().__init__()
        self.netcnnaud_layer1 = nn.Sequential(
            nn.Conv1d(1, 128, 80, 8), nn.BatchNorm1d(128), nn.ReLU()
        )
        self.netcnnaud_layer2 = nn.Sequential(
            nn.MaxPool1d(4),
            nn.Conv1d(128, 192, 3, padding=1),
            nn.BatchNorm1d(192),
            nn.ReLU(),
            nn.Conv1d(192, 192, 3, padding=1),
            nn.BatchNorm1d(192),
        )


def published_file(path, made: FineGrained) -> tuple[nn.Module, nn.Module]:
    """A file with the published names and shapes, and the audio branch that it holds."""
    torch.manual_seed(5)
    audio = PublishedAudio()
    onward = nn.Sequential(
        nn.Conv1d(192, 64, 111, 99), nn.BatchNorm1d(64), nn.ReLU(), nn.Conv1d(64, 128, 3, padding=1)
    )
    for module in (*audio.modules(), *onward.modules()):
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    state = {f"netcnnaud.{k}": v for k, v in audio.state_dict().items()}
    state |= {f"netcnnaud_to_vis.{k}": v for k, v in onward.state_dict().items()}
    state |= {f"netcnnlip.{k}": torch.randn(v.shape) for k, v in made.visual.named_parameters()}
    state |= {
        "img_emb_layer.weight": torch.randn(32, 128, 1, 1, 1),
        "img_emb_layer.bias": torch.randn(32),
    }
    state |= {
        "aud_emb_layer.weight": torch.randn(32, 128, 1),
        "aud_emb_layer.bias": torch.randn(32),
    }
    state |= {"final_fc.0.weight": torch.randn(1, 784), "final_fc.0.bias": torch.randn(1)}
    torch.save({f"module.{k}": v for k, v in state.items()}, path)
    return audio.eval(), onward.eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    with torch.device("meta"):
        made = FineGrained(30, 224, 48_000, PAPER)
    return path, *published_file(path, made)


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
def test_the_published_file_loads_and_does_the_same(published, batch_norm):
    path, audio, onward = published
    made = FineGrained(30, 224, 48_000, replace(PAPER, batch_norm=batch_norm)).eval()
    load_detector(made, read_tensors(path), path)
    x = torch.randn(1, 1, 48_000)
    wanted = onward(audio.netcnnaud_layer2(audio.netcnnaud_layer1(x)))
    torch.testing.assert_close(made.audio(x), wanted, rtol=1e-4, atol=1e-4)
    held = torch.load(path, weights_only=True)
    assert torch.equal(made.head.weight, held["module.final_fc.0.weight"])
    assert torch.equal(
        made.visual.layer2[0].downsample[0].weight,
        held["module.netcnnlip.layer2.0.downsample.0.weight"],
    )
    assert torch.equal(made.embed_visual.weight, held["module.img_emb_layer.weight"])


def test_the_published_file_loads_without_attention_too(published):
    made = FineGrained(30, 224, 48_000, replace(PAPER, attention="none"))
    load_detector(made, read_tensors(published[0]), published[0])


def test_a_file_of_another_network_is_refused(published):
    half = FineGrained(30, 224, 48_000, replace(PAPER, channels=64))
    tensors = read_tensors(published[0])
    with pytest.raises(InputError, match=r"does not fit.*instead of"):
        load_detector(half, tensors, published[0])
