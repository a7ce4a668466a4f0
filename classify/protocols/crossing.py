"""Tests on what training never met: other data sets, other manipulations.

All work on finished splits, so that sides, filters and draws are those of the protocols. No label
of what is tested decides anything before the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NoReturn, get_args

from avfd.clips import REAL, Clip
from avfd.errors import InputError
from avfd.manifest import SIDES, Side
from classify.protocols.folds import NO_VAL, dealt
from classify.protocols.split import LISTED, Split, leaking_groups, refuse_empty

Cross = Literal["sides", "whole", "2d3mf"]
CROSSES: tuple[Cross, ...] = get_args(Cross)
LEAVE_DATASET, LEAVE_MANIPULATION = "leave-one-dataset-out", "leave-one-manipulation-out"
WORDS = (LEAVE_DATASET, LEAVE_MANIPULATION)
LEARNING: tuple[Side, ...] = ("train", "val")
_JOINED = "+"  # several manipulations of one clip, as readers write them

Units = tuple[tuple[str, ...], ...]


def crossed(training: Split, tested: Sequence[Split], cross: Cross = "sides") -> Split:
    """Training and validation from some data sets, the test from others.

    Args:
        training: of the data sets that train; what becomes of its test side `cross` says.
        tested: of the data sets that are tested: all of their sides are the test.
        cross: "sides": train and validation sides as they are, the test side stands on no side;
            "whole": the test side trains as well (2D3MF's rule for sets that only train);
            "2d3mf": besides, the tested sets' validation side validates, as their code has it:
            the checkpoint is then chosen on target data, so this is leaky.

    Raises:
        InputError: a data set on both ends, or nothing to train on or to test.
    """
    _check_apart(training, tested)
    units: dict[Side, Units] = {"train": training.units["train"], "val": training.units["val"]}
    excluded = dict(training.excluded)
    if cross == "sides":
        excluded |= dict.fromkeys(training.test, "test side of a data set that trains")
    else:
        units["train"] = _sorted(units["train"], training.units["test"])
    if cross == "2d3mf":
        units["val"] = _sorted(units["val"], *(split.units["val"] for split in tested))
    known = {
        training.labels[key]
        for side in ("train", "val")
        for u in units[side]
        for key in u
        if key in training.labels
    }
    units["test"], strange = _tested(training, tested, known)
    groups = _merged(training.groups, *(s.groups for s in tested))
    kin = _learning_kin(units, groups)
    excluded |= dict.fromkeys(kin, "made from a clip that is tested, or the other way round")
    for side in LEARNING:
        units[side] = tuple(unit for unit in units[side] if kin.isdisjoint(unit))
    excluded |= {key: why for split in tested for key, why in split.excluded.items()}
    excluded |= strange
    if strange and not units["test"]:
        _refuse_strange(tested, known)
    names = ", ".join(sorted({dataset_of_key(u[0]) for u in units["test"]}))
    made = replace(
        training,
        protocol=f"{training.protocol}, tested on {names}",
        text=f"{training.text} Tested on {names}, of which no clip trains.",
        labels={
            key: label
            for key, label in _merged(training.labels, *(s.labels for s in tested)).items()
            if key not in strange
        },
        groups=groups,
        excluded=excluded,
        leaky=training.leaky or any(s.leaky for s in tested) or cross == "2d3mf",
        notes=_notes(training, tested, cross),
    )
    made = _placed(made, units)
    for side in ("train", "test"):
        if not made.keys(side):
            refuse_empty(made.protocol, side, made.excluded)
    sides: dict[Side, tuple[str, ...]] = {s: made.keys(s) for s in SIDES}
    return replace(made, leaking=tuple(leaking_groups(sides, made.groups)))


def dataset_of_key(key: str) -> str:
    """The data set that a key starts with."""
    return key.partition("/")[0]


def _check_apart(training: Split, tested: Sequence[Split]) -> None:
    ends = [{dataset_of_key(key) for key in split.groups} for split in (training, *tested)]
    both = sorted(ends[0] & set().union(*ends[1:]))
    if both:
        raise InputError(
            "a data set cannot train and be the unseen one",
            where="--dataset, --test-dataset",
            found=", ".join(both),
        )


def _learning_kin(units: Mapping[Side, Units], groups: Mapping[str, str]) -> set[str]:
    """Clips that would train or validate, of data sets and groups that tested clips are of, too.

    Data sets share a group only where one was forged from the other.
    """
    tested = {groups[key]: dataset_of_key(key) for unit in units["test"] for key in unit}
    return {
        key
        for side in LEARNING
        for unit in units[side]
        for key in unit
        if tested.get(groups[key], dataset_of_key(key)) != dataset_of_key(key)
    }


def _tested(
    training: Split, tested: Sequence[Split], known: set[str]
) -> tuple[Units, dict[str, str]]:
    """Every unit of the tested sets; those of a class that training does not know are excluded."""
    every = _sorted(*(split.units[side] for split in tested for side in SIDES))
    labels = _merged(*(split.labels for split in tested))
    if training.target == "deepfake":
        return every, {}
    strange = {
        k: f"emotion {labels[k]} does not train" for u in every for k in u if labels[k] not in known
    }
    return tuple(unit for unit in every if unit[0] not in strange), strange


def _refuse_strange(tested: Sequence[Split], known: set[str]) -> NoReturn:
    """Say of which data sets no clip can be tested, and which classes meet which."""
    raise InputError(
        "no tested clip is of a class that trains",
        where=", ".join(sorted({dataset_of_key(key) for split in tested for key in split.groups})),
        found=", ".join(sorted({label for split in tested for label in split.labels.values()})),
        accepted=", ".join(sorted(known)),
        next_step="take data sets, or protocols of theirs, that call the classes alike",
    )


def _notes(training: Split, tested: Sequence[Split], cross: Cross) -> tuple[str, ...]:
    notes = [*training.notes, *(note for split in tested for note in split.notes)]
    notes = [note for note in dict.fromkeys(notes) if "validation side" not in note]
    if not training.val and cross != "2d3mf":
        notes.append(NO_VAL)
    if cross == "2d3mf":
        notes.append("Leaky: clips of the tested data sets validate, as in 2D3MF's code.")
    else:
        notes.append("No label of the tested data sets is read before the test.")
    return tuple(notes)


def left_out(split: Split, clips: Mapping[str, Clip], names: Sequence[str]) -> Split:
    """The split with manipulations that only the test has.

    Training and validation lose every fake that one of them had a part in; the test keeps its
    reals and the fakes that nothing else had a part in.

    Args:
        clips: key → clip.
        names: manipulations as `Clip.method` has them; of a clip of several, joined by "+", each
            counts.

    Raises:
        InputError: a name that no fake bears, or no such fake on the test side.
    """
    known = Counter(m for k in split.groups if k in clips for m in manipulations(clips[k]))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InputError(
            "no fake was made that way",
            where="--leave-out",
            found=", ".join(unknown),
            accepted=", ".join(sorted(known)) or "the clips name no manipulation",
        )
    out = set(names)

    def stays(unit: tuple[str, ...], side: Side) -> bool:
        parts = set().union(*(manipulations(clips[key]) for key in unit))
        if side != "test":
            return not parts & out
        return split.labels[unit[0]] == REAL or bool(parts and parts <= out)

    units = {side: tuple(u for u in split.units[side] if stays(u, side)) for side in SIDES}
    gone = {k for side in SIDES for u in split.units[side] if not stays(u, side) for k in u}
    gone -= {key for side in SIDES for unit in units[side] for key in unit}
    said = ", ".join(sorted(out))
    made = replace(
        split,
        protocol=f"{split.protocol}, {said} left out",
        text=f"{split.text} Fakes by {said} are tested alone and never train.",
        excluded={**split.excluded, **dict.fromkeys(sorted(gone), f"{said} is left out")},
    )
    made = _placed(made, units)
    if not any(split.labels[key] != REAL for key in made.test):
        refuse_empty(made.protocol, "test", made.excluded)
    return made


def manipulations(clip: Clip) -> frozenset[str]:
    """How a fake was made; nothing of a real clip."""
    if clip.label == REAL or not clip.method:
        return frozenset()
    return frozenset(clip.method.split(_JOINED))


def manipulation_folds(split: Split, clips: Mapping[str, Clip]) -> list[Split]:
    """A split a manipulation: its fakes of the test side, and a share of the reals there.

    Every clip of the test side is so tested at most once, by a model that never met what made it.

    Raises:
        InputError: fewer than two manipulations, or a test side with fewer groups of reals.
    """
    fakes = [key for key in split.test if split.labels[key] != REAL]
    methods = sorted(set().union(*(manipulations(clips[key]) for key in fakes)))
    reals = {key: split.groups[key] for key in split.test if split.labels[key] == REAL}
    if len(methods) < 2 or len(set(reals.values())) < len(methods):
        raise InputError(
            "leaving one manipulation out takes two or more, and reals of as many groups",
            where=f"protocol {LEAVE_MANIPULATION}",
            found=f"{', '.join(methods[:LISTED]) or 'no manipulation named'}; "
            f"{len(set(reals.values()))} groups of reals on the test side",
        )
    part = dealt(reals, split.labels, len(methods), split.seed)
    made = []
    for i, method in enumerate(methods):
        one = left_out(split, clips, [method])
        kept = tuple(u for u in one.units["test"] if u[0] not in reals or part[reals[u[0]]] == i)
        made.append(_placed(one, {**one.units, "test": kept}))
    return made


def _placed(split: Split, units: Mapping[Side, Units]) -> Split:
    """The split with these units on its sides."""
    train, val, test = (tuple(sorted(k for u in units[side] for k in u)) for side in SIDES)
    return replace(split, units=units, train=train, val=val, test=test)


def _sorted(*several: Units) -> Units:
    return tuple(sorted({unit for units in several for unit in units}))


def _merged(*several: Mapping[str, str]) -> dict[str, str]:
    return {key: value for one in several for key, value in one.items()}
