"""From clips and the split that was asked for to samples by fold and side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from avfd import manifest
from avfd.cache import Reader
from avfd.clips import FAKE, LABELS, REAL, Clip, read_table
from avfd.errors import InputError
from avfd.home import Home
from avfd.manifest import HASH, SIDES, Protocol, Side
from classify.choice import FitOptions
from classify.columns import Unit
from classify.crowds import several_faces
from classify.features import Index
from classify.protocols import Split, Target, as_test, assign, folds, joined
from classify.protocols.crossing import (
    LEAVE_DATASET,
    LEAVE_MANIPULATION,
    crossed,
    left_out,
    manipulation_folds,
)
from classify.protocols.split import dataset_of

POOLED_FOLDS = (
    "The intervals over the pooled folds are too narrow: the folds' models share training clips "
    "(measured in docs/classify.md)."
)

_WORDS = {
    LEAVE_DATASET: "Each data set in turn is tested by a model that the others trained.",
    LEAVE_MANIPULATION: "Each manipulation in turn is tested by a model that never met it.",
}


@dataclass(frozen=True)
class Fold:
    """One training: which units stand on which side.

    Attributes:
        number: 0 where there are no folds.
        sides: side → places in the plan's units.
    """

    number: int
    sides: Mapping[Side, Index]


@dataclass(frozen=True)
class Plan:
    """All that is trained and scored in one run.

    Attributes:
        units: every unit that stands on a side.
        folds: one, or one a fold.
        classes: class names; a unit's class number is its label's place here.
        protocol, text: name and rule in words.
        leaky, leaking: as in `Split`.
        excluded: reason → clips on no side.
        notes: sentences that must stand beside the results.
    """

    units: tuple[Unit, ...]
    folds: tuple[Fold, ...]
    classes: tuple[str, ...]
    protocol: str
    text: str
    leaky: bool
    leaking: tuple[str, ...]
    excluded: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def crossed(self) -> bool:
        """Whether there are folds."""
        return len(self.folds) > 1


def plan_of(home: Home, readers: Mapping[str, Reader], options: FitOptions, validate: bool) -> Plan:
    """The plan that the options ask for.

    Args:
        readers: data set → snapshot of its cache, for protocols that look into it.
        validate: with folds, take the next fold's clips out of training for validation, because
            it decides something.
    """
    tables = _tables(home, list(readers))
    clips = {clip.key: clip for table in tables.values() for clip in table}
    name, splits = _splits(home, readers, tables, options)
    if options.leave_out:
        splits = [left_out(split, clips, options.leave_out) for split in splits]
        name = splits[0].protocol if len(splits) == 1 else name
    plan = _plan(name, splits, validate and options.folds is not None)
    return replace(plan, units=tuple(_with_truth(unit, clips) for unit in plan.units))


def _tables(home: Home, datasets: Sequence[str]) -> dict[str, list[Clip]]:
    """The clip tables; what is forged of one and stands in another is of the same group."""
    every = joined([clip for name in datasets for clip in read_table(home.clip_table(name))])
    return {name: [clip for clip in every if dataset_of(clip) == name] for name in datasets}


def _splits(
    home: Home,
    readers: Mapping[str, Reader],
    tables: Mapping[str, Sequence[Clip]],
    options: FitOptions,
) -> tuple[str, list[Split]]:
    """What the plan is called, and its split or folds."""
    if options.folds:
        clips = [clip for table in tables.values() for clip in table]
        made = folds(clips, options.folds, options.split_seed or 0, target=options.target)
        return f"{options.folds} folds", made
    tested = list(options.test_datasets)
    if options.protocol == LEAVE_DATASET:
        return LEAVE_DATASET, _leaving_each_out(home, readers, tables, options)
    if tested:
        split = _crossed(home, readers, tables, options, tested, options.protocol)
        return split.protocol, [split]
    word = options.protocol == LEAVE_MANIPULATION
    split = _assigned_to(home, readers, tables, options, None if word else options.protocol)
    if word:
        clips_by_key = {clip.key: clip for table in tables.values() for clip in table}
        return LEAVE_MANIPULATION, manipulation_folds(split, clips_by_key)
    return split.protocol, [split]


def _leaving_each_out(
    home: Home,
    readers: Mapping[str, Reader],
    tables: Mapping[str, Sequence[Clip]],
    options: FitOptions,
) -> list[Split]:
    """A fold a data set: the others train."""
    if len(readers) < 2:
        raise InputError(
            "leaving one data set out takes two or more",
            where=f"protocol {LEAVE_DATASET}",
            found=", ".join(readers),
            next_step="repeat --dataset",
        )
    return [_crossed(home, readers, tables, options, [name], None) for name in readers]


def _crossed(
    home: Home,
    readers: Mapping[str, Reader],
    tables: Mapping[str, Sequence[Clip]],
    options: FitOptions,
    tested: Sequence[str],
    protocol: str | None,
) -> Split:
    """Some data sets tested, the others trained on."""
    trained = {name: reader for name, reader in readers.items() if name not in tested}
    training = _assigned_to(home, trained, tables, options, protocol)
    ends = []
    for name in tested:
        layout = home.read_facts(name).layout
        if protocol is not None and protocol in manifest.load(layout).protocols:
            one = {name: readers[name]}
            ends.append(_assigned_to(home, one, tables, options, protocol))
        else:
            ends.append(as_test(tables[name], target=options.target, name=name))
    return crossed(training, ends, options.cross)


def _assigned_to(
    home: Home,
    readers: Mapping[str, Reader],
    tables: Mapping[str, Sequence[Clip]],
    options: FitOptions,
    protocol: str | None,
) -> Split:
    """The split of these data sets by the named protocol, or by their default one."""
    clips = [clip for name in readers for clip in tables[name]]
    found = protocol_of(home, list(readers), protocol)
    seed, target = options.split_seed, options.target
    return assigned(home, readers, clips, found, target=target, seed=seed)


def assigned(
    home: Home,
    readers: Mapping[str, Reader],
    clips: Sequence[Clip],
    protocol: Protocol,
    *,
    target: Target,
    seed: int | None = None,
) -> Split:
    """The split of clips of these data sets by a protocol, layouts and face counts looked up."""
    return assign(
        clips,
        protocol,
        seed,
        target=target,
        layouts={name: home.read_facts(name).layout for name in readers},
        several_faces=partial(several_faces, readers),
    )


def protocol_of(home: Home, datasets: Sequence[str], name: str | None) -> Protocol:
    """The named protocol, else the one given at index, else the manifest's default.

    Of several data sets the first whose manifest knows the name; without a name the group hash.
    """
    facts = [home.read_facts(dataset) for dataset in datasets]
    if name is None and len(facts) > 1:
        return HASH
    wanted = name or facts[0].protocol
    known = [manifest.load(f.layout) for f in facts]
    found = next((m for m in known if wanted in m.protocols), known[0])
    return found.protocol(wanted)


def _plan(name: str, splits: Sequence[Split], validate: bool) -> Plan:
    places: dict[tuple[str, ...], int] = {}
    made = [
        _with_validation(splits, i) if validate else dict(s.units) for i, s in enumerate(splits)
    ]
    for sides in made:
        for side in SIDES:
            for keys in sides[side]:
                places.setdefault(keys, len(places))
    numbered = [
        Fold(i, {side: _index([places[keys] for keys in sides[side]]) for side in SIDES})
        for i, sides in enumerate(made)
    ]
    first = splits[0]
    owner = {keys: split for split in splits for side in SIDES for keys in split.units[side]}
    nowhere = [w for k, w in first.excluded.items() if all(k in s.excluded for s in splits)]
    units = tuple(_unit(keys, owner[keys]) for keys in places)
    return Plan(
        units=units,
        folds=tuple(numbered),
        classes=_classes(splits),
        protocol=name,
        text=_WORDS.get(name, first.text),
        leaky=any(split.leaky for split in splits),
        leaking=tuple(sorted({group for split in splits for group in split.leaking})),
        excluded=dict(Counter(nowhere).most_common()),
        notes=(*_notes(splits, validate), *_label_notes(first.target, units)),
    )


def _with_validation(splits: Sequence[Split], i: int) -> dict[Side, tuple[tuple[str, ...], ...]]:
    """Fold i with the next fold's test clips taken out of training, for validation."""
    units = splits[i].units
    if len(splits) < 3:
        return dict(units)
    held = splits[(i + 1) % len(splits)].units["test"]
    apart = set(held)
    train = tuple(keys for keys in units["train"] if keys not in apart)
    return {"train": train, "val": held, "test": units["test"]}


def _notes(splits: Sequence[Split], validate: bool) -> tuple[str, ...]:
    notes = list(dict.fromkeys(note for split in splits for note in split.notes))
    if len(splits) > 1:
        notes.append(POOLED_FOLDS)
    if validate and len(splits) > 2:
        # The fold's own sentence about the missing validation side is no longer true.
        notes = [note for note in notes if "validation" not in note]
        notes.append("Each fold is validated on the next one, which does not train it.")
    return tuple(notes)


def _label_notes(target: Target, units: Sequence[Unit]) -> list[str]:
    """A sentence where pooled data sets do not have the same emotions, perhaps under two names."""
    by_dataset: dict[str, set[str]] = {}
    for unit in units:
        by_dataset.setdefault(unit.dataset, set()).add(str(unit.label))
    if target == "deepfake" or len(by_dataset) < 2:
        return []
    having = Counter(label for labels in by_dataset.values() for label in labels)
    alone = {
        name: sorted(x for x in labels if having[x] == 1) for name, labels in by_dataset.items()
    }
    said = "; ".join(f"{n} alone has {', '.join(labels)}" for n, labels in alone.items() if labels)
    return [f"Not all data sets have all labels: {said}."] if said else []


def _unit(keys: tuple[str, ...], split: Split) -> Unit:
    dataset = keys[0].split("/", 1)[0]
    return Unit(dataset, keys, split.groups[keys[0]], split.labels[keys[0]])


def part_labels(clip: Clip) -> tuple[str | None, str | None]:
    """Label of the audio and of the video alone, with what follows from the whole one's.

    Nothing of a real clip is fake, and of a fake clip with one real track the other is fake.
    """
    audio, video = clip.audio_label, clip.video_label
    if clip.label == REAL:
        return audio or REAL, video or REAL
    if clip.label == FAKE and REAL in (audio, video):
        return audio or FAKE, video or FAKE
    return audio, video


def _with_truth(unit: Unit, clips: Mapping[str, Clip]) -> Unit:
    """The unit with what its first clip says of the tracks; of one clip its fake stretches too."""
    clip = clips[unit.keys[0]]
    audio, video = part_labels(clip)
    segments = clip.fake_segments if len(unit.keys) == 1 else None
    return replace(unit, audio_label=audio, video_label=video, segments=segments)


def side_units(split: Split, side: Side) -> list[Unit]:
    """The units on one side of a split."""
    return [_unit(keys, split) for keys in split.units[side]]


def _classes(splits: Sequence[Split]) -> tuple[str, ...]:
    """Real and fake, or the emotions that occur, sorted."""
    if splits[0].target == "deepfake":
        return LABELS
    return tuple(sorted({label for split in splits for label in split.labels.values()}))


def _index(places: list[int]) -> Index:
    return np.array(places, dtype=np.intp)


def unlabelled_units(clips: Sequence[Clip]) -> list[Unit]:
    """Every clip as a unit without a label."""
    return [Unit(c.key.split("/", 1)[0], (c.key,), c.group or c.key, None) for c in clips]
