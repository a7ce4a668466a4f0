"""DeepfakeTIMIT (fakes, avi with a wav beside it) and VidTIMIT (reals, frames and a wav).

A real sentence's pictures are its folder of single frames, unless a film of the sentence's name
lies beside the folder. The key is that of the film, else of the wav.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from avfd.clips import FAKE, REAL, Clip
from extract.datasets.base import Notes, Source, reader
from extract.datasets.files import VIDEO_SUFFIXES, file_name, nfc
from extract.media.folders import frame_number

NO_WAV = "films without a wav: their own sound is taken, if they have any"
BLIND = "real sentences without pictures: read for their sound"
SILENT = "real sequences of pictures without a wav: left out"
_FAKE = re.compile(
    r"(?:.*/)?(higher|lower)_quality/([^/]+)/([^/]+)-video-([^/]+)\.avi", re.IGNORECASE
)
_REAL_SOUND = re.compile(r"((?:.*/)?([^/]+))/audio/([^/]+)\.wav", re.IGNORECASE)
_REAL_PICTURES = re.compile(r"((?:.*/)?[^/]+/video/[^/]+)/[^/]+", re.IGNORECASE)


@reader("deepfaketimit")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a fake film and one a real sentence."""
    used: set[str] = set()
    folders = _frame_folders(source)
    for path in source.files.paths:
        clip = _fake(source, notes, path) or _real(source, notes, folders, path)
        if clip is not None:
            used.update(clip.paths)
            yield clip
    for path in source.files.media():
        if path not in used:
            yield source.unlabelled(path, notes)
    _count_silent(source, notes, folders)


def _fake(source: Source, notes: Notes, path: str) -> Clip | None:
    match = _FAKE.fullmatch(path)
    if match is None:
        return None
    quality, subject, sentence, donor = match.groups()
    wav = _fake_sound(source, path, sentence)
    if wav is None:
        notes.count(NO_WAV, path)
    return source.clip(
        path,
        audio_path=wav or path,
        label=FAKE,
        video_label=FAKE,
        audio_label=REAL,
        method="faceswap",
        subject=subject,
        donor=donor,
        extra={"quality": quality.lower(), "sentence": sentence},
    )


def _fake_sound(source: Source, path: str, sentence: str) -> str | None:
    """The film's wav, under either of the two names that readers report."""
    film = PurePosixPath(path)
    names = (film.with_suffix(".wav"), film.with_name(f"{sentence}.wav"))
    return next((found for name in names if (found := source.files.find(str(name)))), None)


def _frame_folders(source: Source) -> dict[str, str]:
    """The folders of frames, by their name in composed form."""
    frames = (path for path in source.files.paths if frame_number(file_name(path)) is not None)
    folders = dict.fromkeys(m[1] for path in frames if (m := _REAL_PICTURES.fullmatch(path)))
    return {nfc(folder): folder for folder in folders}


def _real(source: Source, notes: Notes, folders: Mapping[str, str], path: str) -> Clip | None:
    match = _REAL_SOUND.fullmatch(path)
    if match is None:
        return None
    home, subject, sentence = match.groups()
    stem = f"{home}/video/{sentence}"
    film = _film(source, stem)
    pictures = film or folders.get(nfc(stem))
    if pictures is None:
        notes.count(BLIND, path)
    return source.clip(
        film or path,
        video_path=pictures,
        audio_path=path,
        label=REAL,
        video_label=REAL if pictures else None,
        audio_label=REAL,
        subject=subject,
        extra={"quality": "original", "sentence": sentence},
    )


def _film(source: Source, stem: str) -> str | None:
    names = (f"{stem}{ending}" for ending in sorted(VIDEO_SUFFIXES))
    return next((found for name in names if (found := source.files.find(name))), None)


def _count_silent(source: Source, notes: Notes, folders: Mapping[str, str]) -> None:
    """Frame folders whose sentence has no wav, such as the turning heads."""
    for folder in sorted(folders.values()):
        home, _, sentence = folder.rpartition("/video/")
        if source.files.find(f"{home}/audio/{sentence}.wav") is None:
            notes.count(SILENT, folder)
