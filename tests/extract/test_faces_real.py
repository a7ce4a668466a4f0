"""The real network on real clips; skipped where the test data are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avfd.clips import Clip
from avfd.timeline import row_count
from extract.faces import TRACK_RATE_HZ, FaceTracker, TrackedSlot, TrackOptions
from extract.media import VideoFrame, decode, scan

DFDC = ("abofeumbvv", "abqwwspghj", "brtujopkby")


def track(folder: Path, path: str, model: Path) -> list[TrackedSlot]:
    rows = row_count(scan(folder / path).seconds)
    tracker = FaceTracker(TrackOptions(), model)
    slots = []
    for frame in decode(folder, None, Clip("d/c", video_path=path), audio=False, video=True):
        if isinstance(frame, VideoFrame):
            slots += tracker.push(frame)
    return slots + tracker.finish(rows)


@pytest.mark.parametrize("name", DFDC)
def test_dfdc_faces_are_followed_over_nine_tenths_of_the_clip(
    testdata: Path, blazeface: Path, name: str
) -> None:
    slots = track(testdata / "clips", f"fake/dfdc/{name}.mp4", blazeface)
    rows = row_count(scan(testdata / "clips" / f"fake/dfdc/{name}.mp4").seconds)
    assert sum(slot.box is not None for slot in slots) >= 0.9 * rows * TRACK_RATE_HZ


def test_a_track_repeats_bit_for_bit(testdata: Path, blazeface: Path) -> None:
    path = "real/youtube/cropped05.mp4"
    first, second = (track(testdata / "clips", path, blazeface) for _ in range(2))
    assert [s.vector().tobytes() for s in first] == [s.vector().tobytes() for s in second]
    assert any(slot.box is not None for slot in first)


def test_key_points_lie_in_their_box(testdata: Path, blazeface: Path) -> None:
    slots = track(testdata / "clips", "real/youtube/cropped04.mp4", blazeface)
    for slot in slots:
        assert slot.box is not None
        left, top, width, height = slot.box
        points = np.array(slot.keypoints[:8]).reshape(4, 2)
        assert (points > (left, top)).all()
        assert (points < (left + width, top + height)).all()
        assert points[0, 0] < points[2, 0] < points[1, 0]


def test_no_face_is_seen_in_noise(blazeface: Path) -> None:
    import av

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (360, 640, 3), np.uint8)
    tracker = FaceTracker(TrackOptions(), blazeface)
    slots = tracker.push(VideoFrame(av.VideoFrame.from_ndarray(noise, "rgb24"), 0.0, 1.0))
    slots += tracker.finish(1)
    assert len(slots) == TRACK_RATE_HZ
    assert all(slot.box is None for slot in slots)
