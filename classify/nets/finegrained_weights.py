"""The fine-grained detector from its authors' weights (FACTS.md, 11.6), or from a model of ours.

The authors' file has two things that the network here has not, because they cannot change its
output: biases of convolutions before a batch norm, which are taken off the norm's running mean, and
the bias of the visual embedding, which the softmax over places takes away. Its visual batch norms
have no running statistics; with `batch_norm=running` they are learnt in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from classify.nets.checkpoint import below, put_into, renamed
from classify.nets.finegrained import FineGrained

RULES = (
    (r"netcnnaud\.netcnnaud_layer1\.", "audio.layer1."),
    (r"netcnnaud\.netcnnaud_layer2\.", "audio.layer2."),
    (r"(?:netcnnaud\.)?netcnnaud_to_vis\.", "audio.to_visual."),
    (r"netcnnlip\.", "visual."),
    (r"img_emb_layer\.(?!bias)", "embed_visual."),
    (r"aud_emb_layer\.", "embed_audio."),
    (r"final_fc\.0\.", "head."),
)
NORMED = {  # convolution → the batch norm after it
    "audio.layer1.0": "audio.layer1.1",
    "audio.layer2.1": "audio.layer2.2",
    "audio.layer2.4": "audio.layer2.5",
    "audio.to_visual.0": "audio.to_visual.1",
}


def load_detector(network: FineGrained, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load the whole network.

    Args:
        network: what is loaded.
        tensors: of the authors' network, or of one of our models. The embeddings, which the
            authors' file always has, are left out where nothing attends.
        where: they came from, for errors.
    """
    found = below("block.", tensors) or without_biases(renamed(tensors, RULES))
    if network.embed_visual is None:
        found = {k: v for k, v in found.items() if not k.startswith("embed_")}
    put_into(network, found, where)


def without_biases(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function without the biases of convolutions before a batch norm."""
    out = dict(tensors)
    for convolution, norm in NORMED.items():
        bias = out.pop(f"{convolution}.bias", None)
        if bias is not None and f"{norm}.running_mean" in out:
            out[f"{norm}.running_mean"] = out[f"{norm}.running_mean"] - bias
    return out
