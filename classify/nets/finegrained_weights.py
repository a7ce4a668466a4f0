"""The fine-grained detector from its authors' weight file (FACTS.md, 11.6).

The file has two things that the network here has not, because they cannot change its output: biases
of convolutions before a batch norm, which are taken off the norm's running mean, and the bias of
the visual embedding, which the softmax over places takes away. Its visual batch norms have no
running statistics; with `batch_norm=running` they are learnt in training.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from classify.nets.checkpoint import put_into, read_tensors, renamed
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


def load_published(network: FineGrained, path: Path) -> None:
    """Load the file; the embeddings, which it always has, are left out where nothing attends."""
    tensors = without_biases(renamed(read_tensors(path), RULES))
    if network.embed_visual is None:
        tensors = {k: v for k, v in tensors.items() if not k.startswith("embed_")}
    put_into(network, tensors, path)


def without_biases(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function without the biases of convolutions before a batch norm."""
    out = dict(tensors)
    for convolution, norm in NORMED.items():
        bias = out.pop(f"{convolution}.bias", None)
        if bias is not None and f"{norm}.running_mean" in out:
            out[f"{norm}.running_mean"] = out[f"{norm}.running_mean"] - bias
    return out
