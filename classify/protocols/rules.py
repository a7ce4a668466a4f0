"""How a clip finds its side: one function a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from avfd.manifest import SIDES, Protocol, Rule, Side
from classify.protocols.draft import Draft, drawn_order, fraction, value_of
from classify.protocols.lineage import is_derived
from classify.protocols.split import group_of

RuleFunction = Callable[[Draft, Protocol, int], None]
_FUNCTIONS: dict[Rule, RuleFunction] = {}


def apply_rule(draft: Draft, protocol: Protocol, seed: int) -> None:
    """Put every clip on its side; those that the rule knows no side for are excluded."""
    _FUNCTIONS[protocol.rule](draft, protocol, seed)


def _rule(name: Rule) -> Callable[[RuleFunction], RuleFunction]:
    def register(function: RuleFunction) -> RuleFunction:
        if name in _FUNCTIONS:
            raise ValueError(f"rule {name} is registered twice")
        _FUNCTIONS[name] = function
        return function

    return register


@_rule("field")
def _by_field(draft: Draft, protocol: Protocol, seed: int) -> None:
    side_of = {value: side for side in SIDES for value in protocol.values.get(side, ())}
    _by_value(draft, protocol.column, side_of)


@_rule("shipped")
def _as_shipped(draft: Draft, protocol: Protocol, seed: int) -> None:
    _by_value(draft, "split", {side: side for side in SIDES})


@_rule("pairs-file")
def _by_pairs_file(draft: Draft, protocol: Protocol, seed: int) -> None:
    _by_value(draft, "official_split", {side: side for side in SIDES})


@_rule("group-hash")
def _by_group_hash(draft: Draft, protocol: Protocol, seed: int) -> None:
    names = _anchors(draft).items()
    sides = {group: _cut(fraction(seed, name), protocol.fractions) for group, name in names}
    draft.side |= {key: sides[group_of(clip)] for key, clip in draft.clips.items()}


@_rule("clip-hash")
def _by_clip_hash(draft: Draft, protocol: Protocol, seed: int) -> None:
    for key in draft.clips:
        draft.side[key] = _cut(fraction(seed, key), protocol.fractions)


@_rule("by-speaker")
def _by_speaker(draft: Draft, protocol: Protocol, seed: int) -> None:
    """Whole speakers; those who share a group (a swap) stay together unless the rule may leak."""
    anchors = _anchors(draft)
    unit = {key: anchors[group_of(clip)] for key, clip in draft.clips.items()}
    if protocol.leaky:
        unit |= {key: clip.subject for key, clip in draft.clips.items() if clip.subject}
    order = drawn_order(seed, set(unit.values()))
    place = {name: (i + 0.5) / len(order) for i, name in enumerate(order)}
    for key, name in unit.items():
        draft.side[key] = _cut(place[name], protocol.fractions)


def overlap_test(draft: Draft, protocol: Protocol, seed: int) -> None:
    """Let the test clips stand in train or val too, by the shares of these two."""
    for clip in draft.on("test"):
        draft.again[clip.key] = _second_side(clip.key, protocol, seed)


def _second_side(key: str, protocol: Protocol, seed: int) -> Side:
    shares = {side: protocol.fractions.get(side, 0.0) for side in ("train", "val")}
    total = sum(shares.values())
    return _cut(fraction(seed, f"again {key}") * total, shares) if total else "train"


def _by_value(draft: Draft, column: str, side_of: Mapping[str, Side]) -> None:
    for key, clip in list(draft.clips.items()):
        value = value_of(clip, column)
        side = None if value is None else side_of.get(value)
        if side:
            draft.side[key] = side
        else:
            draft.drop(key, f"{column} is {value or 'not stated'}: on no side")


def _cut(place: float, fractions: Mapping[str, float]) -> Side:
    """The side that holds a place in [0, 1) when the sides lie end to end."""
    edge = 0.0
    sides = [side for side in SIDES if fractions.get(side)]
    for side in sides:
        edge += fractions[side]
        if place < edge:
            return side
    return sides[-1]  # the shares sum to 1 but for rounding


def _anchors(draft: Draft) -> dict[str, str]:
    """Group → the name it is hashed by: the least of its people and originals, else of its keys.

    Not the group's own name, which is the least clip key: one more fake of a known original would
    then move the whole group. For the same reason forgeries have no say where what they are made
    from is there.
    """
    names: dict[str, set[str]] = {}
    keys: dict[str, str] = {}
    clips = sorted(draft.clips.values(), key=is_derived)  # else by key, as they are
    originals = {group_of(clip) for clip in clips if not is_derived(clip)}
    for clip in clips:
        group = group_of(clip)
        keys.setdefault(group, clip.key)  # the least comes first
        shared = names.setdefault(group, set())
        if not (is_derived(clip) and group in originals):
            shared.update(clip.people, {clip.source} if clip.source else ())
    return {group: min(shared) if shared else keys[group] for group, shared in names.items()}
