"""RAVDESS: every file name codes modality, channel, emotion, intensity, text and actor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from avfd.clips import REAL, Clip
from extract.datasets.base import Notes, Source, reader
from extract.datasets.files import AUDIO_SUFFIXES, suffix

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
CHANNELS = {"01": "speech", "02": "song"}
FILM, SILENT, SOUND = "01", "02", "03"  # the first field
SUFFIXES = (".mp4", ".wav", ".flac")
COPIES = "copies of a trial that is here already: left out"
_NAME = re.compile(
    r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])\.(?:mp4|wav|flac)", re.I
)


@dataclass(frozen=True)
class Trial:
    """What a file name says; `trial` is all but the modality."""

    modality: str
    trial: str
    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: str

    @classmethod
    def of(cls, path: str) -> Trial | None:
        """The fields of a file name of the published form; None for another name.

        >>> Trial.of("Actor_12/03-01-05-02-01-02-12.wav").emotion
        'angry'
        """
        match = _NAME.fullmatch(PurePosixPath(path).name)
        if match is None:
            return None
        modality, channel, emotion, *rest = match.groups()
        trial = "-".join((channel, emotion, *rest))
        return cls(modality, trial, CHANNELS[channel], EMOTIONS[emotion], *rest)


@reader("ravdess")
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a trial: the film with its sound, or the sound alone where there is no film.

    Of several copies the best is taken (see `_rank`).
    """
    found = {path: Trial.of(path) for path in source.files.media()}
    films = {trial.trial for trial in found.values() if trial and trial.modality == FILM}
    taken = _taken(found)
    for path, trial in found.items():
        if trial is None:
            yield source.unlabelled(path, notes)
        elif trial.modality == SILENT:
            notes.count("films without sound (02-*): left out", path)
        elif trial.modality == SOUND and trial.trial in films:
            notes.count("sound files (03-*) of a film that is here too: left out", path)
        elif path not in taken:
            notes.count(COPIES, path)
        else:
            yield _clip(source, path, trial)


def _taken(found: Mapping[str, Trial | None]) -> set[str]:
    """The path of the best copy of every trial and modality."""
    best: dict[tuple[str, str], str] = {}
    for path, trial in found.items():
        if trial is not None:
            copy = (trial.modality, trial.trial)
            best[copy] = min(best.get(copy, path), path, key=lambda p: _rank(p, trial.modality))
    return set(best.values())


def _rank(path: str, modality: str) -> tuple[bool, int, int, str]:
    """The lowest is the best copy: of the modality's kind, shallow, wav before flac, by name."""
    ending = suffix(path)
    is_other_kind = (ending in AUDIO_SUFFIXES) == (modality == FILM)
    return is_other_kind, path.count("/"), SUFFIXES.index(ending), path


def _clip(source: Source, path: str, trial: Trial) -> Clip:
    return source.clip(
        path,
        label=REAL,
        video_label=None if trial.modality == SOUND else REAL,
        audio_label=REAL,
        emotion=trial.emotion,
        subject=trial.actor,
        extra={
            "channel": trial.channel,
            "intensity": trial.intensity,
            "statement": trial.statement,
            "repetition": trial.repetition,
        },
    )
