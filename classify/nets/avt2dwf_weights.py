"""AVT2-DWF's encoders from weights with the names of its authors' code, or of a model of ours.

No file of the authors is published yet; the names are those of the code (FACTS.md, 10.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from classify.nets.avt2dwf_encoder import ClassTransformer
from classify.nets.checkpoint import below, put_into, renamed

_LAYER = r"transformer\.layers\.(\d+)\."
RULES = (
    (r"to_patch_embedding\.1\.", "embedding.norm."),
    (r"to_patch_embedding\.2\.", "embedding.linear."),
    (r"to_patch_embedding\.3\.", "embedding.after."),
    (r"pos_embedding$", "positions"),
    (r"cls_token$", "class_token"),
    (r"transformer\.norm\.", "norm."),
    (_LAYER + r"0\.norm\.", r"blocks.\1.attention.norm."),
    (_LAYER + r"0\.to_qkv\.", r"blocks.\1.attention.qkv."),
    (_LAYER + r"0\.to_out\.0\.", r"blocks.\1.attention.out."),
    (_LAYER + r"1\.net\.0\.", r"blocks.\1.feed_forward.norm."),
    (_LAYER + r"1\.net\.1\.", r"blocks.\1.feed_forward.up."),
    (_LAYER + r"1\.net\.4\.", r"blocks.\1.feed_forward.down."),
)


def load_encoder(
    encoder: ClassTransformer, tensors: Mapping[str, Tensor], where: Path, modality: str
) -> None:
    """Load one encoder; the file's own head, which nothing uses, is left out.

    Args:
        encoder: what is loaded.
        tensors: of the authors' encoder, or of one of our models that has this modality.
        where: they came from, for errors.
        modality: "video" or "audio".
    """
    ours = below(f"block.{modality}.encoder.", tensors)
    put_into(encoder, ours or renamed(tensors, RULES), where)
