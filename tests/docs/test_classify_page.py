"""docs/classify.md: the order of preference among columns is the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from classify.choice import PREFERENCE

PAGE = (Path(__file__).parents[2] / "docs/classify.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("modality", PREFERENCE)
def test_the_order_of_preference_is_the_codes(modality: str) -> None:
    fusion = PAGE.split("## Fusion\n")[1].split("\n## ")[0]
    told = re.search(rf"\b{modality}: ((?:`[^`]+`[,\s]*)+)", fusion, re.IGNORECASE)
    assert told is not None
    assert tuple(re.findall(r"`([^`]+)`", told[1])) == PREFERENCE[modality]
