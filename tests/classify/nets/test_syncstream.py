"""The {2+1}-stream network against the paper's table and straight float64 transcriptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avfd.errors import InputError
from classify.nets.syncstream import SyncStreamNetwork
from classify.nets.syncstream_options import SyncShape
from classify.nets.syncstream_parts import AudioStream, Connection, TimeAttention, positions

PAPER_SAMPLES = 66_150
TINY = SyncShape(width=4, blocks=1, size_px=16, seconds=1, frames_hz=5, heads=2)
SAMPLES = 2000
KINDS = ["none", "inter", "inter-intra", "joint"]


def batch(n=3, seed=0, shape=TINY, samples=SAMPLES):
    rng = torch.Generator().manual_seed(seed)
    size = (n, shape.frames, shape.size_px, shape.size_px, 3)
    return {
        "video": torch.randint(0, 256, size, generator=rng, dtype=torch.uint8),
        "video_mask": torch.ones(n, shape.frames, dtype=torch.bool),
        "audio": 0.1 * torch.randn(n, samples, generator=rng),
        "audio_mask": torch.ones(n, 10, dtype=torch.bool),
    }


def tiny(seed=0, samples=SAMPLES, **changes):
    torch.manual_seed(seed)
    network = SyncStreamNetwork(replace(TINY, **changes), samples)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(std=0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return network.eval()


def test_table_1():
    with torch.device("meta"):
        network = SyncStreamNetwork(SyncShape(), PAPER_SAMPLES)
        assert network.audio is not None
        assert network.sync is not None
        shapes = [tuple(x.shape[1:]) for x in network.audio.layers(torch.zeros(1, PAPER_SAMPLES))]
    assert shapes == [(128, 4129), (128, 1031), (256, 257), (512, 63)]
    assert [tuple(c.weight.shape) for c in network.audio.conv] == [
        (128, 1, 80),
        (128, 128, 3),
        (256, 128, 3),
        (512, 256, 3),
    ]
    assert [network.sync.attention[str(i)].side ** 2 for i in range(4)] == [
        56**2,
        28**2,
        14**2,
        7**2,
    ]
    assert [network.sync.attention[str(i)].heads for i in range(4)] == [4, 1, 1, 1]
    assert [b.conv2[1].num_features for b in network.sync.conv.values()] == [64, 128, 256, 512]
    for head in (network.video_head, network.audio_head, network.whole_head):
        assert tuple(head.weight.shape) == (2, 512)


def test_lengths_of_the_paper_with_and_without_padding():
    assert SyncShape().audio_lengths(PAPER_SAMPLES) == [4129, 1031, 257, 63]
    assert SyncShape(audio_padding="same").audio_lengths(PAPER_SAMPLES) == [4134, 1033, 258, 64]
    assert SyncShape().video_shapes() == [(30, 56), (15, 28), (8, 14), (4, 7)]


@pytest.mark.parametrize(
    ("layer", "kernel", "stride"), [(0, 156, 137), (1, 79, 68), (2, 33, 32), (3, 18, 15)]
)
def test_connections_of_the_paper_cover_the_audio_exactly(layer, kernel, stride):
    shape = SyncShape()
    steps, frames = shape.audio_lengths(PAPER_SAMPLES)[layer], shape.video_shapes()[layer][0]
    with torch.device("meta"):
        made = Connection(shape.audio_channels[layer], shape.channels[layer], steps, frames, shape)
    assert (made.conv.kernel_size, made.conv.stride) == ((kernel,), (stride,))
    assert (frames - 1) * stride + kernel == steps


def test_a_connection_is_a_strided_convolution():
    shape = SyncShape()
    made = Connection(2, 3, 11, 4, shape).double()
    x = torch.randn(1, 2, 11, dtype=torch.float64)
    weight, bias = made.conv.weight.detach().numpy(), made.conv.bias.detach().numpy()
    stride, kernel = 2, 5
    for t in range(4):
        part = x[0, :, t * stride : t * stride + kernel].numpy()
        expected = (weight * part).sum(axis=(1, 2)) + bias
        np.testing.assert_allclose(made(x)[0, :, t].detach(), expected)


@pytest.mark.parametrize("align", ["fit", "pool"])
@pytest.mark.parametrize("steps", [2, 4, 9])
def test_audio_of_any_length_reaches_the_length_of_video(align, steps):
    made = Connection(2, 3, steps, 4, SyncShape(align=align, connection_norm=True))
    assert made(torch.randn(2, 2, steps)).shape == (2, 3, 4)


def test_audio_layers_are_convolution_relu_and_maximum():
    torch.manual_seed(0)
    stream = AudioStream(replace(TINY, audio_norm=False)).double()
    samples = np.random.default_rng(0).normal(size=SAMPLES)
    x = samples[None]
    for conv, stride in zip(stream.conv, [4, 1, 1, 1], strict=True):
        w, b = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2], axis=1)[:, ::stride]
        x = np.maximum(np.einsum("itk,oik->ot", windows, w) + b[:, None], 0)
        x = x[:, : x.shape[1] // 4 * 4].reshape(len(x), -1, 4).max(axis=2)
    given = torch.from_numpy(samples)[None]
    np.testing.assert_allclose(stream.layers(given)[-1][0].detach(), x, atol=1e-12)


def test_loudness_does_not_matter_where_the_level_is_taken_out():
    stream = AudioStream(replace(TINY, audio_level="rms")).eval()
    x = torch.randn(1, SAMPLES)
    torch.testing.assert_close(stream.layers(0.03 * x)[-1], stream.layers(x)[-1])
    assert all(torch.isfinite(y).all() for y in stream.layers(torch.zeros(1, SAMPLES)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def transcribed(attention, v, a):
    """Equations 7 to 10 in float64 for one sample: v [C, T, H, W], a [C, T]."""
    shape, heads = attention.shape, attention.heads
    frames, side = v.shape[1:3]
    pos = np.zeros((frames, side * side))
    for t in range(frames):
        for i in range(side * side):
            angle = t / 10_000 ** (2 * (i // 2) / (side * side))
            pos[t, i] = np.cos(angle) if i % 2 else np.sin(angle)
    p = {k: w.double().numpy() for k, w in attention.state_dict().items()}
    tiled = np.broadcast_to(a[:, :, None, None], v.shape)
    plane_v = (
        np.einsum("cthw,c->thw", v, p["pool_video.weight"][0, :, 0, 0, 0]).reshape(frames, -1) + pos
    )
    plane_a = (
        np.einsum("cthw,c->thw", tiled, p["pool_audio.weight"][0, :, 0]).reshape(frames, -1) + pos
    )

    def att(q, k, x):
        out = np.zeros_like(x)
        size = side * side // heads
        for h in range(heads):
            cut = (
                slice(h * size, (h + 1) * size)
                if shape.head_split == "blocks"
                else slice(h, None, heads)
            )
            d = size if shape.head_scale == "head" else side * side
            out[:, cut] = softmax(q[:, cut] @ k[:, cut].T / np.sqrt(d)) @ x[:, cut]
        return out

    def unpooled(x, name):
        plane = x.reshape(frames, side, side)
        if shape.unpool == "broadcast":
            return np.broadcast_to(plane, v.shape)
        return p[f"unpool_{name}.weight"][:, 0, 0, 0, 0][:, None, None, None] * plane

    if shape.attention == "joint":
        return unpooled(att(plane_v, plane_a, plane_v + plane_a), "video")
    extra_v, extra_a, seen_v, seen_a = 0, 0, plane_v, plane_a
    if shape.attention == "inter-intra":
        extra_v, extra_a = att(plane_v, plane_v, plane_v), att(plane_a, plane_a, plane_a)
        if shape.both == "sequence":
            seen_v, seen_a = plane_v + extra_v, plane_a + extra_a
    extra_v = extra_v + att(seen_a, seen_v, seen_v)
    extra_a = extra_a + att(seen_v, seen_a, seen_a)
    return unpooled(extra_v, "video") + unpooled(extra_a, "audio")


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "inter"},
        {"attention": "inter-intra"},
        {"attention": "inter-intra", "both": "sequence"},
        {"attention": "joint"},
        {"attention": "inter", "head_split": "interleaved", "head_scale": "full"},
        {"attention": "joint", "unpool": "broadcast"},
        {"attention": "inter", "unpool": "broadcast"},
    ],
)
def test_attention_is_the_papers_equation(options):
    torch.manual_seed(1)
    made = TimeAttention(5, 6, 4, 2, replace(TINY, **options)).double()
    for p in made.parameters():
        torch.nn.init.normal_(p)
    made.position.copy_(positions(6, 16))
    v, a = torch.randn(2, 5, 6, 4, 4).double(), torch.randn(2, 5, 6).double()
    with torch.no_grad():
        out = made(v, a)
    for i in range(2):
        np.testing.assert_allclose(
            out[i], transcribed(made, v[i].numpy(), a[i].numpy()), atol=1e-10
        )


def test_positions_of_an_odd_plane():
    assert positions(4, 49).shape == (4, 49)
    np.testing.assert_allclose(
        positions(4, 6)[3, 2:4],
        [np.sin(3 / 10_000 ** (1 / 3)), np.cos(3 / 10_000 ** (1 / 3))],
        atol=1e-6,
    )


def fused_by_hand(network, x):
    """The sync stream's last layer, central connections written out."""
    shape, sync = network.shape, network.sync
    video = network.video.layers(network.seen(x["video"], x["video_mask"]))
    audio = network.audio.layers(x["audio"])
    first, flow = shape.connected[0], None
    for i in range(first, 4):
        total = 0
        if i in shape.connected:
            aligned = sync.connection[str(i)](audio[i])
            h, w = video[i + 1].shape[3:]
            tiled = aligned[..., None, None].repeat(1, 1, 1, h, w)
            total = video[i + 1] + tiled
            if i == first and shape.first_input == "fused":
                flow_in = total
            elif i == first:
                flow_in = video[i]
            if shape.attention != "none":
                total = total + sync.attention[str(i)](video[i + 1], aligned)
        if i > first:
            flow_in = flow
        if str(i) in sync.conv:
            total = total + sync.conv[str(i)](flow_in)
        flow = total
    return flow.mean(dim=(2, 3, 4))


@pytest.mark.parametrize("connections", ["1234", "234", "34", "4", "13", "12"])
@pytest.mark.parametrize("first_input", ["fused", "video", "none"])
def test_central_connections(connections, first_input):
    network = tiny(connections=connections, first_input=first_input)
    x = batch()
    with torch.no_grad():
        expected = network.whole_head(fused_by_hand(network, x))
        torch.testing.assert_close(network(**x).whole, expected)


def test_late_fusion_adds_the_last_features():
    network, x = tiny(fusion="late"), batch()
    video = network.video(network.seen(x["video"], x["video_mask"]))
    audio = network.audio.layers(x["audio"])[-1].mean(dim=2)
    said = network(**x)
    torch.testing.assert_close(said.whole, network.whole_head(video + audio))
    torch.testing.assert_close(said.joined, video + audio)
    torch.testing.assert_close(said.video, network.video_head(video))
    torch.testing.assert_close(said.audio, network.audio_head(audio))


def test_independent_streams_have_no_whole_verdict():
    network = tiny(fusion="independent")
    assert network(**batch()).whole is None
    assert network.sync is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fusion", ["sync", "late", "independent"])
def test_gradients_reach_every_parameter(kind, fusion):
    if fusion != "sync" and kind != "none":
        return
    network = tiny(attention=kind, fusion=fusion, connection_norm=True).train()
    said = network(**batch())
    sum(x.square().sum() for x in (said.whole, said.video, said.audio) if x is not None).backward()
    missed = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert missed == []


def test_fixed_streams_do_not_change():
    torch.manual_seed(0)
    network = SyncStreamNetwork(TINY, SAMPLES, fixed=True).train()
    before = {n: v.clone() for n, v in network.state_dict().items()}
    said = network(**batch())
    (said.whole.square().sum() + said.video.square().sum()).backward()
    with torch.no_grad():
        for p in network.parameters():
            if p.grad is not None:
                p -= p.grad
    changed = {n.split(".")[0] for n, v in network.state_dict().items() if not v.equal(before[n])}
    assert changed == {"sync", "whole_head"}


@pytest.mark.parametrize("fusion", ["sync", "late", "independent"])
def test_a_missing_track_changes_nothing_in_the_other(fusion):
    network, x = tiny(fusion=fusion), batch()
    whole = network(**x)
    silent = {**x, "audio": torch.zeros_like(x["audio"]), "audio_mask": torch.zeros(3, 10).bool()}
    said = network(**silent)
    torch.testing.assert_close(said.video, whole.video)
    assert said.present.tolist() == [[True, False]] * 3
    noise = {**silent, "audio": torch.randn(3, SAMPLES)}
    for mine, other in zip(network(**noise)[:2], said[:2], strict=True):
        if mine is not None:
            torch.testing.assert_close(mine, other)
    blind = {**x, "video_mask": torch.zeros(3, 5).bool()}
    torch.testing.assert_close(network(**blind).audio, whole.audio)


def test_one_stream_alone():
    x = batch()
    audio = SyncStreamNetwork(TINY, SAMPLES, video=False).eval()
    said = audio(audio=x["audio"], audio_mask=x["audio_mask"])
    assert said.whole is None
    assert said.video is None
    assert said.audio.shape == (3, 2)
    video = SyncStreamNetwork(TINY, 0).eval()
    said = video(video=x["video"], video_mask=x["video_mask"])
    assert said.audio is None
    assert said.present.tolist() == [[True, False]] * 3


def test_empty_pictures():
    x = batch(1)
    x["video_mask"][:, 3:] = False
    network = tiny()
    seen = network.seen(x["video"], x["video_mask"])
    assert (seen[:, :, 3:] == 0).all()
    black = tiny(empty="black").seen(torch.zeros(1, 5, 16, 16, 3), x["video_mask"])
    assert float(black[0, 0, 4, 0, 0]) == pytest.approx(-0.43216 / 0.22803)
    assert tiny(pixels="unit", empty="black").seen(x["video"], x["video_mask"]).max() <= 1


def test_batch_mates_change_nothing_in_evaluation():
    network, x = tiny(), batch(4)
    alone = network(**{k: v[2:3] for k, v in x.items()})
    torch.testing.assert_close(alone.whole, network(**x).whole[2:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("connections", ["", "43", "115", "0"])
def test_connections_that_do_not_exist_are_refused(connections):
    with pytest.raises(InputError, match="connections"):
        tiny(connections=connections)


def test_too_little_audio_and_planes_that_heads_cannot_share_are_refused():
    with pytest.raises(InputError, match="too few audio samples"):
        tiny(samples=1771)
    with pytest.raises(InputError, match="heads"):
        tiny(heads=3)
