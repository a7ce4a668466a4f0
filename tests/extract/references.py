"""Independent implementations of networks, to hold ours against.

`conftest.py` hands the module out as the fixture `references`.
"""

from __future__ import annotations

import importlib
import math
import warnings
from types import SimpleNamespace

import numpy as np
import torch
from scipy.special import erf
from torchaudio.compliance.kaldi import fbank

from extract.nets._funasr import _bare
from extract.nets.emotion2vec_settings import LABELS


def eat_picture(sound, target_length=1024, mean=-4.268, std=4.569):
    """The authors' feature_extract.py, step by step (FACTS.md 1.1)."""
    waveform = torch.from_numpy(sound.copy())
    waveform = waveform - waveform.mean()
    mel = fbank(
        waveform[None],
        htk_compat=True,
        sample_frequency=16_000,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    missing = target_length - len(mel)
    mel = torch.nn.functional.pad(mel, (0, 0, 0, missing)) if missing > 0 else mel[:target_length]
    return (mel - mean) / (std * 2)


def _norm(x, weights, name):
    """Layer norm over the last axis, eps 1e-6."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _attention(x, weights, name, heads):
    """[tokens, dim]: one head after the other, the query scaled before the product."""
    q, k, v = np.split(_linear(x, weights, f"{name}.qkv"), 3, axis=1)
    size = x.shape[1] // heads
    found = []
    for h in range(heads):
        own = slice(h * size, (h + 1) * size)
        scores = (q[:, own] * size**-0.5) @ k[:, own].T
        powers = np.exp(scores - scores.max(1, keepdims=True))
        found.append(powers / powers.sum(1, keepdims=True) @ v[:, own])
    return _linear(np.concatenate(found, 1), weights, f"{name}.proj")


def eat_tokens(weights, picture, settings):
    """Tokens of one picture [frames, 128], step by step as FACTS.md 1.2 lists them."""
    kernel = weights["local_encoder.proj.weight"][:, 0]
    steps = len(picture) // 16
    tokens = [
        np.einsum("dij,ij->d", kernel, picture[16 * t : 16 * t + 16, 16 * f : 16 * f + 16])
        for t in range(steps)
        for f in range(8)
    ]
    x = np.array(tokens) + weights["local_encoder.proj.bias"]
    x = x + weights["fixed_positional_encoder.positions"][0, : len(x)]
    x = np.concatenate([weights["extra_tokens"][0], x])
    x = _norm(x, weights, "pre_norm")
    for i in range(settings.depth):
        x = x + _attention(x, weights, f"blocks.{i}.attn", settings.heads)
        r = _norm(x, weights, f"blocks.{i}.norm1")
        inner = _linear(r, weights, f"blocks.{i}.mlp.fc1")
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        x = _norm(r + _linear(inner, weights, f"blocks.{i}.mlp.fc2"), weights, f"blocks.{i}.norm2")
    return x


def _settings(settings):
    """The template of the published models (FACTS.md 2.6) with other widths."""
    n = settings.channels
    audio = {
        "type": "AUDIO",
        "prenet_depth": settings.prenet,
        "prenet_layerdrop": 0.05,
        "prenet_dropout": 0.1,
        "start_drop_path_rate": 0,
        "end_drop_path_rate": 0,
        "num_extra_tokens": 10,
        "init_extra_token_zero": True,
        "mask_noise_std": 0.01,
        "local_grad_mult": 1.0,
        "use_alibi_encoder": True,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": settings.heads,
        "model_depth": settings.depth,
        "decoder": None,
        "extractor_mode": "layer_norm",
        "feature_encoder_spec": f"[({n}, 10, 5)] + [({n}, 3, 2)] * 4 + [({n}, 2, 2)] * 2",
        "conv_pos_width": 95,
        "conv_pos_groups": 16,
        "conv_pos_depth": 5,
        "conv_pos_pre_ln": False,
    }
    return {
        "depth": settings.depth,
        "embed_dim": settings.dim,
        "num_heads": settings.heads,
        "mlp_ratio": 4,
        "norm_eps": 1e-5,
        "norm_affine": True,
        "encoder_dropout": 0.1,
        "post_mlp_drop": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.05,
        "start_drop_path_rate": 0,
        "end_drop_path_rate": 0,
        "layer_norm_first": False,
        "average_top_k_layers": 8,
        "end_of_block_targets": False,
        "clone_batch": 8,
        "loss_beta": 0,
        "loss_scale": None,
        "normalize": True,
        "modalities": {"audio": audio},
    }


def funasr_emotion2vec(file, tensors):
    """funasr's `Emotion2vec` with these tensors."""
    s = file.settings
    with warnings.catch_warnings(), _bare("funasr"):
        warnings.simplefilter("ignore")
        module = importlib.import_module("funasr.models.emotion2vec.model")
        model = module.Emotion2vec(model_conf=_settings(s), vocab_size=s.classes or -1).eval()
    model.load_state_dict(tensors, strict=True)
    return model


def funasr_answers(model, sound, granularity):
    """What funasr's `generate` gives for one clip: features, and scores where it has a head."""
    tokenizer = SimpleNamespace(token_list=list(LABELS)) if model.proj else None
    with torch.no_grad():
        results, _ = model.inference(
            [torch.from_numpy(sound.copy())],
            key=["clip"],
            tokenizer=tokenizer,
            granularity=granularity,
            device="cpu",
        )
    return results[0]["feats"], results[0]["scores"]
