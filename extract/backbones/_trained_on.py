"""Whether a network would see in an extract what it saw in training, by what its card says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avfd.asks import spelled
from avfd.errors import InputError
from avfd.specs import BackboneSpec

CROPS = ("rate_hz", "size_px", "margin", "align", "interpolation")
SOUND = ("sample_rate_hz", "downmix", "resampler")

Facts = dict[str, object]
"""Name → value, of all that decides what a network sees."""


def crops_of(spec: Mapping[str, Any]) -> Facts:
    """Of the faces that a column shows, or that a network is given.

    Args:
        spec: as JSON.
    """
    return {name: (spec.get("faces") or {}).get(name) for name in CROPS}


def column_of(spec: Mapping[str, Any]) -> Facts:
    """Of a column that a network reads: its backbone, its vectors, its media and its options.

    Args:
        spec: as JSON.
    """
    sound = spec.get("audio") or {}
    return {
        "backbone": spec.get("name"),
        "revision": spec.get("revision"),
        "rate_hz": spec.get("rate_hz"),
        "shape": list(spec.get("shape") or ()),
        **{name: sound[name] for name in SOUND if name in sound},
        **{f"faces.{n}": value for n, value in crops_of(spec).items() if value is not None},
        **(spec.get("options") or {}),
    }


def check_crops(
    trained: Mapping[str, Any], spec: BackboneSpec, given: Mapping[str, object], where: Path
) -> None:
    """Refuse a network of faces that saw other crops in training than it would see.

    Args:
        trained: what the card says of the column, see `classify.trained_weights.card_of`.
        spec: of the network's column.
        given: options of that column that are not the default ones.
        where: the model file.

    Raises:
        InputError: the crops differ; all differences are named, and the options that mend them.
    """
    theirs = trained["spec"]
    if theirs.get("name") != "faces":
        raise InputError(
            "the network was not trained on face crops as they are",
            where=where,
            found=f"trained on {trained['column']}, a column of {theirs.get('name')}",
            accepted="a column of faces",
            next_step="train it again with --video faces",
        )
    was, seen = crops_of(theirs), crops_of(asdict(spec))
    if differing := _differing(was, seen):
        options = {**given, **{name: was[name] for name in differing}}
        raise InputError(
            "the network was trained on other face crops than it would see here",
            where=where,
            found=f"trained on {trained['column']}: {_listed(was, differing)}",
            accepted=f"as {spec.name} sees them: {_listed(seen, differing)}",
            next_step=f"ask for {spelled(spec.name, options)}, or train it on crops like these",
        )


def check_column(
    trained: Mapping[str, Any], spec: BackboneSpec, read: BackboneSpec, where: Path
) -> None:
    """Refuse a network that was trained on another column than it would read.

    Args:
        trained: as of `check_crops`.
        spec: of the network's column.
        read: of the column that it reads.
        where: the model file.

    Raises:
        InputError: the columns differ; all differences are named.
    """
    was, seen = column_of(trained["spec"]), column_of(asdict(read))
    if differing := _differing(was, seen):
        raise InputError(
            "the network was trained on another column than it would read here",
            where=where,
            found=f"trained on {trained['column']}: {_listed(was, differing)}",
            accepted=f"as {spec.name} reads {read.name}: {_listed(seen, differing)}",
            next_step=f"train it again on the column that `avfd extract --backbone {read.name}` "
            "makes",
        )


def _differing(one: Facts, other: Facts) -> list[str]:
    """Names of the facts that are not the same, one's first."""
    return [n for n in dict.fromkeys((*one, *other)) if one.get(n) != other.get(n)]


def _listed(facts: Facts, names: list[str]) -> str:
    return ", ".join(f"{name}={facts.get(name, 'none')}" for name in names)
