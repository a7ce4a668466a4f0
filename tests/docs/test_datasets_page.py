"""docs/datasets.md names every layout, protocol and default that the manifests have."""

from __future__ import annotations

from pathlib import Path

import pytest

from avfd.manifest import load, names

PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
PROTOCOLS = PAGE.partition("## Protocols")[2]


@pytest.mark.parametrize("name", names())
def test_layout_protocols_and_default_are_named(name):
    assert f"| `{name}` |" in PAGE
    (row,) = [
        line for line in PROTOCOLS.splitlines() if line.startswith("|") and f"`{name}`" in line
    ]
    layouts, protocols, default = row.strip("|").split("|")
    assert f"`{load(name).default_protocol}`" in default
    for protocol in load(name).protocols:
        stem = protocol.removesuffix("-any")
        assert protocol == "hash" or f"`{stem}`" in protocols, layouts
