"""Protocols over several data sets: which clips go through which data set's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avfd import manifest
from avfd.clips import REAL, Clip
from avfd.errors import MissingError
from avfd.manifest import Protocol
from classify.protocols.draft import Draft, drawn_order
from classify.protocols.split import Target, dataset_of

_VOXCELEB_IDS = frozenset({"fakeavceleb", "voxceleb2"})
"""Layouts that name people by the ids of VoxCeleb2: one id is one person in all of them."""
_HELD = "of a person in validation or test"


def parts_of(
    clips: Sequence[Clip], protocol: Protocol, layouts: Mapping[str, str]
) -> list[tuple[list[Clip], Protocol]]:
    """The clips with the protocol they go through, those that only give reals left out.

    Args:
        layouts: data set → layout; a data set that is not named there is its own layout.
    """
    main = [c for c in clips if layout_of(c, layouts) not in protocol.reals_from]
    if not protocol.datasets:
        return [(main, protocol)]
    by_layout: dict[str, list[Clip]] = {}
    for clip in main:
        by_layout.setdefault(layout_of(clip, layouts), []).append(clip)
    return [(by_layout[name], _own(name, protocol)) for name in sorted(by_layout)]


def layout_of(clip: Clip, layouts: Mapping[str, str]) -> str:
    """The layout of the clip's data set."""
    dataset = dataset_of(clip)
    return layouts.get(dataset, dataset)


def notes_of(clips: Sequence[Clip], protocol: Protocol, layouts: Mapping[str, str]) -> list[str]:
    """Which data sets the protocol wants and did not get."""
    wanted = {*protocol.datasets, *protocol.reals_from}
    missing = sorted(wanted - {layout_of(clip, layouts) for clip in clips})
    if not missing:
        return []
    return [f"The protocol also takes {', '.join(missing)}, which were not given."]


def added_reals(
    clips: Sequence[Clip],
    protocol: Protocol,
    layouts: Mapping[str, str],
    target: Target,
    seed: int,
    drafts: Sequence[Draft],
) -> Draft:
    """Real clips of other data sets, drawn with the seed, all for training.

    Nobody who is in a validation or test clip is among their people, as far as both data sets
    name people alike.

    Args:
        drafts: of the data sets that the protocol is of, their sides known.
    """
    draft = Draft.of([c for c in clips if layout_of(c, layouts) in protocol.reals_from], target)
    fakes = [key for key, clip in draft.clips.items() if clip.label != REAL]
    draft.drop_all(fakes, "only real clips are added")
    for layout, number in protocol.reals_from.items():
        _drop_people(draft, layout, _held_people(drafts, layout, layouts), layouts)
        keys = [key for key, clip in draft.clips.items() if layout_of(clip, layouts) == layout]
        draft.drop_all(drawn_order(seed, keys)[number:], f"not among {number} reals drawn")
        if 0 < len(keys) < number:
            draft.notes.append(f"{layout} has {len(keys)} reals; the protocol asks for {number}.")
    draft.side.update(dict.fromkeys(draft.clips, "train"))
    return draft


def _held_people(
    drafts: Sequence[Draft], layout: str, layouts: Mapping[str, str]
) -> frozenset[str]:
    """Everybody who is seen or heard in a validation or test clip, by the names of that layout."""
    if layout not in _VOXCELEB_IDS:
        return frozenset()
    held = (clip for draft in drafts for side in ("val", "test") for clip in draft.on(side))
    return frozenset(p for c in held if layout_of(c, layouts) in _VOXCELEB_IDS for p in c.people)


def _drop_people(
    draft: Draft, layout: str, people: frozenset[str], layouts: Mapping[str, str]
) -> None:
    """Exclude that layout's clips of these people, and say how many they are."""
    theirs = [
        key
        for key, clip in draft.clips.items()
        if layout_of(clip, layouts) == layout and not people.isdisjoint(clip.people)
    ]
    draft.drop_all(theirs, _HELD)
    if theirs:
        draft.notes.append(
            f"{len(theirs)} real clips of {layout} are of people in validation or test: "
            "none trains."
        )


def _own(layout: str, protocol: Protocol) -> Protocol:
    """What the data set's manifest has under the protocol's name."""
    if layout not in protocol.datasets:
        raise MissingError(
            "the data set has no part in the protocol",
            where=f"{layout}, protocol {protocol.name}",
            accepted=", ".join(protocol.datasets),
        )
    return manifest.load(layout).protocol(protocol.name)
