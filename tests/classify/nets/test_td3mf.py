"""2D3MF against FACTS 8: sizes, lengths, and each fusion against its equation in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from classify.nets.fronts import MFCCFront
from classify.nets.masked import ConvBlock
from classify.nets.td3mf import TD3MF, MiddleFusion, TD3MFShape

EAT = TD3MFShape(audio=(768,), video=768, hidden=64)
TINY = {"audio": (6,), "video": 5, "hidden": 4, "heads": 2, "audio_stage": 3, "video_stage": 3}
FUSIONS = ["default", "audio-reuse", "video-reuse", "self", "multi", "self-cross"]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def made(**changed) -> TD3MF:
    torch.manual_seed(0)
    return TD3MF(TD3MFShape(**{**TINY, **changed})).double()


def clips(batch=3, audio=9, video=4, shape=(6,), width=5):
    rng = torch.Generator().manual_seed(1)

    def some(*size):
        return torch.randn(*size, generator=rng, dtype=torch.float64)

    everywhere = torch.ones(batch, max(audio, video), dtype=torch.bool)
    return {
        "audio": some(batch, audio, *shape),
        "audio_mask": everywhere[:, :audio],
        "video": some(batch, video, width),
        "video_mask": everywhere[:, :video],
    }


# The attention block and the fusions, written down once more from FACTS 8.4 and 8.5, in numpy.


def norm(x, p, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def block(p, queries, keys, heads=2, scale_width=None, residual=False):
    """y = attention without a residual; y + MLP(norm(y)); for one sample [slots, width]."""
    q = norm(queries, p, "norm_queries") @ p["to_queries.weight"].T
    k, v = np.split(norm(keys, p, "norm_keys") @ p["to_keys_values.weight"].T, 2, axis=1)
    width = queries.shape[1] // heads
    out = []
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        products = q[:, part] @ k[:, part].T / math.sqrt(scale_width or width)
        weights = np.exp(products) / np.exp(products).sum(axis=1, keepdims=True)
        out.append(weights @ v[:, part])
    y = np.concatenate(out, axis=1) @ p["join.weight"].T + p["join.bias"]
    y = y + queries if residual else y
    inner = norm(y, p, "norm") @ p["mlp.0.weight"].T + p["mlp.0.bias"]
    gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    return y + gelu @ p["mlp.2.weight"].T + p["mlp.2.bias"]


def transcribed(kind, t, a, v):
    """Streams after the fusion; `t[name](queries, keys)` are the blocks."""
    if kind == "default":
        return t["av1"](a, v) + a, t["va1"](v, a) + v
    if kind == "audio-reuse":
        h_va = t["va1"](v, a)
        h_av = t["av1"](a, v + h_va)
        return h_av + a, h_va + v
    if kind == "video-reuse":
        h_av = t["av1"](a, v)
        h_va = t["va1"](v, a + h_av)
        return h_av + a, h_va + v
    if kind == "self":
        return t["aa"](a, a) + a, t["vv"](v, v) + v
    if kind == "multi":
        a1, v1 = t["av1"](a, v) + a, t["va1"](v, a) + v
        return t["av2"](a1, v1) + a1, t["va2"](v1, a1) + v1
    a1, v1 = t["aa"](a, a) + a, t["vv"](v, v) + v
    return t["av1"](a1, v1) + a1, t["va1"](v1, a1) + v1


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("scale", ["head", "video"])
@pytest.mark.parametrize("residual", [False, True])
def test_a_fusion_is_its_equation(kind, scale, residual):
    shape = TD3MFShape(**TINY, fusion=kind, attention_scale=scale, residual_attention=residual)
    torch.manual_seed(0)
    fusion = MiddleFusion(shape, 6).double()
    a, v = torch.randn(2, 9, 6).double(), torch.randn(2, 4, 4).double()
    heard, seen = fusion(a, v, None, None)

    def look(name):
        state = {k: x.numpy() for k, x in fusion.blocks[name].state_dict().items()}
        width = 4 if scale == "video" else None
        return lambda q, k: block(state, q, k, scale_width=width, residual=residual)

    blocks = {name: look(name) for name in fusion.blocks}
    for i in range(2):
        one, other = transcribed(kind, blocks, a[i].numpy(), v[i].numpy())
        np.testing.assert_allclose(heard[i].detach().numpy(), one, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(seen[i].detach().numpy(), other, rtol=1e-10, atol=1e-12)


def test_the_sizes_of_the_shipped_configuration():
    net = TD3MF(EAT)
    shapes = {k: tuple(x.shape) for k, x in net.state_dict().items()}
    assert shapes["project_down.weight"] == (64, 768)
    assert shapes["fusion.blocks.av1.to_queries.weight"] == (768, 768)
    assert shapes["fusion.blocks.av1.to_keys_values.weight"] == (1536, 64)
    assert shapes["fusion.blocks.va1.to_queries.weight"] == (64, 64)
    assert shapes["fusion.blocks.va1.to_keys_values.weight"] == (128, 768)
    assert shapes["head.weight"] == (1, 832)  # A + H; the released 2H does not run
    av = 2 * 768 + 2 * 64 + 768 * 768 + 1536 * 64 + (768 * 768 + 768) + 2 * 768
    av += (768 * 1536 + 1536) + (1536 * 768 + 768)
    va = 2 * 64 + 2 * 768 + 64 * 64 + 128 * 768 + (64 * 64 + 64) + 2 * 64
    va += (64 * 128 + 128) + (128 * 64 + 64)
    assert count(net.fusion.blocks["av1"]) == av
    assert count(net.fusion.blocks["va1"]) == va
    video = (64 * 128 * 3 + 128 + 2 * 128) + (128 * 64 * 3 + 64 + 2 * 64)
    audio = (768 * 256 * 3 + 256 + 2 * 256) + (256 * 768 * 3 + 768 + 2 * 768)
    assert count(net) == (768 * 64 + 64) + av + va + video + audio + 832 + 1


@pytest.mark.parametrize("kind", FUSIONS)
def test_only_the_blocks_of_a_fusion_exist(kind):
    wanted = {"self": {"aa", "vv"}, "multi": {"av1", "va1", "av2", "va2"}}
    wanted["self-cross"] = {"aa", "vv", "av1", "va1"}
    assert set(made(fusion=kind).fusion.blocks) == wanted.get(kind, {"av1", "va1"})


@pytest.mark.parametrize(("slots", "left"), [(10, 4), (512, 506), (7, 1)])
def test_the_second_stage_shortens_the_audio_and_not_the_video(slots, left):
    lengths = {}

    def note(name):
        return lambda module, args, out: lengths.update({name: out[0].shape[1]})

    net = made().eval()
    net.audio_stage[-1].register_forward_hook(note("audio"))
    net.video_stage[-1].register_forward_hook(note("video"))
    net(**clips(audio=slots, video=10))
    assert lengths == {"audio": left, "video": 10}


def test_the_mfcc_front_shortens_a_second_as_published():
    front, lengths = MFCCFront(hidden=8, stage=16).eval(), []
    for one in front.blocks:
        one.register_forward_hook(lambda module, args, out: lengths.append(out[0].shape[1]))
    stream, _ = front(torch.randn(2, 3, 10, 87), None)
    assert lengths == [84, 81, 78, 75]
    assert stream.shape == (2, 3, 8)
    assert [b.conv.weight.shape[:2] for b in front.blocks] == [(64, 10), (8, 64), (16, 8), (8, 16)]


@pytest.mark.parametrize(
    "options",
    [
        *({"fusion": kind} for kind in FUSIONS),
        {"late": True},
        {"positions": True},
        {"front": "mfcc", "audio": (10, 16)},
        {"front": "mfcc", "audio": (10, 16), "share_mfcc_convs": True},
        {"front": "strided"},
        {"front": "xvector"},
        {"audio_width": 8},
        {"outputs": 8},
    ],
)
def test_gradients_reach_every_parameter(options):
    net = made(**options)
    shape = options.get("audio", (6,))
    out = net(**clips(audio=25, shape=shape))
    assert out.shape == (3, options.get("outputs", 1))
    (out * torch.randn_like(out)).sum().backward()
    # Batch norm takes a bias in front of it off again: its gradient is rounding alone, or nothing.
    cancelled = {f"{n}.conv.bias" for n, m in net.named_modules() if isinstance(m, ConvBlock)}
    reached = {k for k, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    lost = sorted({k for k, _ in net.named_parameters()} - reached - cancelled)
    assert lost == []


def test_late_fusion_has_no_second_stage():
    assert count(made()) - count(made(late=True)) == sum(
        count(stage) for stage in (made().audio_stage, made().video_stage)
    )


def test_sharing_the_mfcc_convolutions_saves_them():
    own, shared = (
        made(front="mfcc", audio=(10, 16), share_mfcc_convs=share) for share in (False, True)
    )
    assert count(own) - count(shared) == count(own.audio_stage)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("front", ["none", "mfcc"])
def test_padding_in_a_batch_changes_nothing(fusion, front):
    shape = (10, 16) if front == "mfcc" else (6,)
    net = made(fusion=fusion, front=front, audio=shape).eval()
    short = clips(batch=2, audio=9, video=4, shape=shape)
    long = clips(batch=2, audio=12, video=7, shape=shape)
    for track, slots in (("audio", 9), ("video", 4)):
        long[track][:, :slots] = short[track]
        long[track][:, slots:] = 1e3
        long[f"{track}_mask"] = torch.arange(long[track].shape[1]).expand(2, -1) < slots
    torch.testing.assert_close(net(**long), net(**short), rtol=1e-10, atol=1e-12)


def test_training_statistics_come_from_valid_slots_alone():
    nets = [made().train() for _ in range(2)]
    short = clips(batch=2, audio=9, video=4)
    long = clips(batch=2, audio=12, video=7)
    for track, slots in (("audio", 9), ("video", 4)):
        long[track][:, :slots] = short[track]
        long[f"{track}_mask"] = torch.arange(long[track].shape[1]).expand(2, -1) < slots
    outs = [net(**batch) for net, batch in zip(nets, (short, long), strict=True)]
    torch.testing.assert_close(*outs, rtol=1e-10, atol=1e-12)
    for (name, one), other in zip(nets[0].named_buffers(), nets[1].buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_missing_modality_gives_a_finite_score_that_its_zeros_do_not_decide(fusion):
    net = made(fusion=fusion).eval()
    batch = clips()
    for track in ("audio", "video"):
        lacking = {**batch, f"{track}_mask": torch.zeros_like(batch[f"{track}_mask"])}
        other = {**lacking, track: lacking[track] + 5}
        assert torch.isfinite(net(**lacking)).all()
        torch.testing.assert_close(net(**lacking), net(**other))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("front", ["none", "mfcc"])
def test_half_precision_runs_and_stays_near(fusion, front):
    shape = (10, 16) if front == "mfcc" else (6,)
    net = made(fusion=fusion, front=front, audio=shape).float().train()
    batch = clips(shape=shape)
    batch = {k: x.float() if x.is_floating_point() else x.clone() for k, x in batch.items()}
    batch["audio_mask"][0, 7:] = False
    batch["video_mask"][1] = False
    wanted = net(**batch)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(**batch)
    out.float().sum().backward()
    torch.testing.assert_close(out.float(), wanted, atol=0.1, rtol=0.1)
