"""What a run must remember of the software and columns it used."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from classify.data import Opened

PACKAGES = (
    "avfd",
    "numpy",
    "pandas",
    "pyarrow",
    "zarr",
    "icechunk",
    "scikit-learn",
    "lightgbm",
    "torch",
    "skorch",
    "optuna",
    "skops",
    "safetensors",
)


def versions() -> dict[str, str]:
    """Python's and every library's version that decides numbers here; absent ones left out."""
    from avfd import __version__

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "avfd": __version__}


def columns_facts(columns: Mapping[str, str], opened: Opened) -> dict[str, dict[str, Any]]:
    """Key → what the cache knows of its column."""
    facts = {}
    for key, name in columns.items():
        column = opened.column(name)
        facts[key] = {
            "name": name,
            "fingerprint": column.fingerprint,
            "spec": column.spec_facts["spec"],
            "licence": column.spec_facts.get("licence", ""),
            "source": column.spec_facts.get("source", ""),
            "research_only": is_research_only(column.spec_facts),
            "weights": column.spec_facts.get("weights", {}),
        }
    return facts


def is_research_only(spec_facts: Mapping[str, Any]) -> bool:
    """Whether the licence of the backbone that wrote a column forbids commercial use."""
    licence = str(spec_facts.get("licence", "")).lower()
    return any(word in licence for word in ("research", "non-commercial", "noncommercial", "-nc"))


def restricted_notes(columns: Mapping[str, str], opened: Opened) -> list[str]:
    """A sentence for each column that may not be used commercially."""
    facts = {name: opened.column(name).spec_facts for name in columns.values()}
    return [
        f"{name} is for research only: {spec_facts['licence']}."
        for name, spec_facts in facts.items()
        if is_research_only(spec_facts)
    ]


_ORIGINS = {
    "unverified": "no digest of the published file is known to compare with",
    "other": "they are not the published file",
    "of no run": "nothing says that a run of avfd fit made them, so what they know is unknown",
    "for tests": "nobody publishes such weights, so its numbers mean nothing",
}


def weights_notes(columns: Mapping[str, str], opened: Opened) -> list[str]:
    """A sentence for each model file that is not known to be the published one."""
    notes = []
    for name in columns.values():
        for weights, facts in opened.column(name).spec_facts.get("weights", {}).items():
            if why := _ORIGINS.get(facts["origin"]):
                file = f"weights {weights} of sha256 {facts['sha256'][:12]}…"
                notes.append(f"{name} was made with {file}: {why}.")
    return notes
