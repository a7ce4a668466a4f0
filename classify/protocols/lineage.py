"""Forgeries and the clips that they are made from are of one group, in whatever data set each is.

Within a data set `avfd.clips.grouped` sees to it. But forged files are a data set of their own, and
pooled with the one that they were made from, a person would stand on two sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from avfd.clips import Clip
from classify.protocols.split import JOINED, group_of

MADE_FROM, LENT_BY = "made_from", "lent_by"
"""Columns of a forged set's table: the key of the clip that the file is made from, and of the clip
whose voice or face it borrows."""


def is_derived(clip: Clip) -> bool:
    """Whether the clip is made from another one."""
    return MADE_FROM in clip.extra


def joined(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, forgeries in the groups of what they are made from, as far as that is there.

    A group keeps its name and so its side, whatever was forged of it, unless a forgery of two
    groups makes them one. Clips that nothing joins stay as they are.

    Args:
        clips: of all the data sets that are split together, grouped (`avfd.clips.grouped`).
    """
    if not any(map(is_derived, clips)):
        return list(clips)
    groups = {clip.key: group_of(clip) for clip in clips}
    originals = {groups[clip.key] for clip in clips if not is_derived(clip)}
    parent = {group: group for group in groups.values()}

    def find(group: str) -> str:
        while parent[group] != group:
            parent[group] = group = parent[parent[group]]
        return group

    for clip in clips:
        for source in _sources(clip):
            ends = {find(groups[clip.key]), find(groups.get(source, groups[clip.key]))}
            root = min(ends, key=lambda group: (group not in originals, group))
            parent.update(dict.fromkeys(ends, root))
    roots = {group: find(group) for group in parent}
    return [_placed(clip, groups[clip.key], roots[groups[clip.key]]) for clip in clips]


def kin_of(keys: Iterable[str], known: Iterable[str], clips: Sequence[Clip]) -> list[str]:
    """Those of the keys whose group, over data sets, has a clip among the known ones.

    Args:
        clips: where both are looked up; a key that is not there has no kin.
    """
    groups = {clip.key: group_of(clip) for clip in joined(clips)}
    theirs = {groups[key] for key in known if key in groups}
    return [key for key in keys if groups.get(key) in theirs]


def _sources(clip: Clip) -> list[str]:
    return [clip.extra[name] for name in (MADE_FROM, LENT_BY) if clip.extra.get(name)]


def _placed(clip: Clip, own: str, root: str) -> Clip:
    return clip if own == root else replace(clip, group=JOINED + root)
