"""The demo corpus: who says what, which clips are faked and how, and the table of it all."""

from __future__ import annotations

import csv
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfd.clips import FAKE, REAL
from avfd.demo.sentences import SENTENCES, VOICES
from avfd.demo.speech import Voice, speak_all
from avfd.errors import InputError
from avfd.machine import core_count

Progress = Callable[[int, int, str], None]
"""Called with clips done, clips in all, and a few words."""

VOCODER, BLEND, OUT_OF_STEP = "vocoder", "blend", "out-of-step"
METHODS = (VOCODER, BLEND, OUT_OF_STEP)
COLUMNS = (
    "path", "label", "video_label", "audio_label", "method", "subject", "donor", "original",
    "fake_segments",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One clip of the corpus.

    Attributes:
        path: below the corpus folder.
        subject, take: the same two numbers give the same person, words and motion; a fake differs
            from its original in what the method changes, and in nothing else.
        method: None for a real clip.
        partial: the fake covers a part of the clip, not all of it.
        seed: the corpus' seed.
    """

    path: str
    subject: int
    take: int
    method: str | None
    partial: bool
    seed: int

    @property
    def original(self) -> str | None:
        """Path of the real clip that a fake was made from."""
        return None if self.method is None else _path(self.subject, self.take, None)

    @property
    def donor(self) -> str | None:
        """The second person of a blend, who has no clip of their own."""
        return f"donor-{self.subject:02d}" if self.method == BLEND else None

    def random(self, purpose: int) -> np.random.Generator:
        """Chance that depends on the seed, the person and the take alone."""
        return np.random.default_rng([self.seed, self.subject, self.take, purpose])


def plan(clips: int, seed: int) -> list[Plan]:
    """Two real and two fake clips a person; the methods take turns over the people."""
    if clips < 4 or clips % 4:
        raise InputError(
            "the corpus has four clips a person", found=clips, accepted="a multiple of 4"
        )
    plans = []
    for subject in range(clips // 4):
        for take in (0, 1):
            method = METHODS[(subject + take) % 3]
            partial = (subject // 3 + take) % 2 == 1
            for kind in (None, method):
                path = _path(subject, take, kind)
                plans.append(Plan(path, subject, take, kind, partial, seed))
    return plans


def make_corpus(
    folder: Path, clips: int = 48, seed: int = 0, progress: Progress | None = None
) -> Path:
    """Write the clips below `folder` and return the path of their table, `clips.csv`.

    The same seed gives the same files. Every core makes clips.

    Args:
        folder: made if missing; files of the same names are written over.
        clips: how many, four a person.
        seed: of people, motion and segments.
        progress: called after every clip.
    """
    plans = plan(clips, seed)
    voices = speak_all([_line(p) for p in plans if p.method is None], seed)
    spoken = {
        (p.subject, p.take): voice
        for p, voice in zip((p for p in plans if p.method is None), voices, strict=True)
    }
    tasks = [(Path(folder), p, spoken[p.subject, p.take]) for p in plans]
    segments = []
    for done, made in enumerate(_made(tasks), 1):
        segments.append(made)
        if progress is not None:
            progress(done, len(plans), plans[done - 1].path)
    return _write_table(Path(folder), plans, segments)


def is_male(subject: int) -> bool:
    """Men and women take turns in threes, so that every method meets both."""
    return subject // 3 % 2 == 1


def _path(subject: int, take: int, method: str | None) -> str:
    kind = REAL if method is None else FAKE
    name = f"take-{take}" if method is None else f"take-{take}-{method}"
    return f"{kind}/person-{subject:02d}/{name}.mp4"


def _line(p: Plan) -> tuple[str, Voice]:
    """What the person says in this take, and how."""
    text = SENTENCES[(2 * p.subject + p.take) % len(SENTENCES)]
    random = np.random.default_rng([p.seed, p.subject, 77])
    names = VOICES["male" if is_male(p.subject) else "female"]
    voice = Voice(
        name=names[(p.subject // 6 * 3 + p.subject % 3) % len(names)],
        pitch=int(random.integers(35, 65)),
        pitch_range=int(random.integers(35, 75)),
        words_per_minute=int(random.integers(150, 180)),
    )
    return text, voice


def _made(
    tasks: Sequence[tuple[Path, Plan, NDArray[np.float32]]],
) -> Iterator[list[tuple[float, float]]]:
    """The fake segments of every clip, in order, while all cores write clips."""
    from avfd.demo.making import make_clip

    workers = min(len(tasks), core_count())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        yield from pool.map(make_clip, *zip(*tasks, strict=True))


def _write_table(
    folder: Path, plans: Sequence[Plan], segments: Sequence[list[tuple[float, float]]]
) -> Path:
    table = folder / "clips.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.DictWriter(stream, COLUMNS)
        rows.writeheader()
        rows.writerows(_row(p, s) for p, s in zip(plans, segments, strict=True))
    return table


def _row(p: Plan, segments: list[tuple[float, float]]) -> dict[str, str | None]:
    return {
        "path": p.path,
        "label": REAL if p.method is None else FAKE,
        "video_label": FAKE if p.method in (BLEND, OUT_OF_STEP) else REAL,
        "audio_label": FAKE if p.method == VOCODER else REAL,
        "method": p.method,
        "subject": f"person-{p.subject:02d}",
        "donor": p.donor,
        "original": p.original,
        "fake_segments": json.dumps(segments),
    }
