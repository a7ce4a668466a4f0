"""IEMOCAP: one clip an utterance, cut from the dialog's film, with its sentence's wav.

The film shows two actors side by side. Option `halves`: "marker-left" (default) says that the left
half shows the actor with the markers, the letter of the dialog's name; "marker-right" the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from avfd.clips import REAL, Clip
from avfd.errors import InputError
from extract.datasets.base import MISSING, Notes, Source, reader
from extract.datasets.labels import read_text

# The evaluators' words, by the code of the utterance's label.
WORDS = {
    "ang": "anger",
    "dis": "disgust",
    "exc": "excited",
    "fea": "fear",
    "fru": "frustration",
    "hap": "happiness",
    "neu": "neutral",
    "oth": "other",
    "sad": "sadness",
    "sur": "surprise",
}
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
HALVES = ("marker-left", "marker-right")
UNREADABLE = "lines of EmoEvaluation that could not be read"
WHOLE = "dialog files that no clip reads (sound, or films without evaluation)"
_FILE = re.compile(r"((?:.*/)?Session(\d))/dialog/EmoEvaluation/(Ses\d\d[FM]_\w+)\.txt")
_HEAD = re.compile(r"\[(\d+\.?\d*) - (\d+\.?\d*)\]\t(\w+)\t(\w+)\t.*")
_NAME = re.compile(r"(Ses\d\d)([FM])_(impro|script)\w*_([FM])\w+")
_DIALOG = re.compile(r"(?:.*/)?Session\d/dialog/(?:avi|wav)/.+")
_VOTE = re.compile(r"C-E\d+:\t([^\t]*)")


@dataclass(frozen=True)
class Utterance:
    """One entry of EmoEvaluation; `votes` are the outside evaluators' lists of words."""

    name: str
    start_seconds: float
    end_seconds: float
    emotion: str
    votes: tuple[tuple[str, ...], ...] = ()

    @property
    def agreement(self) -> int:
        """How many evaluators chose the utterance's label; 0 where no majority was found."""
        word = WORDS.get(self.emotion)
        return 0 if word is None else sum(word in vote for vote in self.votes)


@reader("iemocap", options=("halves",))
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip an utterance; sentences that no evaluation names have no label."""
    halves = source.options.get("halves", HALVES[0])
    if halves not in HALVES:
        raise InputError("not a rule", where="option halves", found=halves, accepted=HALVES)
    used: set[str] = set()
    for path in source.files.paths:
        match = _FILE.fullmatch(path)
        if match is None:
            continue
        for utterance in utterances(_text(source, path), path, notes):
            clip = _clip(source, notes, match.groups(), utterance, halves)
            if clip is not None:
                used.update(clip.paths)
                yield clip
    for path in source.files.media():
        if path in used:
            continue
        if _DIALOG.fullmatch(path):
            notes.count(WHOLE, path)
        else:
            yield source.unlabelled(path, notes)


def _text(source: Source, path: str) -> str:
    """The evaluators' comments are in whatever encoding they typed; nothing else is not ASCII."""
    return read_text(source.root / path, encoding="latin-1")


def utterances(text: str, where: str, notes: Notes) -> Iterator[Utterance]:
    """The entries of one dialog's file: blocks with a head line and a line for each evaluator."""
    for block in re.split(r"(?m)^(?=\[)", text)[1:]:
        head, *lines = block.splitlines()
        match = _HEAD.fullmatch(head.strip())
        if match is None or not _NAME.fullmatch(match[3]):
            notes.count(UNREADABLE, f"{where}: {head}")
            continue
        yield Utterance(match[3], float(match[1]), float(match[2]), match[4], _votes(lines))


def _votes(lines: list[str]) -> tuple[tuple[str, ...], ...]:
    votes = (vote[1] for line in lines if (vote := _VOTE.match(line)))
    return tuple(
        tuple(word.split()[0].lower() for word in v.split(";") if word.strip()) for v in votes
    )


def _clip(
    source: Source, notes: Notes, place: tuple[str, ...], utterance: Utterance, halves: str
) -> Clip | None:
    """The utterance's clip; None where neither its film nor its wav is there.

    It is named after its own wav: two actors may speak at the very same time of one film.
    """
    home, session, dialog = place
    avi = f"{home}/dialog/avi/DivX/{dialog}.avi"
    wav = f"{home}/sentences/wav/{dialog}/{utterance.name}.wav"
    film, sound = source.files.find(avi), source.files.find(wav)
    for listed, found in ((avi, film), (wav, sound)):
        if found is None:
            notes.count(MISSING, listed)
    start, end = utterance.start_seconds, utterance.end_seconds
    if sound is None and film is None:
        return None
    return Clip(
        key=source.key(sound) if sound else source.key(avi, start, end),
        video_path=film,
        audio_path=sound,
        start_seconds=start if film else 0.0,
        end_seconds=end if film else None,
        audio_offset_seconds=start if film and sound else 0.0,
        crop=half_of(utterance.name, halves) if film else None,
        label=REAL,
        video_label=REAL if film else None,
        audio_label=REAL if sound else None,
        emotion=utterance.emotion,
        subject=person_of(utterance.name),
        extra=_extra(session, dialog, utterance),
    )


def _parts(name: str) -> tuple[str, str, str, str]:
    """Session, marker's letter, kind of dialog and speaker's letter of an utterance's name."""
    match = _NAME.fullmatch(name)
    assert match is not None
    session, marker, kind, speaker = match.groups()
    return session, marker, kind, speaker


def person_of(name: str) -> str:
    """Who speaks: the session and the speaker's letter.

    >>> person_of("Ses01F_impro01_M000")
    'Ses01M'
    """
    session, _, _, speaker = _parts(name)
    return session + speaker


def half_of(name: str, halves: str) -> tuple[float, float, float, float]:
    """The half of the film that shows the speaker.

    >>> half_of("Ses01F_impro01_F000", "marker-left"), half_of("Ses01F_impro01_M000", "marker-left")
    ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))
    """
    _, marker, _, speaker = _parts(name)
    return LEFT if (marker == speaker) == (halves == "marker-left") else RIGHT


def _extra(session: str, dialog: str, utterance: Utterance) -> dict[str, str]:
    kind = _parts(utterance.name)[2]
    return {
        "session": session,
        "dialog": dialog,
        "utterance": utterance.name,
        "act": "improvised" if kind == "impro" else "scripted",
        "agreement": str(utterance.agreement),
        "evaluators": str(len(utterance.votes)),
        "evaluations": "; ".join(" ".join(vote) for vote in utterance.votes),
    }
