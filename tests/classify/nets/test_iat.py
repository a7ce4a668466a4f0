"""IAT against FACTS 9: sizes, lengths, and each fusion against its definition in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from classify.nets.dropout import noise_for_each, noise_for_one, softhard
from classify.nets.iat import IAT, IATShape, ReceivedAttention

FUSIONS = ["ia", "it", "lt"]
TINY = {
    "audio": 3,
    "video": 5,
    "outputs": 2,
    "heads": 2,
    "audio_widths": (4, 6, 4, 6),
    "video_widths": (4, 4, 4, 6),
}


def made(**changed) -> IAT:
    torch.manual_seed(0)
    return IAT(IATShape(**{**TINY, **changed})).double()


def clips(batch=3, audio=16, video=5, widths=(3, 5)):
    rng = torch.Generator().manual_seed(1)
    a = torch.randn(batch, audio, widths[0], generator=rng, dtype=torch.float64)
    v = torch.randn(batch, video, widths[1], generator=rng, dtype=torch.float64)
    there = torch.ones(batch, max(audio, video), dtype=torch.bool)
    return {"audio": a, "audio_mask": there[:, :audio], "video": v, "video_mask": there[:, :video]}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_lengths_and_widths_are_the_published_ones(fusion):
    net, seen = IAT(IATShape(fusion=fusion)).eval(), {}
    for modality, branch in net.branches.items():
        for i, one in enumerate([*branch.first, *branch.second]):

            def note(module, args, out, key=(modality, i)):
                seen[key] = tuple(out[0].shape[1:])

            one.register_forward_hook(note)
    batch = clips(batch=1, audio=156, video=15, widths=(10, 1024))
    out = net.float()(**{k: x.float() if x.is_floating_point() else x for k, x in batch.items()})
    assert out.shape == (1, 8)
    audio, video = ([seen[m, i] for i in range(4)] for m in ("audio", "video"))
    assert audio == [(153, 64), (150, 128), (147, 256), (144, 128)]
    assert video == [(15, 64), (15, 64), (15, 128), (15, 128)]
    assert net.head.weight.shape == (8, 256)


def test_parameters_of_the_convolutions_and_the_maps():
    def conv(a, b):
        return a * b * 3 + b + 2 * b

    net = IAT(IATShape())
    audio = conv(10, 64) + conv(64, 128) + conv(128, 256) + conv(256, 128)
    video = conv(1024, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128)
    maps = (128 * 128 + 64 * 128) + (64 * 64 + 128 * 64)
    count = sum(p.numel() for p in net.parameters())
    assert count == audio + video + maps + 256 * 8 + 8


def test_received_attention_is_the_column_sum_of_the_mean_map():
    torch.manual_seed(0)
    layer = ReceivedAttention(4, 3, heads=2).double()
    q, k = torch.randn(2, 5, 4).double(), torch.randn(2, 7, 3).double()
    got = layer(q, k, None, None).detach().numpy()
    wq, wk = (w.weight.detach().numpy() for w in (layer.to_queries, layer.to_keys))
    for i in range(2):
        a, b = q[i].numpy() @ wq.T, k[i].numpy() @ wk.T
        maps = []
        for part in (slice(0, 2), slice(2, 4)):
            e = np.exp(a[:, part] @ b[:, part].T / math.sqrt(2))
            maps.append(e / e.sum(axis=1, keepdims=True))
        np.testing.assert_allclose(got[i], np.mean(maps, axis=0).sum(axis=0), rtol=1e-12)
        assert got[i].sum() == pytest.approx(5)  # one for each query


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_fusion_is_its_definition(fusion):
    """Stages and blocks put together once more by hand."""
    net, batch = made(fusion=fusion).eval(), clips()

    def stage(modality, name, x):
        for one in net.branches[modality].get_submodule(name):
            x, _ = one(x, None)
        return x

    a, v = (stage(m, "first", batch[m]) for m in ("audio", "video"))
    if fusion == "ia":
        h_av, h_va = net.av(a, v, None, None), net.va(v, a, None, None)
        a, v = a * h_va[..., None], v * h_av[..., None]
    if fusion == "it":
        a, v = a + net.av(a, v), v + net.va(v, a)
    a, v = stage("audio", "second", a), stage("video", "second", v)
    if fusion == "lt":
        a, v = net.av(a, v), net.va(v, a)
    wanted = net.head(torch.cat([a.mean(dim=1), v.mean(dim=1)], dim=1))
    torch.testing.assert_close(net(**batch), wanted)


@pytest.mark.parametrize("options", [*({"fusion": f} for f in FUSIONS), {"video": None}])
def test_gradients_reach_every_parameter(options):
    net, batch = made(**options), clips()
    kept = {k: x for k, x in batch.items() if "video" not in options or "audio" in k}
    out = net(**kept)
    (out * torch.randn_like(out)).sum().backward()
    assert [k for k, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_in_a_batch_changes_nothing(fusion):
    net = made(fusion=fusion).eval()
    short, long = clips(batch=2), clips(batch=2, audio=21, video=9)
    for track, slots in (("audio", 16), ("video", 5)):
        long[track][:, :slots] = short[track]
        long[track][:, slots:] = 1e3
        long[f"{track}_mask"] = torch.arange(long[track].shape[1]).expand(2, -1) < slots
    torch.testing.assert_close(net(**long), net(**short), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("track", ["audio", "video"])
def test_what_stands_in_a_missing_modality_is_not_looked_at(fusion, track):
    net, batch = made(fusion=fusion).eval(), clips()
    batch[f"{track}_mask"] = torch.zeros_like(batch[f"{track}_mask"])
    out = net(**batch)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out, net(**{**batch, track: batch[track] + 5}))


# Modality dropout.


def generator():
    return torch.Generator().manual_seed(0)


def test_softhard_gives_four_kinds_of_each_sample():
    batch, target = clips(batch=50), torch.arange(50)
    batch["audio"], batch["video"] = (torch.ones_like(batch[m]) for m in ("audio", "video"))
    batch["video_mask"] = batch["video_mask"].clone()
    batch["video_mask"][7] = False
    big, targets = softhard(batch, target, generator())
    assert len(big["audio"]) == 200
    assert torch.equal(targets.sort().values, target.repeat_interleave(4))
    assert not torch.equal(targets, target.repeat(4))
    for i in range(50):
        mine = targets == i
        rows = zip(
            big["audio"][mine][:, 0, 0].tolist(),
            big["video"][mine][:, 0, 0].tolist(),
            big["audio_mask"][mine].any(dim=1).tolist(),
            strict=True,
        )
        kinds = sorted(rows)
        if i == 7:  # without its video, the audio is not taken out as well
            assert big["audio_mask"][mine].all()
            continue
        assert (0.0, 1.0, False) in kinds
        assert (1.0, 0.0, True) in kinds
        assert (1.0, 1.0, True) in kinds
        assert any(0 <= a < 0.995 and abs(a + v - 1) < 1e-6 and there for a, v, there in kinds)


def test_noise_triples_the_batch():
    batch, target = clips(batch=4), torch.arange(4)
    big, targets = noise_for_each(batch, target, generator())
    assert len(targets) == 12
    for i in range(4):
        mine = targets == i
        same = [
            tuple(bool((big[m][mine][j] == batch[m][i]).all()) for m in ("audio", "video"))
            for j in range(3)
        ]
        assert sorted(same) == [(False, True), (True, False), (True, True)]


def test_noise_for_one_takes_either_as_often_and_spares_padding():
    batch = clips(batch=2000, audio=3, video=2)
    batch["audio_mask"] = batch["audio_mask"].clone()
    batch["audio_mask"][:, 2] = False
    out = noise_for_one(batch, 0.5, generator())
    changed = {m: (out[m] != batch[m]).flatten(1).any(dim=1) for m in ("audio", "video")}
    assert not (changed["audio"] & changed["video"]).any()
    for m in changed:
        assert 0.2 < changed[m].double().mean() < 0.3
    assert torch.equal(out["audio"][:, 2], batch["audio"][:, 2])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_half_precision_runs_and_stays_near(fusion):
    net = made(fusion=fusion).float().train()
    batch = {k: x.float() if x.is_floating_point() else x.clone() for k, x in clips().items()}
    batch["audio_mask"][0, 14:] = False
    batch["video_mask"][1] = False
    wanted = net(**batch)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(**batch)
    out.float().sum().backward()
    torch.testing.assert_close(out.float(), wanted, atol=0.1, rtol=0.1)
