"""Clips too short for most networks, by the public road: absent with a reason or a result."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file

from avfd.home import Home
from avfd.specs import ABSENT, DONE
from extract import weights
from extract.backbones import base, load_all
from extract.run import extract_columns
from extract.task import FACE_MODEL

load_all()


def networks() -> list[str]:
    """One of those that are the same network in small, by its weights and shape."""
    shipped = {n for n, e in base._REGISTRY.items() if e.make.__module__.startswith("extract.")}
    needing = sorted(n for n in shipped if set(base.build(n).spec.weights) - {FACE_MODEL})
    small = {n: base.build(f"{n}:preset=small").spec for n in needing}
    return sorted({(s.weights, s.shape, s.rate_hz): n for n, s in small.items()}.values())


NETWORKS = networks()
ASKED = [f"{name}:preset=small" for name in NETWORKS]
CLIPS = {"half.mp4": 0.5, "tenth.mp4": 0.1, "half.wav": 0.5}


def face(seconds: float, size: tuple[int, int], *, still: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face that stays where it is."""
    return still


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    extracts: ModuleType,
    media_makers: ModuleType,
    checkpoint_makers: ModuleType,
    blazeface: Path,
) -> Home:
    """A home with films of a face and a sound, through every network in one run."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("short")
    (folder / "media").mkdir()
    still = np.ascontiguousarray(data.astronaut()[:256, 96:352])
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 8_000)).astype(np.float32)
    for name, seconds in CLIPS.items():
        path, sound = folder / "media" / name, noise[:, : round(seconds * 16_000)]
        if path.suffix == ".wav":
            media_makers.make_audio(path, sound)
        else:
            picture = partial(face, still=still)
            media_makers.make_video(path, seconds, 25, (256, 256), picture=picture, audio=sound)
    home: Home = extracts.indexed(folder / "home", folder / "media")
    weights.add(blazeface, FACE_MODEL, home)
    needed = {w for ask in ASKED for w in base.build(ask).spec.weights} - {FACE_MODEL}
    for name in sorted(needed):
        tensors = checkpoint_makers.random_tensors(weights.facts(name).reader().expected())
        save_file(tensors, folder / "made.safetensors")
        given = folder / "made.safetensors"
        weights.add(given, name, home)
    report = extract_columns(home, extracts.DATASET, ASKED, device="cpu", workers=1)
    assert not report.failures
    return home


def test_a_short_clip_is_absent_with_a_reason_or_has_numbers(
    home: Home, extracts: ModuleType
) -> None:
    reader = extracts.cache_of(home).snapshot()
    for name in NETWORKS:
        column = reader.column(name)
        assert set(column.statuses(reader.keys).tolist()) <= {ABSENT, DONE}, name
        for key in reader.keys:
            (status,), (reason,) = column.statuses([key]).tolist(), column.reasons([key])
            if status == ABSENT:
                assert reason.strip(), (name, key)
                continue
            cells = column.read(key)
            assert np.isfinite(cells.values[cells.valid]).all(), (name, key)
            assert cells.values[cells.valid].any(), (name, key)


def test_half_a_second_of_a_face_is_seen(home: Home, extracts: ModuleType) -> None:
    reader = extracts.cache_of(home).snapshot()
    (key,) = [key for key in reader.keys if key.endswith("half.mp4")]
    for name in (n for n in NETWORKS if base.build(n).spec.faces):
        (reason,) = reader.column(name).reasons([key])
        assert "no face" not in reason, name


def test_half_a_second_of_film_has_no_second_but_the_slots_of_faster_columns(
    home: Home, extracts: ModuleType
) -> None:
    """The middle of its only second is its end, which lies outside."""
    reader = extracts.cache_of(home).snapshot()
    (key,) = [key for key in reader.keys if key.endswith("half.mp4")]
    for name in (n for n in NETWORKS if base.build(n).spec.faces):
        column = reader.column(name)
        (status,), (reason,) = column.statuses([key]).tolist(), column.reasons([key])
        if base.build(name).spec.rate_hz == 1:
            assert (status, reason.partition(":")[0]) == (ABSENT, "too short"), name
        else:
            assert status == DONE, name
