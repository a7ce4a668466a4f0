"""The face track on its grid, against pictures whose faces are drawn where the test says.

`BlobDetector` stands in for the network: every brightness is a face, seen only where it fills a
tenth of the picture, as the real network needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from extract.face_detector import Detector, Face, merged
from extract.faces import TRACK_RATE_HZ, FaceTracker, TrackedSlot, TrackOptions
from extract.media import VideoFrame

Box = tuple[float, float, float, float]
SIZE = (320, 240)
OPTIONS = TrackOptions()


class BlobDetector(Detector):
    """Finds rectangles of one brightness each; the brightness is the score."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, rgb: NDArray[np.uint8]) -> list[Face]:
        self.calls += 1
        gray = rgb[:, :, 0]
        faces = []
        for level in sorted(set(np.unique(gray)) - {0}, reverse=True):
            y, x = np.nonzero(gray == level)
            low, high = (x.min(), y.min()), (x.max() + 1, y.max() + 1)
            box = np.array([*low, *np.subtract(high, low)], np.float64)
            if box[2] >= 0.1 * max(rgb.shape):
                points = np.tile(box[:2] + box[2:] / 2, (6, 1))
                faces.append(Face(box, level / 255, points))
        return faces


def picture(boxes: Sequence[Box], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Black, with rectangles of 250, 249, … at the boxes (pixels)."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for rank, (left, top, width, height) in enumerate(boxes):
        rows = slice(round(top), round(top + height))
        pixels[rows, round(left) : round(left + width)] = 250 - rank
    return pixels


def frames(
    boxes_at: Callable[[float], Sequence[Box]],
    seconds: float,
    fps: float = 30.0,
    start_seconds: float = 0.0,
    size: tuple[int, int] = SIZE,
) -> list[VideoFrame]:
    return [
        VideoFrame(
            av.VideoFrame.from_ndarray(picture(boxes_at(i / fps), size), "rgb24"),
            start_seconds + i / fps,
            1 / fps,
        )
        for i in range(round(seconds * fps))
    ]


def track(
    items: Sequence[VideoFrame], rows: int = 100, detector: Detector | None = None
) -> list[TrackedSlot]:
    tracker = FaceTracker(OPTIONS, detector or BlobDetector())
    slots = [slot for frame in items for slot in tracker.push(frame)]
    return slots + tracker.finish(rows)


def found(slots: Sequence[TrackedSlot]) -> list[int]:
    return [slot.slot for slot in slots if slot.box is not None]


def lefts(slots: Sequence[TrackedSlot]) -> dict[int, float]:
    """Slot → left edge of the box in pixels."""
    return {slot.slot: slot.box[0] * SIZE[0] for slot in slots if slot.box is not None}


def test_a_face_that_stays_is_in_every_slot_at_its_place() -> None:
    slots = track(frames(lambda t: [(80, 60, 64, 48)], 2.0))
    assert [slot.slot for slot in slots] == list(range(60))
    for slot in slots:
        assert slot.box == pytest.approx((80 / 320, 60 / 240, 64 / 320, 48 / 240))
        assert slot.score == pytest.approx(250 / 255)
        assert slot.keypoints[:2] == pytest.approx((112 / 320, 84 / 240))


def test_a_moving_face_is_interpolated_to_within_a_pixel() -> None:
    slots = track(frames(lambda t: [(20 + 60 * t, 60, 64, 48)], 2.0))
    error = [left - (20 + 2 * slot) for slot, left in lefts(slots).items()]
    assert len(error) == 60
    assert np.abs(error).max() < 1.0


def test_slots_before_the_first_picture_are_not_there() -> None:
    slots = track(frames(lambda t: [(80, 60, 64, 48)], 1.0, start_seconds=0.5))
    assert [slots[0].slot, slots[-1].slot] == [15, 44]


@pytest.mark.parametrize("fps", [7.5, 15, 24, 25, 29.97, 60])
def test_each_slot_shows_the_picture_on_screen_at_its_centre(fps: float) -> None:
    items = frames(lambda t: [(80, 60, 64, 48)], 2.0, fps)
    starts = np.array([frame.start_seconds for frame in items])
    for slot in track(items):
        centre = (slot.slot + 0.5) / TRACK_RATE_HZ
        assert slot.frame is items[np.searchsorted(starts, centre + 1e-6, "right") - 1]


def test_the_last_picture_stays_for_its_own_time_within_the_rows() -> None:
    items = frames(lambda t: [(80, 60, 64, 48)], 2.0, fps=2)
    assert track(items)[-1].slot == 59
    assert track(items[:3], rows=1)[-1].slot < 45
    assert track(items, rows=2)[-1].slot == 59


def test_no_box_is_drawn_across_a_cut() -> None:
    def cut(seconds: float) -> list[Box]:
        return [(20, 20, 64, 64)] if seconds < 1.05 else [(240, 150, 64, 64)]

    slots = track(frames(cut, 4.0))
    assert set(np.round(list(lefts(slots).values()))) == {20, 240}
    # The other place is taken when the face has been lost for a second.
    assert [s for s in range(120) if s not in found(slots)] == list(range(31, 65))


@pytest.mark.parametrize(("gone_slots", "is_bridged"), [(9, True), (24, False)])
def test_a_short_loss_is_bridged_and_a_long_one_is_not(gone_slots: int, is_bridged: bool) -> None:
    def blinking(seconds: float) -> list[Box]:
        away = 30 < seconds * 30 + 0.5 < 31 + gone_slots
        return [] if away else [(80, 60, 64, 48)]

    slots = found(track(frames(blinking, 4.0)))
    assert (slots == list(range(120))) is is_bridged


def test_the_largest_face_is_followed_even_when_another_outgrows_it() -> None:
    def two(seconds: float) -> list[Box]:
        return [(20, 60, 60, 60), (200, 60, 40 + 30 * seconds, 40 + 30 * seconds)]

    slots = track(frames(two, 3.0), rows=3)
    assert set(np.round(list(lefts(slots).values()))) == {20}


def test_the_faces_are_counted_at_the_first_look_and_every_five_seconds() -> None:
    def joined_by_another(seconds: float) -> list[Box]:
        return [(20, 60, 60, 60), *([(200, 60, 40, 40)] if seconds > 2 else [])]

    slots = track(frames(joined_by_another, 6.0))
    assert [slot.faces for slot in slots] == [1] * 150 + [2] * 30


def test_a_search_that_finds_nothing_leaves_the_count() -> None:
    def blinking(seconds: float) -> list[Box]:
        return [] if 0.9 < seconds < 1.1 else [(80, 60, 64, 48), (200, 60, 40, 40)]

    slots = track(frames(blinking, 2.0))
    assert found(slots) == list(range(60))
    assert {slot.faces for slot in slots} == {2}


def test_a_small_face_in_a_large_picture_is_found_in_tiles() -> None:
    size = (1920, 1080)
    box = (1500.0, 700.0, 60.0, 60.0)
    detector = BlobDetector()
    slots = track(frames(lambda t: [box], 0.5, size=size), detector=detector)
    assert len(found(slots)) == 15
    assert slots[0].box == pytest.approx((1500 / 1920, 700 / 1080, 60 / 1920, 60 / 1080))
    # The whole picture, tiles of two sizes, a closer look; then one square a search.
    assert detector.calls == 1 + 3 + 15 + 1 + 3


def test_a_face_that_a_closer_look_does_not_confirm_is_none() -> None:
    class Doubtful(BlobDetector):
        def detect(self, rgb: NDArray[np.uint8]) -> list[Face]:
            return [replace(face, score=0.55) for face in super().detect(rgb)]

    assert found(track(frames(lambda t: [(80, 60, 64, 48)], 1.0), detector=Doubtful())) == []


def test_where_there_is_no_face_no_slot_has_one() -> None:
    slots = track(frames(lambda t: [], 2.0))
    assert len(slots) == 60
    assert found(slots) == []
    assert not slots[0].vector().any()


def test_few_pictures_are_held_however_long_the_clip_is() -> None:
    tracker = FaceTracker(OPTIONS, BlobDetector())
    handed_on, most = 0, 0
    boxes: list[Box] = [(80, 60, 64, 48)]
    for i, frame in enumerate(frames(lambda t: boxes if t % 3 < 2 else [], 20.0)):
        handed_on += len(tracker.push(frame))
        most = max(most, i - handed_on)
    assert most <= OPTIONS.bridge_slots + 2 * OPTIONS.every_slots


def test_the_vector_is_box_score_points_and_count() -> None:
    (slot, *_) = track(frames(lambda t: [(80, 60, 64, 48)], 0.2))
    vector = slot.vector()
    assert (vector.dtype, vector.shape) == (np.float32, (18,))
    assert vector[:5] == pytest.approx([0.25, 0.25, 0.2, 0.2, 250 / 255])
    assert vector[5:17] == pytest.approx([0.35] * 12)
    assert vector[17] == 1


def test_of_two_detections_of_one_face_the_better_stays() -> None:
    def face(left: float, width: float, score: float) -> Face:
        return Face(np.array([left, 0.0, width, 40.0]), score, np.zeros((6, 2)))

    whole, part, other = face(0, 40, 0.9), face(25, 15, 0.6), face(100, 40, 0.7)
    assert merged([part, whole, other], 0.5) == [whole, other]
