"""From clips and a protocol to a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from avfd.clips import Clip
from avfd.errors import InputError
from avfd.manifest import SIDES, Protocol, Side
from classify.protocols.draft import Draft
from classify.protocols.draws import apply_draws, clustered
from classify.protocols.filters import SeveralFaces, apply_filters
from classify.protocols.folds import NO_TEST, NO_VAL
from classify.protocols.joint import added_reals, notes_of, parts_of
from classify.protocols.rules import apply_rule, overlap_test
from classify.protocols.split import (
    Split,
    Target,
    dataset_of,
    group_of,
    leaking_groups,
    refuse_empty,
    refuse_leak,
)

Sides = dict[Side, tuple[str, ...]]


def assign(
    clips: Sequence[Clip],
    protocol: Protocol,
    seed: int | None = None,
    *,
    target: Target = "deepfake",
    layouts: Mapping[str, str] | None = None,
    several_faces: SeveralFaces | None = None,
) -> Split:
    """Put every clip on its side, or say why it stands on none.

    The order of work: unlabelled clips go, filters, the rule, then balance and sizes, then
    clustering; last the check that no group stands on two sides. The order of the clips does not
    matter, and neither does any other clip to a hashed side.

    Args:
        clips: one or more data sets' clips, grouped (`avfd.clips.grouped`).
        seed: instead of the protocol's own.
        target: what the labels are of; clips without such a label are excluded.
        layouts: data set → layout, where a data set does not bear its layout's name.
        several_faces: which of some clips show more than one face, for one-face filters.

    Raises:
        InputError: a group on two sides and the protocol not leaky (the clips are named); no
            clip for the test, or none for a side that the rule fills; no clip at all.
        MissingError: a data set that has no part in a joint protocol.
    """
    chosen = protocol.seed if seed is None else seed
    known = layouts or {}
    parts = parts_of(clips, protocol, known)
    drafts = [_drafted(some, own, chosen, target, several_faces) for some, own in parts]
    drafts.append(added_reals(clips, protocol, known, target, chosen, drafts))
    draft = _merged(drafts)
    draft.notes[:0] = [*protocol.notes, *notes_of(clips, protocol, known)]
    leaky = protocol.leaky or any(own.leaky for _, own in parts)
    seconds_of = {dataset_of(c): own.cluster_seconds for some, own in parts for c in some}
    split = _split(draft, replace(protocol, seed=chosen, leaky=leaky), target, seconds_of)
    _check(split, protocol)
    return split


def as_test(clips: Sequence[Clip], *, target: Target = "deepfake", name: str = "all") -> Split:
    """Every labelled clip on the test side: for a model that was trained on other data."""
    draft = Draft.of(clips, target)
    draft.side.update(dict.fromkeys(draft.clips, "test"))
    text = "Every labelled clip is tested; nothing is trained on."
    protocol = Protocol(name=name, rule="shipped", text=text)
    split = _split(draft, protocol, target, {})
    if not split.test:
        refuse_empty(name, "test", split.excluded)
    return split


def _drafted(
    clips: Sequence[Clip],
    protocol: Protocol,
    seed: int,
    target: Target,
    several_faces: SeveralFaces | None,
) -> Draft:
    """One data set through its protocol, up to the draws."""
    draft = Draft.of(clips, target)
    apply_filters(draft, protocol.filters, several_faces)
    apply_rule(draft, protocol, seed)
    apply_draws(draft, protocol, seed)
    if protocol.overlap:
        overlap_test(draft, protocol, seed)
    return draft


def _merged(drafts: Sequence[Draft]) -> Draft:
    merged = Draft({})
    for draft in drafts:
        merged.clips |= draft.clips
        merged.side |= draft.side
        merged.again |= draft.again
        merged.labels |= draft.labels
        merged.excluded |= draft.excluded
        merged.notes += [note for note in draft.notes if note not in merged.notes]
    merged.clips = dict(sorted(merged.clips.items()))
    return merged


def _split(
    draft: Draft, protocol: Protocol, target: Target, seconds_of: Mapping[str, float]
) -> Split:
    sides: Sides = {side: draft.keys(side) for side in SIDES}
    groups = {key: group_of(clip) for key, clip in draft.clips.items()}
    leaking = leaking_groups(sides, groups)
    return Split(
        protocol=protocol.name,
        text=protocol.text,
        target=target,
        seed=protocol.seed,
        train=sides["train"],
        val=sides["val"],
        test=sides["test"],
        labels=draft.labels,
        groups=groups,
        units={
            side: clustered([draft.clips[key] for key in keys], draft.labels, seconds_of)
            for side, keys in sides.items()
        },
        excluded=draft.excluded,
        leaky=protocol.leaky,
        leaking=tuple(leaking),
        notes=(*draft.notes, *_own_notes(sides, leaking)),
    )


def _own_notes(sides: Sides, leaking: Sequence[str]) -> list[str]:
    """What no manifest can know: what the clips made of the protocol."""
    notes = [] if sides["val"] else [NO_VAL]
    if not sides["test"]:
        notes.append(NO_TEST)
    if leaking:
        notes.append(f"Leaky: {len(leaking)} groups stand on two sides.")
    return notes


def _check(split: Split, protocol: Protocol) -> None:
    if not split.labels and not split.excluded:
        raise InputError("there is no clip to split", where=f"protocol {protocol.name}")
    # Held-back test clips (RAVDESS' test actors, challenge sets) are scored later by `evaluate`.
    held_back = bool(split.val) and not split.test
    filled: list[Side] = [] if held_back else ["test"]
    for side in filled if _tests_only(protocol) else ["train", *filled]:
        if not split.keys(side):
            refuse_empty(protocol.name, side, split.excluded)
    if split.leaking and not split.leaky:
        sides: Sides = {side: split.keys(side) for side in SIDES}
        refuse_leak(protocol.name, sides, split.groups, list(split.leaking))


def _tests_only(protocol: Protocol) -> bool:
    """Whether the protocol trains elsewhere and only tests here."""
    shares = protocol.fractions or protocol.values
    return bool(shares) and not shares.get("train") and not protocol.reals_from
