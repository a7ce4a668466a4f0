"""Which clips show more than one face, as the cached face track counted them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from avfd.cache import ColumnReader, Reader
from avfd.errors import InputError
from avfd.specs import DONE, PENDING
from classify.choice import spec_of

FACE_TRACK = "face_track"
_NUMBERS = 18  # of a track that counts; the count is the last one, see docs/media.md


def several_faces(readers: Mapping[str, Reader], keys: Sequence[str]) -> set[str]:
    """Those of the clips in which more than one face was seen at some time.

    Reads nothing but the face track, a block at a time. A clip without any face, or whose face
    pass failed, shows no second one.

    Raises:
        InputError: a data set without a face track that counts, or with clips not yet looked at.
    """
    by_dataset: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        by_dataset[key.split("/", 1)[0]].append(key)
    return {k for name, some in by_dataset.items() for k in _crowded(readers[name], name, some)}


def _crowded(reader: Reader, dataset: str, keys: Sequence[str]) -> Iterator[str]:
    column = _track(reader, dataset)
    statuses = column.statuses(keys)
    if pending := int((statuses == PENDING).sum()):
        raise _uncounted(dataset, column.name, f"{pending} of {len(keys)} clips not looked at yet")
    done = [key for key, status in zip(keys, statuses, strict=True) if status == DONE]
    for key, content in column.iterate(done):
        if (content.values[content.valid][:, -1] > 1).any():
            yield key


def _track(reader: Reader, dataset: str) -> ColumnReader:
    """The data set's face track, under whatever name it was extracted."""
    columns = (reader.column(name) for name in reader.columns)
    tracks = [column for column in columns if spec_of(column)["name"] == FACE_TRACK]
    counting = [column for column in tracks if column.shape == (_NUMBERS,)]
    if not counting:
        stale = ", ".join(f"{column.name}, which does not count faces" for column in tracks)
        raise _uncounted(dataset, f"{FACE_TRACK}-2" if stale else FACE_TRACK, stale or "none")
    return counting[0]


def _uncounted(dataset: str, column: str, found: str) -> InputError:
    called = "" if column == FACE_TRACK else f" --as {column}"
    return InputError(
        "the protocol takes clips with one face, and the faces have not been counted",
        where=f"{dataset}, column {FACE_TRACK}",
        found=found,
        next_step=f"run `avfd extract --dataset {dataset} --backbone {FACE_TRACK}{called}`",
    )
