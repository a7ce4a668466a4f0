"""VoxCeleb2: films below `mp4/` and their sound below `aac/`, in one tree or in two; all real."""

from __future__ import annotations

import re
from collections.abc import Iterator

from avfd.clips import REAL, Clip
from extract.datasets.base import SOUND, Notes, Source, reader
from extract.datasets.files import AUDIO_SUFFIXES, nfc, suffix

NO_SOUND = "films without a sound file: their own sound is taken, if they have any"
ALONE = "sound files without a film: clips of their own"
SECOND = "further sound files of one clip: left out"
_PLACE = re.compile(r"(?:.*/)?(id\d+)/([^/]+)/(\d+)\.(\w+)")

Place = tuple[str, str, str]  # speaker, video, number


@reader("voxceleb2")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a film with its sound file, or a sound file alone."""
    sounds = _sounds(source, notes)
    for path in source.files.media():
        place = place_of(path)
        if suffix(path) in AUDIO_SUFFIXES:
            if source.audio_root and not _is_shared(source, path):
                notes.count(SOUND, path)
            elif place is None and source.audio_root is None:
                yield source.unlabelled(path, notes)
        elif place is None:
            yield source.unlabelled(path, notes)
        else:
            yield _film(source, notes, path, place, sounds.pop(place, None))
    for place, path in sounds.items():
        notes.count(ALONE, path)
        yield _clip(source, path, None, path, place)


def _is_shared(source: Source, path: str) -> bool:
    """Whether a file of the root is one of the audio root's, too."""
    return source.shared_folder is not None and path.startswith(source.shared_folder)


def place_of(path: str) -> Place | None:
    """Speaker, video and number; None for a path of another form.

    >>> place_of("dev/mp4/id00012/21Uxsk56VDQ/00001.mp4")
    ('id00012', '21Uxsk56VDQ', '00001')
    """
    match = _PLACE.fullmatch(nfc(path))
    return (match[1], match[2], match[3]) if match else None


def _sounds(source: Source, notes: Notes) -> dict[Place, str]:
    """The sound file of each place; the first by name where there are several."""
    found: dict[Place, str] = {}
    for path in source.audio_files.media(AUDIO_SUFFIXES):
        place = place_of(path)
        if place is None:
            if source.audio_root:
                notes.count(SOUND, path)
        elif found.setdefault(place, path) != path:
            notes.count(SECOND, path)
    return found


def _film(source: Source, notes: Notes, path: str, place: Place, sound: str | None) -> Clip:
    if sound is None:
        notes.count(NO_SOUND, path)
        # The film's own path means nothing below an audio root.
        sound = None if source.audio_root else path
    return _clip(source, path, path, sound, place)


def _clip(source: Source, path: str, film: str | None, sound: str | None, place: Place) -> Clip:
    speaker, video, _ = place
    return Clip(
        key=source.key(path),
        video_path=film,
        audio_path=sound,
        label=REAL,
        video_label=REAL if film else None,
        audio_label=REAL if sound else None,
        subject=speaker,
        extra={"video": video},
    )
