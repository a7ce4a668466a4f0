"""The card that a trained model file carries in itself, so that a copy of it alone keeps it.

It stands in the metadata of the safetensors file: what the network is, which clips trained it and
on what columns. Scores and versions stand on the card beside it only, so that the same training
makes the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "avfd_card"
BESIDE = ("file", "scores", "versions")
"""What only the card beside the file says."""
MAX_BYTES = 64 << 20
"""Of a card in a file: safetensors reads no header above 100 MB."""


def carried(card: Mapping[str, Any]) -> dict[str, str] | None:
    """The metadata with which a model file carries its card; None where it is too large for one."""
    own = {name: value for name, value in card.items() if name not in BESIDE}
    text = json.dumps(own, ensure_ascii=False, sort_keys=True)
    return {KEY: text} if len(text.encode()) <= MAX_BYTES else None


def card_in(path: Path) -> dict[str, Any]:
    """The card that a safetensors file carries; {} where it carries none, or is no such file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if 0 < size <= 2 * MAX_BYTES else {}
        found = json.loads(header.get("__metadata__", {}).get(KEY, "{}"))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
