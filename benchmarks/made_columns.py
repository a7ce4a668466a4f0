"""A home whose columns hold random numbers in the shapes of real backbones, and .npy files too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfd.cache import Cache, ClipResult, Entry
from avfd.clips import FAKE, REAL, Clip, grouped, write_table
from avfd.home import DatasetFacts, Home
from avfd.specs import DONE, BackboneSpec
from classify.columns import Unit

DATASET, SECONDS = "bench", 10
CLIPS_A_PERSON = 4
COMMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class Made:
    """One corpus in both shapes.

    Attributes:
        home: with the data set DATASET.
        files: `<files>/<column>/<stem>.npy` [seconds * rate, *shape]; a file a clip and column.
        clips: of SECONDS seconds, real and fake in turn, several a person.
    """

    home: Home
    files: Path
    clips: list[Clip]

    @property
    def units(self) -> list[Unit]:
        """Every clip as a sample."""
        return [Unit(DATASET, (c.key,), c.group or c.key, c.label) for c in self.clips]

    @property
    def stems(self) -> list[str]:
        """Names of the clips' files."""
        return [Path(c.key).stem for c in self.clips]


def make(folder: Path, specs: Mapping[str, BackboneSpec], count: int, *, files: bool) -> Made:
    """Fill a home below `folder`.

    Args:
        specs: column → its spec, which must have vectors a second.
        count: clips.
        files: write the .npy files as well.
    """
    made = Made(Home.at(folder / "home"), folder / "files", clips_of(count))
    write_table(made.clips, made.home.clip_table(DATASET))
    made.home.write_facts(DatasetFacts(name=DATASET, layout="folder", root="nowhere"))
    lock = made.home.lock_path(DATASET)
    url = made.home.cache_url(DATASET)
    cache = Cache.open(url, dataset=DATASET, lock_path=lock, create=True)
    cache.update_clips([Entry(c.key, c.seconds, c.bytes, c.mtime_ns) for c in made.clips])
    for seed, (name, spec) in enumerate(specs.items()):
        cache.ensure_column(name, spec, f"{seed:064d}", {})
        for first, values in blocks(spec, count, seed):
            cache.write({name: _results(made, spec, first, values)})
            if files:
                _save(made.files / name, made.stems[first:], values)
    return made


def clips_of(count: int) -> list[Clip]:
    """So many clips, real and fake in turn."""
    return grouped(
        [
            Clip(
                key=f"{DATASET}/{i:06d}.mp4",
                video_path=f"{i:06d}.mp4",
                audio_path=f"{i:06d}.mp4",
                label=(REAL, FAKE)[i % 2],
                subject=f"person {i // CLIPS_A_PERSON}",
                seconds=float(SECONDS),
                has_audio=True,
                has_video=True,
            )
            for i in range(count)
        ]
    )


def blocks(spec: BackboneSpec, count: int, seed: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """First clip and values [clips, seconds * rate, *shape] of some clips after the other."""
    rng = np.random.default_rng(seed)
    one = (SECONDS * spec.rate_hz, *spec.shape)
    clip_bytes = int(np.prod(one)) * np.dtype(spec.dtype).itemsize
    step = max(1, COMMIT_BYTES // clip_bytes)
    for first in range(0, count, step):
        shape = (min(step, count - first), *one)
        yield first, rng.standard_normal(shape, dtype=np.float32).astype(spec.dtype, copy=False)


def _results(made: Made, spec: BackboneSpec, first: int, values: NDArray[Any]) -> list[ClipResult]:
    valid = np.ones((SECONDS, spec.rate_hz), dtype=bool)
    rows = values.reshape(len(values), SECONDS, spec.rate_hz, *spec.shape)
    return [
        ClipResult(i, made.clips[i].key, DONE, values=clip, valid=valid)
        for i, clip in enumerate(rows, start=first)
    ]


def _save(folder: Path, stems: list[str], values: NDArray[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, clip in zip(stems, values, strict=False):
        np.save(folder / f"{stem}.npy", clip)
