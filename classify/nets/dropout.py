"""Modality dropout: what training does to whole tracks (2D3MF, IAT)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

Batch = dict[str, Tensor]


def noise_for_one(batch: Batch, probability: float, generator: Generator) -> Batch:
    """Some samples with either their audio or their video, a fair coin, made noise (2D3MF).

    Masks stay, so noise stands where values stood. A modality that is missing stays missing.
    """
    size, device = len(batch["audio"]), batch["audio"].device
    hit = torch.rand(size, generator=generator, device=device) < probability
    heads = torch.rand(size, generator=generator, device=device) < 0.5
    return {
        **batch,
        "audio": noised(batch["audio"], batch["audio_mask"], hit & heads, generator),
        "video": noised(batch["video"], batch["video_mask"], hit & ~heads, generator),
    }


def noised(x: Tensor, mask: Tensor, which: Tensor, generator: Generator) -> Tensor:
    """`x` [batch, slots, …] with standard normal noise in the valid slots of these samples."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    places = (mask & which[:, None]).reshape(*mask.shape, *[1] * (x.ndim - 2))
    return torch.where(places, noise, x)


def softhard(batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
    """Four batches in one, shuffled (IAT): as it is, faded, without audio, without video.

    Faded: audio times c, video times 1 - c, c drawn from 0.00, 0.01, …, 0.99 for each sample.
    Without: its values are 0 and its mask False, as of a clip that lacks it; where the other one
    is missing too the sample stays as it is.
    """
    audio, video = batch["audio"], batch["video"]
    c = torch.randint(100, (len(audio),), generator=generator, device=audio.device) / 100
    faded = {**batch, "audio": _times(audio, c), "video": _times(video, 1 - c)}
    variants = [batch, faded, _without(batch, "audio"), _without(batch, "video")]
    return _shuffled(variants, target, generator)


def noise_for_each(batch: Batch, target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
    """Three batches in one, shuffled (IAT): as it is, audio made noise, video made noise."""
    every = torch.ones(len(target), dtype=torch.bool, device=target.device)
    variants = [batch]
    for modality in ("audio", "video"):
        noise = noised(batch[modality], batch[f"{modality}_mask"], every, generator)
        variants.append({**batch, modality: noise})
    return _shuffled(variants, target, generator)


def _times(x: Tensor, factor: Tensor) -> Tensor:
    return x * factor.reshape(-1, *[1] * (x.ndim - 1)).to(x.dtype)


def _without(batch: Batch, modality: str) -> Batch:
    other = "video" if modality == "audio" else "audio"
    stays = ~batch[f"{other}_mask"].any(dim=1)
    mask = batch[f"{modality}_mask"] & stays[:, None]
    return {**batch, modality: _times(batch[modality], stays), f"{modality}_mask": mask}


def _shuffled(variants: list[Batch], target: Tensor, generator: Generator) -> tuple[Batch, Tensor]:
    order = torch.randperm(len(variants) * len(target), generator=generator, device=target.device)
    joined = {name: torch.cat([v[name] for v in variants])[order] for name in variants[0]}
    return joined, torch.cat([target] * len(variants))[order]
