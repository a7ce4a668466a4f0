"""The same media under two names must not stand on two sides, whatever their groups say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from avfd.clips import FAKE, REAL
from avfd.manifest import Side
from classify.columns import Unit
from classify.data import Opened
from classify.features import Index
from classify.sides import Fold, Plan
from classify.taught import Taught, media_of

_NAMED = 3
_LEARNING: tuple[Side, ...] = ("train", "val")


def without_twins(plan: Plan, opened: Opened) -> Plan:
    """The plan without training and validation clips that are test clips under other names.

    Media are compared by the sha256 that an extract took of them; a part of a file is in the whole
    file and in no other part. Clips that are left out are counted in a note, and so are media that
    stand under two labels.
    """
    media = media_of(plan.units, opened)
    lost = set[str]()
    folds = []
    for fold in plan.folds:
        twins = _twins(plan, fold, media)
        lost.update(key for i in twins for key in plan.units[i].keys)
        kept = {
            s: _without(index, twins) if s in _LEARNING else index
            for s, index in fold.sides.items()
        }
        folds.append(replace(fold, sides=kept))
    notes = [*plan.notes, *_left_out(lost), *_contradictions(plan.units, media)]
    return replace(plan, folds=tuple(folds), notes=tuple(notes))


def _twins(plan: Plan, fold: Fold, media: Mapping[str, str]) -> set[int]:
    """Places of learning units with media of the fold's test under other names."""
    own = {key for i in fold.sides["test"].tolist() for key in plan.units[i].keys}
    tested = Taught(media=frozenset(media[key] for key in own) - {""})
    if not tested.media:
        return set()
    learning = {i for side in _LEARNING for i in fold.sides[side].tolist()}
    return {
        i
        for i in learning
        if any(tested.has(key, media[key]) and key not in own for key in plan.units[i].keys)
    }


def _without(index: Index, places: set[int]) -> Index:
    return index[~np.isin(index, list(places))]


def _left_out(keys: Iterable[str]) -> list[str]:
    named = sorted(keys)
    if not named:
        return []
    return [
        f"{len(named)} clips are the same media as test clips under other names and do not train: "
        f"{', '.join(named[:_NAMED])}."
    ]


def _contradictions(units: Sequence[Unit], media: Mapping[str, str]) -> list[str]:
    """A sentence where the same media are real in one place and fake in another."""
    labels: dict[str, dict[str, str]] = {}
    for unit in units:
        if unit.label in (REAL, FAKE):
            for key in unit.keys:
                labels.setdefault(media[key], {}).setdefault(str(unit.label), key)
    twice = [named for sha256, named in labels.items() if sha256 and len(named) > 1]
    if not twice:
        return []
    some = "; ".join(f"{named[REAL]} and {named[FAKE]}" for named in twice[:_NAMED])
    return [f"{len(twice)} media files are labelled both real and fake: {some}."]
