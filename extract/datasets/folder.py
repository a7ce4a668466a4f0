"""Any folder: what lies below `real/` is real, below `fake/` fake, the rest unlabelled."""

from __future__ import annotations

from collections.abc import Iterator

from avfd.clips import LABELS, Clip
from extract.datasets.base import UNKNOWN, Notes, Source, reader


@reader("folder")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a media file; the first folder named real or fake on its path decides."""
    for path in source.files.media():
        label = label_of(path)
        yield source.clip(path, label=label) if label else source.unlabelled(path, notes)
    for path in source.files.unknown():
        notes.count(UNKNOWN, path)
    notes.say(
        "no subjects are known: every clip is its own group, so one person may stand in train and "
        "in test; a table with a subject column mends that"
    )


def label_of(path: str) -> str | None:
    """The label that the folders of a path give.

    >>> label_of("train/Real/a.mp4"), label_of("fake/real/a.mp4"), label_of("realistic/a.mp4")
    ('real', 'fake', None)
    """
    folders = (part.lower() for part in path.split("/")[:-1])
    return next((name for name in folders if name in LABELS), None)
