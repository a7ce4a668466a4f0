"""AVT2-DWF's encoders from weight files with the names of its authors' code (FACTS.md, 10.1).

No such file is published yet; the names are those of the code.
"""

from __future__ import annotations

from pathlib import Path

from classify.nets.avt2dwf_encoder import ClassTransformer
from classify.nets.checkpoint import put_into, read_tensors, renamed

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


def load_encoder(encoder: ClassTransformer, path: Path) -> None:
    """Load one encoder; the file's own head, which nothing uses, is left out."""
    put_into(encoder, renamed(read_tensors(path), RULES), path)
