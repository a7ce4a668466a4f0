"""Backbones that read another column: from the cache with no media opened, or of the same pass."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from avfd.home import Home
from avfd.specs import ABSENT, DONE, FAILED
from extract.backbones import build, load_all
from extract.backbones.loudness import Loudness
from extract.run import extract_columns
from extract.run.plan import fingerprint

MODULES = "reading_backbones"


def means(extracts: ModuleType, home: Home) -> dict[str, np.ndarray]:
    """Clip key → mean of the valid loudness in the cache, for the clips that are done."""
    found = extracts.contents(home, "loudness")
    done = {k: v for k, v in found.items() if v[0] == DONE}
    return {
        key: np.frombuffer(values, np.float32)[np.frombuffer(valid, bool)].mean(keepdims=True)
        for key, (_, _, values, valid) in done.items()
    }


def read(extracts: ModuleType, home: Home, column: str = "mean-loudness") -> dict[str, Any]:
    """Clip key → status, reason, values of a column that reads another."""
    found = extracts.contents(home, column)
    return {k: (s, why, np.frombuffer(v, np.float32)) for k, (s, why, v, _) in found.items()}


def test_a_cached_column_is_read_with_no_media_opened(
    extracts: ModuleType, small_media: Path, home: Home
) -> None:
    extracts.extract(home, ["loudness"])
    with extracts.opens_in(small_media) as opens:
        report = extracts.extract(home, ["mean-loudness"], MODULES)
    assert not opens.counts
    assert report["media_seconds"] == 0
    assert report["columns"]["mean-loudness"] == {
        "done": 24,
        "failed": 1,
        "absent": 1,
        "pending": 0,
    }
    found = read(extracts, home)
    for key, mean in means(extracts, home).items():
        np.testing.assert_array_equal(found[key][2], mean)
    assert found["small/mute.mp4"][:2] == (ABSENT, "the clip has no audio track")
    loudness = extracts.contents(home, "loudness")
    assert found["small/text.wav"][:2] == loudness["small/text.wav"][:2]


def test_it_needs_no_media_at_all(extracts: ModuleType, small_media: Path, tmp_path: Path) -> None:
    media = shutil.copytree(small_media, tmp_path / "media")
    home = extracts.indexed(tmp_path / "home", media)
    extracts.extract(home, ["loudness"])
    shutil.rmtree(media)
    assert (
        extracts.extract(home, ["mean-loudness"], MODULES)["columns"]["mean-loudness"]["done"] == 24
    )


def test_the_column_of_the_same_pass_is_read(
    extracts: ModuleType, small_media: Path, small_home: Home, home: Home, tmp_path: Path
) -> None:
    with extracts.opens_in(small_media) as together:
        extracts.extract(home, ["mean-loudness", "loudness"], MODULES)
    alone = extracts.copied(small_home, tmp_path / "alone")
    with extracts.opens_in(small_media) as unstored:
        extracts.extract(alone, ["mean-loudness"], MODULES)
    assert together.counts == unstored.counts
    assert extracts.cache_of(alone).snapshot().columns == ["mean-loudness"]
    both = extracts.contents(home, "mean-loudness")
    assert both == extracts.contents(alone, "mean-loudness")
    found = read(extracts, home)
    assert {k: v[2].tolist() for k, v in found.items() if v[0] == DONE} == {
        k: mean.tolist() for k, mean in means(extracts, home).items()
    }


def test_its_crash_does_not_cost_the_column_that_it_reads(extracts: ModuleType, home: Home) -> None:
    extracts.extract(home, ["fatal-loudness", "loudness"], MODULES, limit=2)
    assert extracts.contents(home, "loudness")["small/c001.wav"][0] == DONE
    status, reason, _ = read(extracts, home, "fatal-loudness")["small/c001.wav"]
    assert (status, reason) == (FAILED, "worker killed by SIGSEGV")


def test_the_fingerprint_follows_that_of_the_column_read(
    extracts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(extracts.PLUGINS)
    monkeypatch.setenv("AVFD_BACKBONE_MODULES", MODULES)
    load_all()
    spec = build("mean-loudness").spec
    before = fingerprint(spec, {})
    monkeypatch.setattr(Loudness, "spec", replace(Loudness.spec, revision=99))
    assert fingerprint(spec, {}) != before


def test_a_column_that_is_not_made_from_media_is_not_read(extracts: ModuleType, home: Home) -> None:
    status, _, error = extracts.start(home, ["mean-of-mean"], MODULES).end()
    assert status == 2
    assert "reads a column that is not made from media" in error
    assert extracts.cache_of(home).snapshot().columns == []


def test_a_column_that_would_now_be_made_otherwise_is_not_read(
    extracts: ModuleType, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(Loudness, "spec", replace(Loudness.spec, revision=99))
        extract_columns(home, None, ["loudness"], limit=1, workers=1)
    status, _, error = extracts.start(home, ["mean-loudness"], MODULES).end()
    assert status == 2
    assert "the column to be read was written with other settings" in error
