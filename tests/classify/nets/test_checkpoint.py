"""Weight files: read without running them, renamed, checked tensor by tensor."""

from __future__ import annotations

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from avfd.errors import InputError, MissingError
from classify.nets.avt2dwf_encoder import ClassTransformer
from classify.nets.avt2dwf_options import TransformerShape
from classify.nets.avt2dwf_weights import load_encoder
from classify.nets.checkpoint import read_tensors

SHAPE = TransformerShape(width=8, depth=2, heads=2, head_dim=3, feed_forward=5)


def encoder(seed: int) -> ClassTransformer:
    torch.manual_seed(seed)
    return ClassTransformer(5, 7, SHAPE).eval()


def published(module: ClassTransformer) -> dict[str, torch.Tensor]:
    """Its tensors under the names of FACTS.md, 10.1."""
    b, t = r"blocks\.(\d+)\.", r"transformer.layers.\1."
    rules = [
        ("embedding.norm", "to_patch_embedding.1"),
        ("embedding.linear", "to_patch_embedding.2"),
        ("embedding.after", "to_patch_embedding.3"),
        (b + "attention.norm", t + "0.norm"),
        (b + "attention.qkv", t + "0.to_qkv"),
        (b + "attention.out", t + "0.to_out.0"),
        (b + "feed_forward.norm", t + "1.net.0"),
        (b + "feed_forward.up", t + "1.net.1"),
        (b + "feed_forward.down", t + "1.net.4"),
        ("^norm", "transformer.norm"),
        ("positions", "pos_embedding"),
        ("class_token", "cls_token"),
    ]
    out = {}
    for name, value in module.state_dict().items():
        (theirs,) = [re.sub(a, b, name) for a, b in rules if re.search(a, name)]
        out[theirs] = value
    return {**out, "mlp_head.weight": torch.zeros(2, 8), "mlp_head.bias": torch.zeros(2)}


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_an_encoder_is_loaded_by_its_published_names(tmp_path, suffix):
    source, target, path = encoder(0), encoder(1), tmp_path / f"face.{suffix}"
    state = published(source)
    save_file(state, path) if suffix == "safetensors" else torch.save({"state_dict": state}, path)
    load_encoder(target, read_tensors(path), path, "video")
    tokens, valid = torch.randn(2, 5, 7), torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(target(tokens, valid), source(tokens, valid))


def test_an_encoder_is_loaded_from_a_model_of_ours(tmp_path):
    source, target = encoder(0), encoder(1)
    ours = {f"block.audio.encoder.{k}": v for k, v in source.state_dict().items()}
    load_encoder(target, {**ours, "block.head.weight": torch.zeros(2, 8)}, tmp_path, "audio")
    assert torch.equal(target.positions, source.positions)


def test_a_tensor_that_is_missing_or_of_another_shape_is_named(tmp_path):
    state = published(encoder(0))
    del state["cls_token"]
    state["pos_embedding"] = state["pos_embedding"][:, :-1]
    with pytest.raises(InputError, match=r"lacks class_token.*positions \(1, 5, 8\) instead of"):
        load_encoder(encoder(1), state, tmp_path / "face.pt", "video")


class Evil:
    """A pickle that would run code."""

    def __reduce__(self):
        return (print, ("run",))


def test_nothing_in_a_file_is_run(tmp_path, capsys):
    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("evil.pt", "plain.pkl"):
        with pytest.raises(InputError, match="read safely"):
            read_tensors(tmp_path / name)
    assert capsys.readouterr().out == ""


def test_no_file_and_no_tensors_are_said(tmp_path):
    with pytest.raises(MissingError, match="no such weight file"):
        read_tensors(tmp_path / "nothing.pt")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(InputError, match="no tensors"):
        read_tensors(tmp_path / "empty.pt")
