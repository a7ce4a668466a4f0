"""Real clips of many makers; skipped where the test data are missing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from avfd.clips import Clip
from extract.media import decode, scan


def test_every_clip_is_what_its_list_says(testdata: Path) -> None:
    with (testdata / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 81
    for row in rows:
        facts = scan(testdata / "clips" / row["path"])
        assert (facts.width, facts.height) == (int(row["width"]), int(row["height"]))
        assert facts.has_audio == (row["has_audio"] == "1")
        # The list has the containers' word, which is late by up to some packets.
        assert facts.seconds == pytest.approx(float(row["seconds"]), abs=0.1)


def test_every_clip_decodes_from_its_start(testdata: Path) -> None:
    clips = sorted(p for p in (testdata / "clips").rglob("*") if p.is_file())
    for path in clips:
        clip = Clip("d/c", video_path=path.name)
        first = next(decode(path.parent, None, clip, audio=False, video=True))
        assert first.start_seconds < 0.1
