"""In what two columns differ that should have been made alike: settings or model files, by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from avfd.errors import FingerprintError
from avfd.specs import PROSE, BackboneSpec

_AT_MOST = 6
_ABSENT = "none"


def facts_of(spec: BackboneSpec, fingerprint: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a column of this spec has beside it, as JSON values."""
    facts = {**attributes, "spec": asdict(spec), "fingerprint": fingerprint}
    decoded: dict[str, Any] = json.loads(json.dumps(facts))
    return decoded


def check_alike(
    message: str,
    where: str,
    found: Mapping[str, Any],
    accepted: Mapping[str, Any],
    next_step: str,
) -> None:
    """Refuse a column whose fingerprint is not the one that is needed, and say in what it differs.

    Args:
        message, where, next_step: of the error.
        found, accepted: facts beside the column and of the one that was expected: its
            "fingerprint", "spec" and "weights", the latter two where they are known.

    Raises:
        FingerprintError: the fingerprints differ.
    """
    if found["fingerprint"] == accepted["fingerprint"]:
        return
    here, there = told_apart(found, accepted)
    raise FingerprintError(
        message,
        where=where,
        found=here or found["fingerprint"],
        accepted=there or accepted["fingerprint"],
        next_step=next_step,
    )


def told_apart(found: Mapping[str, Any], accepted: Mapping[str, Any]) -> tuple[str, str]:
    """Every setting and model file that is not the same: how it is found, and as accepted.

    Both texts are empty where all that is noted agrees: the fingerprint also holds what made the
    column that a backbone reads, and what the cards of model files say of their network.

    >>> one = {"spec": {"rate_hz": 10, "faces": {"size_px": 224}}, "weights": {}}
    >>> other = {"spec": {"rate_hz": 10, "faces": {"size_px": 112}}, "weights": {}}
    >>> told_apart(one, other)
    ('faces.size_px 224', 'faces.size_px 112')
    """
    here, there = dict(_leaves(found)), dict(_leaves(accepted))
    differing = [
        name
        for name in dict.fromkeys((*here, *there))
        if here.get(name, _ABSENT) != there.get(name, _ABSENT)
    ]
    return _listed(here, differing), _listed(there, differing)


def _listed(leaves: Mapping[str, str], names: list[str]) -> str:
    said = [f"{name} {leaves.get(name, _ABSENT)}" for name in names[:_AT_MOST]]
    more = len(names) - len(said)
    return ", ".join([*said, f"{more} more"] if more else said)


def _leaves(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every value that decides a column's numbers, by its dotted name."""
    spec = {name: value for name, value in facts.get("spec", {}).items() if name not in PROSE}
    yield from _flat("", spec)
    for name, file in facts.get("weights", {}).items():
        yield f"the model file {name}", f"with sha256 {file.get('sha256', '?')[:12]}…"


def _flat(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        elif isinstance(value, list):
            yield f"{prefix}{name}", f"[{', '.join(map(str, value))}]"
        else:
            yield f"{prefix}{name}", str(value)
