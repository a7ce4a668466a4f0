"""What `benchmarks.forged` found, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

HEADS = {
    "whole": "clip",
    "audio": "sound's label",
    "video": "picture's label",
    "seconds": "seconds",
}
CHOSEN = "**chosen on validation**"


def report(result: Mapping[str, Any]) -> str:
    """Every set that was measured, as Markdown."""
    out = [
        "# Forgeries of real clips",
        "",
        "AUC [95 % interval, drawn by group]. People of a test fold are in no training or "
        "validation clip of its model. The chosen line is nested: in each fold the system that is "
        "best on that fold's validation clips.",
        "",
    ]
    for one in result["sets"].values():
        out += [*_set(one), ""]
    return "\n".join(out).rstrip() + "\n"


def _set(one: Mapping[str, Any]) -> Iterator[str]:
    facts = one["facts"]
    yield f"## {one['title'][:1].upper()}{one['title'][1:]}"
    yield ""
    yield (
        f"`{facts['command']}`, {facts['date']}, {facts['hardware']}. {facts['fakes']} fakes and "
        f"{facts['reals']} reals of {facts['people']} people in {facts['groups']} groups, "
        f"{facts['folds']} folds, networks at the preset `small` with at most {facts['epochs']} "
        "epochs."
    )
    yield ""
    yield f"Probe on level, offset, bandwidth, duration and file size alone: {cell(one['probe'])}."
    if one["aim"]:
        yield ""
        yield verdict(one)
    yield ""
    parts = [part for part in HEADS if any(part in line["auc"] for line in one["lines"])]
    heads = ["system", *(HEADS[part] for part in parts), "validation"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    own = one["chosen"]
    for name, found, validation in (
        (CHOSEN, own["auc"], ""),
        *((line["system"], line["auc"], _short(line["validation"])) for line in one["lines"]),
    ):
        cells = [cell(found.get(part)) for part in parts]
        yield f"| {' | '.join([name, *cells, validation])} |"
    yield ""
    yield f"Chosen for clips: {counted(own['names'])}."
    best = one["lines"][0]  # they are sorted by it
    yield (
        f"The one system with the best mean validation: {best['system']}, "
        f"{cell(best['auc']['whole'])} (a fold's validation clips are another fold's test clips)."
    )
    if own["second_names"]:
        yield f"Chosen for seconds: {counted(own['second_names'])}."
    if own["kinds"]:
        found = (f"{kind} {cell(number)}" for kind, number in own["kinds"].items())
        yield f"The chosen one by kind: {'; '.join(found)}."


def verdict(one: Mapping[str, Any]) -> str:
    """Whether the aim is reached."""
    least, lowest = one["aim"]
    found = one["chosen"]["auc"]["whole"]
    reached = found["value"] > least and found["low"] > lowest
    return (
        f"Aim: above {least:.2f}, interval above {lowest:.2f}: "
        f"{'reached' if reached else 'not reached'} with {cell(found)}."
    )


def cell(number: Mapping[str, Any] | None) -> str:
    """An AUC with its interval."""
    if number is None or number["value"] is None:
        return "–"
    if number["low"] is None:
        return _short(number["value"])
    return f"{_short(number['value'])} [{_short(number['low'])}, {_short(number['high'])}]"


def _short(value: float) -> str:
    return f"{value:.3f}"


def counted(names: Mapping[str, str]) -> str:
    """Which systems, and in how many folds."""
    found = Counter(names.values()).most_common()
    return "; ".join(f"{name} ({n} of {len(names)} folds)" for name, n in found)
