"""Crops on the grid of any rate: which picture, which box, which block.

Pictures are of one brightness each, so a crop says which one it was cut from.
"""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import pytest

from avfd.specs import FaceInput
from extract.backbones.base import FaceBlock
from extract.face_crop_blocks import CropBlocks, Screen, Track, track_slot_of
from extract.face_join import TrackedSlot
from extract.media import VideoFrame

WHOLE = (0.0, 0.0, 1.0, 1.0)


def film(fps: float, seconds: float, start_seconds: float = 0.0) -> list[VideoFrame]:
    """Pictures of brightness 10, 11, … that change `fps` times a second."""
    shades = [np.full((8, 8, 3), 10 + i % 240, np.uint8) for i in range(round(seconds * fps))]
    return [
        VideoFrame(av.VideoFrame.from_ndarray(s, "rgb24"), start_seconds + i / fps, 1 / fps)
        for i, s in enumerate(shades)
    ]


def followed(rows: int) -> Track:
    """A track that knows a face as large as the picture in every slot."""
    track = Track(rows)
    track.valid[:], track.values[:, :4] = True, WHOLE
    track.end()
    return track


def cut(blocks: CropBlocks, frames: Sequence[VideoFrame]) -> list[FaceBlock]:
    return [*(b for frame in frames for b in blocks.push(frame)), *blocks.finish()]


def shades(done: Sequence[FaceBlock]) -> np.ndarray:
    """Brightness of every crop in turn; 0 where there is none."""
    cores = [block.crops[block.lead : len(block.crops) - block.tail] for block in done]
    return np.concatenate(cores)[:, 2, 2, 0].astype(int)


@pytest.mark.parametrize("fps", [7.5, 15, 25, 29.97, 60])
@pytest.mark.parametrize("rate_hz", [1, 6, 7, 10, 15, 16, 24, 25, 30, 32, 60])
def test_each_slot_shows_the_picture_on_screen_at_its_centre(rate_hz: int, fps: float) -> None:
    frames = film(fps, 3.0)
    found = shades(cut(CropBlocks(FaceInput(rate_hz, 4, margin=0), followed(3)), frames))
    starts = np.array([frame.start_seconds for frame in frames])
    centres = (np.arange(3 * rate_hz) + 0.5) / rate_hz
    shown = np.searchsorted(starts, centres + 1e-7, "right") - 1
    seen = centres < starts[-1] + 1 / fps - 1e-7
    assert found.tolist() == np.where(seen, 10 + shown, 0).tolist()


@pytest.mark.parametrize("late", [0, 1, 20])
def test_a_track_that_comes_late_changes_nothing(late: int) -> None:
    frames, wanted = film(60, 3.0), FaceInput(32, 4, margin=0)
    track = Track(3)
    blocks = CropBlocks(wanted, track)
    done = []
    for i, frame in enumerate(frames):
        if i % 2 == 0 and i // 2 >= late:
            track.put(TrackedSlot(i // 2 - late, frame, WHOLE, 0.9, (0.0,) * 12, 1))
        done += blocks.push(frame)
    for slot in range(90 - late, 90):
        track.put(TrackedSlot(slot, frames[-1], WHOLE, 0.9, (0.0,) * 12, 1))
    done += blocks.finish()
    at_once = cut(CropBlocks(wanted, followed(3)), frames)
    assert shades(done).tolist() == shades(at_once).tolist()


@pytest.mark.parametrize("rate_hz", [10, 24, 32])
def test_box_and_validity_are_those_of_the_track_slot_that_covers_the_centre(rate_hz: int) -> None:
    pixels = np.repeat(np.arange(240, dtype=np.uint8)[None, :, None], 3, axis=2)
    frame = VideoFrame(av.VideoFrame.from_ndarray(np.repeat(pixels, 8, 0), "rgb24"), 0.0, 1.0)
    track = followed(1)
    width = 7 / 240  # of a box one slot wide, at columns 8 · slot to 8 · slot + 7
    track.values[:, :4] = [(8 * slot / 240, 0.0, width, 7 / 8) for slot in range(30)]
    track.valid[::3] = False
    (block,) = cut(CropBlocks(FaceInput(rate_hz, 7, margin=0), track), [frame])
    for slot in range(rate_hz):
        covering = int((slot + 0.5) / rate_hz * 30)
        assert covering == track_slot_of(slot, rate_hz)
        assert block.valid[slot] == (covering % 3 != 0)
        assert block.crops[slot, 3, 3, 0] == (8 * covering + 3 if block.valid[slot] else 0)


def test_slots_before_the_first_picture_have_no_crop() -> None:
    found = shades(cut(CropBlocks(FaceInput(32, 4), followed(2)), film(25, 1.5, 0.5)))
    assert np.flatnonzero(found).tolist() == list(range(16, 64))


def test_blocks_are_whole_seconds_up_to_the_last_row() -> None:
    done = cut(CropBlocks(FaceInput(10, 4), followed(19)), film(10, 17.5, 1.5))
    assert [(b.first_slot, len(b.crops), b.lead, b.tail) for b in done] == [
        (0, 80, 0, 0),
        (80, 80, 0, 0),
        (160, 30, 0, 0),
    ]
    valid = np.concatenate([b.valid for b in done])
    assert np.flatnonzero(~valid).tolist() == list(range(15))  # centres before 1.5 s


def test_blocks_show_the_crops_around_them_too() -> None:
    frames = film(10, 19.0)
    plain = cut(CropBlocks(FaceInput(10, 4), followed(19)), frames)
    done = cut(CropBlocks(FaceInput(10, 4), followed(19), around=(3, 5)), frames)
    assert [(b.first_slot, len(b.crops), b.lead, b.tail) for b in done] == [
        (0, 85, 0, 5),
        (77, 88, 3, 5),
        (157, 33, 3, 0),
    ]
    assert np.array_equal(shades(done), shades(plain))
    for block in done:
        whole = np.concatenate([b.crops for b in plain])
        assert np.array_equal(block.crops, whole[block.first_slot :][: len(block.crops)])


@pytest.mark.parametrize(("seconds", "ends"), [(8.0, [200]), (9.4, [None, 235]), (8.1, [202, 202])])
def test_a_block_knows_where_the_pictures_end(seconds: float, ends: list[int | None]) -> None:
    rows = int(seconds + 0.95)
    done = cut(CropBlocks(FaceInput(25, 4), followed(rows), around=(0, 5)), film(25, seconds))
    assert [block.end_slot for block in done] == ends


def test_pictures_beyond_the_last_row_are_counted_but_not_cut() -> None:
    (block,) = cut(CropBlocks(FaceInput(25, 4), followed(1)), film(25, 1.48))
    assert (len(block.crops), block.end_slot) == (25, 37)


def test_no_picture_is_held_once_its_crops_are_cut_or_known_to_be_none() -> None:
    track = Track(4)
    blocks = CropBlocks(FaceInput(60, 4), track)
    for i, frame in enumerate(film(30, 6.0)):  # two seconds beyond the last row
        track.put(TrackedSlot(i, frame))
        assert list(blocks.push(frame)) == []
        assert len(blocks._waiting) <= 2


def test_a_screen_without_pictures_ends_at_once() -> None:
    screen = Screen(25)
    assert screen.finish() == []
    assert screen.end_slot == 0
