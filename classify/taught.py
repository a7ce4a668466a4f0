"""Clips that taught something already: a column's own network, or weights that training began with.

A clip is known again by its key, and by its media where these were read by an extract: the same
file under another name, or in another data set, is the same clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError

if TYPE_CHECKING:
    from classify.columns import Unit
    from classify.data import Opened

_PART = re.compile(r"@\d+\.\d{3}-(?:\d+\.\d{3}|end)$")
"""The end of a key that stands for a part of a file, see `avfd.clips.clip_key`."""


@dataclass(frozen=True)
class Taught:
    """Clips that something was trained on, or that told its training when to stop.

    Attributes:
        keys: clip keys.
        media: what `media_of` says of them, as far as it is known.
    """

    keys: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Taught:
        """From a column's facts, a model card or a run."""
        names = ("training_keys", "training_media")
        return cls(*(frozenset(facts.get(name) or ()) for name in names))

    @cached_property
    def _files(self) -> frozenset[str]:
        return frozenset(_file(each) for each in self.media)

    def has(self, key: str, media: str) -> bool:
        """Whether the clip is among them; a part of a file is also in the whole, and in no other.

        Args:
            media: the clip's, "" where unknown.
        """
        if key in self.keys or (media and media in self.media):
            return True
        whole = media == _file(media)
        return bool(media) and (media in self._files if whole else _file(media) in self.media)

    def among(self, units: Iterable[Unit], opened: Opened) -> list[str]:
        """Keys of the units' clips that are among them, in order, each once."""
        if not self.keys and not self.media:
            return []
        media = media_of(list(units), opened)
        return [key for key in media if self.has(key, media[key])]


def media_of(units: Sequence[Unit], opened: Opened) -> dict[str, str]:
    """Clip key → sha256 of its media, "@start-end" behind it where it is a part of them.

    "" where no extract has read the clip's media yet.
    """
    found: dict[str, str] = {}
    for dataset, reader in opened.readers.items():
        keys = list(dict.fromkeys(k for u in units if u.dataset == dataset for k in u.keys))
        for key, digest in zip(keys, reader.sha256(keys), strict=True):
            part = _PART.search(key)
            found[key] = digest and digest + (part.group() if part else "")
    return found


def known_media(units: Sequence[Unit], opened: Opened) -> list[str]:
    """What `media_of` knows of these units, sorted."""
    return sorted(set(media_of(units, opened).values()) - {""})


def _file(media: str) -> str:
    """sha256 of the whole file."""
    return media.partition("@")[0]


def check_unseen(units: Sequence[Unit], columns: Mapping[str, str], opened: Opened) -> None:
    """Refuse to test on clips that a column's own backbone was trained on."""
    for name in columns.values():
        for taught in _teachers(name, opened):
            check_apart(units, taught, "the backbone was", name, opened)


def check_apart(
    units: Sequence[Unit], taught: Taught, what: str, where: str, opened: Opened
) -> None:
    """Refuse to test on clips that something was trained on.

    Args:
        units: those that would be tested.
        taught: the clips that trained it.
        what, where: what was trained, for the error.
    """
    seen = taught.among(units, opened)
    if not seen:
        return
    renamed = [key for key in seen if key not in taught.keys]
    same = f" ({len(renamed)} of them the same media under other names)" if renamed else ""
    raise InputError(
        f"{what} trained on {len(seen)} of the clips that would test it{same}",
        where=where,
        found=", ".join(seen[:10]),
        next_step="take a protocol whose test has none of its training clips",
    )


def chosen_notes(units: Sequence[Unit], columns: Mapping[str, str], opened: Opened) -> list[str]:
    """A sentence for each column whose own network knows clips that models are chosen by.

    Args:
        units: those of validation.
    """
    notes = []
    for name in dict.fromkeys(columns.values()):
        seen = {key for taught in _teachers(name, opened) for key in taught.among(units, opened)}
        if seen:
            clips = len({key for unit in units for key in unit.keys})
            notes.append(
                f"{len(seen)} of {clips} validation clips trained the network of {name}: what is "
                "chosen by them is chosen on clips that it knows."
            )
    return notes


def _teachers(column: str, opened: Opened) -> list[Taught]:
    """The clips that trained a column's network, as each data set's column has it."""
    return [Taught.of(reader.column(column).spec_facts) for reader in opened.readers.values()]
