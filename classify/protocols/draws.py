"""What is drawn after the rule: balanced sides, sizes, and clips joined to longer samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from avfd.clips import LABELS, Clip
from avfd.manifest import SIDES, Protocol, Side
from classify.protocols.draft import Draft, drawn_order, value_of
from classify.protocols.filters import clip_seconds
from classify.protocols.split import dataset_of

_LABEL_FIELDS = frozenset({"label", "video_label", "audio_label"})


def apply_draws(draft: Draft, protocol: Protocol, seed: int) -> None:
    """Balance and shorten the sides; what is not drawn is excluded."""
    for side in SIDES:
        size = protocol.counts.get(side)
        if protocol.balance and side in protocol.balance_sides:
            _balance(draft, side, protocol.balance, size, seed)
        elif size is not None:
            _keep(draft, (c.key for c in draft.on(side)), size, seed, f"not among {size} drawn")
        if size is not None and len(draft.on(side)) < size:
            found = len(draft.on(side))
            draft.notes.append(f"{side} has {found} clips; the protocol asks for {size}.")


def _balance(draft: Draft, side: Side, columns: Sequence[str], size: int | None, seed: int) -> None:
    """As many clips of each combination of values as the rarest has, and as the size allows.

    A value that is not stated counts as a value: where no clip has a label for its sound, the
    others decide.
    """
    combinations: dict[tuple[str, ...], list[str]] = {}
    for clip in draft.on(side):
        values = tuple(value_of(clip, column) or "not stated" for column in columns)
        combinations.setdefault(values, []).append(clip.key)
    if not combinations:
        return
    _note_missing(draft, side, columns, list(combinations))
    each = min(len(keys) for keys in combinations.values())
    if size is not None:
        each = min(each, size // len(combinations))
    for keys in combinations.values():
        _keep(draft, keys, each, seed, f"not drawn: {side} is balanced by {', '.join(columns)}")


def _note_missing(
    draft: Draft, side: Side, columns: Sequence[str], combinations: Sequence[tuple[str, ...]]
) -> None:
    """Say so where picture and sound are not real and fake in all four ways."""
    if not {"video_label", "audio_label"} <= set(columns):
        return
    picture, sound = columns.index("video_label"), columns.index("audio_label")
    there = sorted({(values[picture], values[sound]) for values in combinations})
    if len([pair for pair in there if set(pair) <= set(LABELS)]) < len(LABELS) ** 2:
        said = "; ".join(f"{a} picture, {b} sound" for a, b in there)
        draft.notes.append(
            f"{side} has not all four combinations of real and fake picture and sound, only: "
            f"{said}."
        )


def _keep(draft: Draft, keys: Iterable[str], number: int, seed: int, reason: str) -> None:
    draft.drop_all(drawn_order(seed, keys)[number:], reason)


def clustered(
    clips: Sequence[Clip], labels: Mapping[str, str], seconds_of: Mapping[str, float]
) -> tuple[tuple[str, ...], ...]:
    """Clips joined to samples of at least the length that holds for their data set.

    Consecutive clips of one subject and label are joined; a rest too short for a sample of its
    own goes to the one before it. A clip without a subject stands alone, and so does every clip
    of a data set without a length.

    Args:
        clips: sorted by key.
        seconds_of: data set → length in seconds.
    """
    if not any(seconds_of.values()):
        return tuple((clip.key,) for clip in clips)

    def kind(clip: Clip) -> tuple[str, str, str]:
        return dataset_of(clip), clip.subject or f"nobody {clip.key}", labels[clip.key]

    def place(clip: Clip) -> tuple[object, ...]:
        return *kind(clip), clip.paths, clip.start_seconds, clip.key

    runs = groupby(sorted(clips, key=place), kind)
    joined = (_joined(list(run), seconds_of.get(dataset, 0.0)) for (dataset, *_), run in runs)
    return tuple(sorted(unit for units in joined for unit in units))


def _joined(run: Sequence[Clip], at_least_seconds: float) -> list[tuple[str, ...]]:
    units: list[list[str]] = []
    seconds = at_least_seconds
    for clip in run:
        if seconds >= at_least_seconds:
            units.append([])
            seconds = 0.0
        units[-1].append(clip.key)
        seconds += clip_seconds(clip)
    if seconds < at_least_seconds and len(units) > 1:
        units[-2].extend(units.pop())
    return [tuple(unit) for unit in units]
