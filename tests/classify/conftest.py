"""Small homes with a clip table and a real cache, filled with numbers that tests choose."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from avfd.cache import Cache, ClipResult, Entry
from avfd.clips import Clip, grouped, write_table
from avfd.home import DatasetFacts, Home
from avfd.specs import ABSENT, DONE, BackboneSpec

RATE_HZ, DIM = 10, 3


@dataclass(frozen=True)
class Content:
    """One clip of one column: values [rows, rate, dim] (clip-level: [dim]) and valid slots."""

    values: NDArray[np.floating]
    valid: NDArray[np.bool_] | None = None


Fill = Callable[[Clip, int, np.random.Generator], Content | None]


@dataclass(frozen=True)
class Column:
    """A column to make: its spec and what it holds of each clip (None: absent)."""

    spec: BackboneSpec
    fill: Fill
    fingerprint: str = ""
    facts: Mapping[str, object] | None = None


def spec(
    name: str, modality: str = "audio", rate_hz: int = RATE_HZ, **more: object
) -> BackboneSpec:
    facts: dict[str, object] = {"shape": (DIM,), "summary": "made for tests", **more}
    return BackboneSpec(name=name, revision=1, modality=modality, rate_hz=rate_hz, **facts)


def make_clips(dataset: str, subjects: int = 12, each: int = 4, unlabelled: int = 0) -> list[Clip]:
    """Clips of 2 to 4 seconds; of every person half are real, emotions take turns."""
    clips = [
        Clip(
            key=f"{dataset}/s{subject:02d}_{i}.mp4",
            video_path=f"s{subject:02d}_{i}.mp4",
            audio_path=f"s{subject:02d}_{i}.mp4",
            label=("real", "fake")[i % 2],
            emotion=("anger", "joy", "neutral")[i % 3],
            subject=f"s{subject:02d}",
            seconds=2.0 + (subject + i) % 3,
            has_audio=True,
            has_video=True,
        )
        for subject in range(subjects)
        for i in range(each)
    ]
    bare = [
        Clip(key=f"{dataset}/u{i}.mp4", video_path=f"u{i}.mp4", seconds=2.0, has_video=True)
        for i in range(unlabelled)
    ]
    return grouped([*clips, *bare])


def make_home(
    path: Path,
    dataset: str,
    clips: Sequence[Clip],
    columns: Sequence[Column],
    media: Mapping[str, str] | None = None,
) -> Home:
    """A home (or one more data set in it) as index and extract would leave it.

    Args:
        media: clip key → sha256 of its media, of clips whose media were read.
    """
    home = Home.at(path)
    write_table(clips, home.clip_table(dataset))
    home.write_facts(DatasetFacts(name=dataset, layout="folder", root="/nowhere"))
    cache = Cache.open(
        home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset), create=True
    )
    cache.update_clips([Entry(c.key, c.seconds, c.bytes, c.mtime_ns) for c in clips])
    reader = cache.snapshot()
    for column in columns:
        name = column.spec.name
        fingerprint = column.fingerprint or column.spec.fingerprint({})
        cache.ensure_column(name, column.spec, fingerprint, dict(column.facts or {}))
        rng = np.random.default_rng(zlib.crc32(f"{dataset}/{name}".encode()))
        results = [_result(reader, clip, column, rng) for clip in clips]
        digests = [(media or {}).get(result.key, "") for result in results]
        read = [replace(r, sha256=d) for r, d in zip(results, digests, strict=True)]
        cache.write({name: read})
    return home


def _result(reader: object, clip: Clip, column: Column, rng: np.random.Generator) -> ClipResult:
    entry, rows = reader.entry(clip.key), reader.rows(clip.key)
    content = column.fill(clip, rows, rng)
    if content is None:
        return ClipResult(entry, clip.key, ABSENT, reason="made absent")
    dtype = column.spec.dtype
    if column.spec.clip_level:
        return ClipResult(entry, clip.key, DONE, values=content.values.astype(dtype))
    valid = (
        content.valid if content.valid is not None else np.ones((rows, column.spec.rate_hz), bool)
    )
    return ClipResult(entry, clip.key, DONE, values=content.values.astype(dtype), valid=valid)


def noise(clip: Clip, rows: int, rng: np.random.Generator) -> Content:
    """Nothing to learn."""
    return Content(rng.normal(size=(rows, RATE_HZ, DIM)))


def mean_signal(clip: Clip, rows: int, rng: np.random.Generator) -> Content:
    """Fakes have a higher mean in dimension 0; the last half second is invalid and wild."""
    values = rng.normal(size=(rows, RATE_HZ, DIM))
    values[..., 0] += 2.0 * (clip.label == "fake")
    valid = np.ones((rows, RATE_HZ), dtype=bool)
    valid[-1, RATE_HZ // 2 :] = False
    values[~valid] = 1e6
    return Content(values, valid)


@pytest.fixture(scope="module", autouse=True)
def _figures_where_they_are_tested(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drawing takes a third of a fit: a run has figures only in modules with `DRAWS = True`."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "DRAWS", False):
            for module in ("classify.fit", "classify.fuse"):
                patch.setattr(import_module(module), "write_figures", lambda *_: [])
        yield


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What tests need to make homes."""
    return SimpleNamespace(
        Column=Column,
        Content=Content,
        spec=spec,
        make_clips=make_clips,
        make_home=make_home,
        noise=noise,
        mean_signal=mean_signal,
    )


@pytest.fixture(scope="session")
def av_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Data set "d": 12 people × 4 clips, one audio and one video column with signal."""
    columns = [
        Column(spec("compare2016", licence="audEERING Research License"), mean_signal),
        Column(spec("face_track", "video"), mean_signal),
        Column(spec("noise"), noise),
    ]
    return make_home(tmp_path_factory.mktemp("home"), "d", make_clips("d"), columns)
