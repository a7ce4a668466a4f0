"""What others call the networks here: the names of published files and pages → ours."""

from __future__ import annotations

from collections.abc import Sequence

from avfd.asks import did_you_mean

PUBLISHED = {
    "emotion2vec-base": "emotion2vec",
    "eat-base": "eat",
    "eat-base-epoch30-pretrain": "eat",
    "eat-base-epoch30-finetune-as2m": "eat-finetuned",
    "eat-base-finetuned": "eat-finetuned",
    "eat-large-epoch20-pretrain": "eat-large",
    "eat-large-epoch20-finetune-as2m": "eat-large-finetuned",
    "marlin": "marlin-base",
    "marlin-vit-small-ytf": "marlin-small",
    "marlin-vit-base-ytf": "marlin-base",
    "marlin-vit-large-ytf": "marlin-large",
    "spkrec-xvect-voxceleb": "xvector",
    "x-vector": "xvector",
    "xvect": "xvector",
}
"""In small letters, words joined by hyphens; a maker's name before a slash is left out."""


def meant(name: str, known: Sequence[str]) -> str | None:
    """The known name that is meant by it, as a next step: ours of a published one, else the most
    alike; None where none is.

    >>> meant("emotion2vec/emotion2vec_base", ["emotion2vec", "emotion2vec-plus-base"])
    'did you mean emotion2vec?'
    """
    plain = name.rpartition("/")[2].lower().replace("_", "-")
    ours = PUBLISHED.get(plain)
    return f"did you mean {ours}?" if ours in known else did_you_mean(name, known)
