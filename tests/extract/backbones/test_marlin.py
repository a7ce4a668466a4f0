"""MARLIN's windows: which crops they show, which slots they fill, what makes them invalid.

Crops are of one colour each, which is the number of their frame: windows tell what they show.
"""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from avfd.errors import AbsentError, InputError
from avfd.specs import FaceInput
from extract.backbones._marlin_windows import published_windows
from extract.backbones.base import FaceBlock, Slots, build
from extract.backbones.marlin import Marlin
from extract.face_crop_blocks import CropBlocks, Track
from extract.media import VideoFrame

SIZE = 64  # of the small preset's crops


def marlin(ask: str) -> Marlin:
    name, _, options = ask.partition(":")
    backbone = build(f"{name}:preset=small,{options}")
    assert isinstance(backbone, Marlin)
    return backbone


def numbered(n: int, valid: np.ndarray | None = None, first_slot: int = 0) -> FaceBlock:
    crops = np.stack([colour(i, SIZE) for i in range(first_slot, first_slot + n)])
    return FaceBlock(crops, first_slot, np.ones(n, dtype=bool) if valid is None else valid)


def colour(frame: int, size: int) -> np.ndarray:
    return np.full((size, size, 3), (frame % 256, frame // 256, 0), dtype=np.uint8)


def frame_numbers(inputs: np.ndarray) -> np.ndarray:
    """Of crops [..., size, size, 3]."""
    return inputs[..., SIZE // 2, SIZE // 2, :2] @ np.array([1, 256])


def shown(backbone: Marlin, block: FaceBlock) -> list[list[int]]:
    """The frames that each window shows."""
    inputs = backbone.windows(block).inputs
    assert inputs.shape[1:] == (16, SIZE, SIZE, 3)
    assert inputs.dtype == np.uint8
    found: list[list[int]] = frame_numbers(inputs).tolist()
    return found


def slots(backbone: Marlin, block: FaceBlock) -> Slots:
    """Slots of a network that answers with the frames that a unit shows, and the unit's number."""
    windows = backbone.windows(block)
    n, units = len(windows.inputs), backbone.units
    outputs = np.zeros((n, units, backbone.spec.shape[0]), dtype=np.float32)
    outputs[:, :, 0] = frame_numbers(windows.inputs).reshape(n, units, -1).mean(axis=2)
    outputs[:, :, 1] = np.arange(units)
    return backbone.slots(windows, outputs)


def test_the_specs_are_those_of_the_published_networks() -> None:
    for size, dim in {"small": 384, "base": 768, "large": 1024}.items():
        pooled, tokens = build(f"marlin-{size}").spec, build(f"marlin-{size}-tokens").spec
        assert (pooled.rate_hz, pooled.shape) == (1, (dim,))
        assert (tokens.rate_hz, tokens.shape) == (8, (dim,))
        assert pooled.faces == tokens.faces == FaceInput(32, 224, margin=0.2)
        assert pooled.weights == tokens.weights == ("blazeface", f"marlin-{size}")
        assert (pooled.options["norm"], tokens.options["norm"]) == (False, True)
        assert "NC" in pooled.licence


def test_a_window_is_every_other_frame_of_a_second() -> None:
    backbone = marlin("marlin-base")
    assert shown(backbone, numbered(64, first_slot=32)) == [
        list(range(32, 64, 2)),
        list(range(64, 96, 2)),
    ]
    assert slots(backbone, numbered(64, first_slot=32)).first_slot == 1


def test_tokens_stand_where_their_two_frames_are() -> None:
    found = slots(marlin("marlin-base-tokens"), numbered(64, first_slot=64))
    assert (found.first_slot, found.valid.all()) == (16, True)
    assert found.values[:, 0].tolist() == [65 + 4 * i for i in range(16)]  # frames 64, 66 …
    assert found.values[:, 1].tolist() == [*range(8), *range(8)]


def test_a_frame_without_a_face_takes_the_nearest_one_the_earlier_of_two() -> None:
    valid = np.ones(32, dtype=bool)
    valid[[0, 8, 20, 22]] = False
    valid[1::2] = False  # odd frames are not looked at
    (window,) = shown(marlin("marlin-base"), numbered(32, valid))
    assert window == [2, 2, 4, 6, 6, 10, 12, 14, 16, 18, 18, 24, 24, 26, 28, 30]


@pytest.mark.parametrize(("seen", "kept"), [(8, True), (7, False)])
def test_a_second_needs_the_face_in_half_of_its_frames(seen: int, kept: bool) -> None:
    valid = np.ones(64, dtype=bool)
    valid[2 * seen : 32] = False
    found = slots(marlin("marlin-base"), numbered(64, valid))
    assert found.valid.tolist() == [kept, True]
    assert bool(found.values[0].any()) is kept
    tokens = slots(marlin("marlin-base-tokens"), numbered(64, valid))
    expected = [kept and token < 4 for token in range(8)]
    assert tokens.valid.tolist() == [*expected, *[True] * 8]


def test_a_token_needs_the_face_in_one_of_its_two_frames() -> None:
    valid = np.ones(32, dtype=bool)
    valid[[0, 4, 6, 12, 14]] = False
    found = slots(marlin("marlin-base-tokens"), numbered(32, valid))
    assert found.valid.tolist() == [True, False, True, False, True, True, True, True]


def test_a_block_with_too_few_faces_is_absent() -> None:
    for ask in ("marlin-base", "marlin-base-tokens", "marlin-base:windows=published"):
        with pytest.raises(AbsentError, match=r"too few frames show a face.*8 of the 16"):
            marlin(ask).windows(numbered(32, np.arange(32) < 14))


@pytest.mark.parametrize(
    ("frames", "windows"),
    [(10, 1), (16, 1), (17, 1), (32, 1), (33, 1), (64, 1), (65, 2), (250, 7), (300, 9)],
)
def test_published_windows_are_as_many_as_marlins_own_code_cuts(frames: int, windows: int) -> None:
    cut = published_windows(0, 10_000, frames)
    assert len(cut.frames) == windows
    if frames <= 16:
        assert cut.frames[0].tolist() == [*range(frames), *[frames - 1] * (16 - frames)]
    elif frames <= 32:
        assert cut.frames[0].tolist() == list(range(16))
    else:
        assert cut.frames.tolist() == [
            list(range(start, start + 32, 2)) for start in range(0, frames - 32, 32)
        ]


def film(fps: int, frames: int) -> list[VideoFrame]:
    pictures = [av.VideoFrame.from_ndarray(colour(i, 16), "rgb24") for i in range(frames)]
    return [VideoFrame(picture, i / fps, 1 / fps) for i, picture in enumerate(pictures)]


def through(backbone: Marlin, fps: int, frames: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and mask of a clip that is a face all over, through its blocks."""
    track = Track(rows)
    track.valid[:], track.values[:, :4] = True, (0.0, 0.0, 1.0, 1.0)
    track.end()
    assert backbone.spec.faces is not None
    blocks = CropBlocks(backbone.spec.faces, track, backbone.crops_around)
    done = [b for frame in film(fps, frames) for b in blocks.push(frame)]
    done += blocks.finish()
    values = np.zeros((rows * backbone.spec.rate_hz, 2))
    valid = np.zeros(rows * backbone.spec.rate_hz, dtype=bool)
    for block in done:
        try:
            found = slots(backbone, block)
        except AbsentError:
            continue
        kept = slice(found.first_slot, found.first_slot + len(found.valid))
        assert not valid[kept].any(), "no slot is filled twice"
        n = len(valid[kept])  # what lies beyond the last row is cut
        values[kept], valid[kept] = found.values[:n, :2], found.valid[:n]
    return values, valid


@pytest.mark.parametrize("fps", [24, 25, 30])
@pytest.mark.parametrize("seconds", [0.6, 1.0, 1.2, 1.28, 1.32, 2.6, 8.0, 8.4, 9.6])
@pytest.mark.parametrize("units", [1, 8])
def test_a_slot_has_the_published_window_that_covers_its_centre(
    fps: int, seconds: float, units: int
) -> None:
    name = "marlin-base" if units == 1 else "marlin-base-tokens"
    backbone = marlin(f"{name}:windows=published,fps={fps},margin=0")
    n, rows = round(seconds * fps), int(seconds + 0.5)
    values, valid = through(backbone, fps, n, rows)
    for slot in range(len(valid)):
        centre = (slot + 0.5) / units * fps
        if n <= 32:
            start, span, frames = 0, n, np.minimum(np.arange(16), n - 1)
        else:
            start, span = int(centre // 32) * 32, 32
            frames = np.minimum(start + 2 * np.arange(16), rows * fps - 1)
            frames = np.where(frames % 2 == start % 2, frames, frames - 1)
        there = centre < n if n <= 32 else start < n - 32
        unit = int((centre - start) * units / span)
        of_unit = frames.reshape(units, -1)[unit] if there else frames
        if there and valid[slot]:
            assert values[slot].tolist() == [of_unit.mean(), unit]
        seen = start + 32 <= rows * fps or n <= 32
        assert valid[slot] == there or not seen


def test_a_published_window_that_ends_beyond_the_last_row_repeats_the_last_crop() -> None:
    backbone = marlin("marlin-base:windows=published,fps=25")
    values, valid = through(backbone, 25, 260, 10)  # 10.4 s: window 7 is frames 224 to 255
    assert valid.all()
    frames = [*range(224, 250, 2), 248, 248, 248]
    assert values[9, 0] == np.mean(frames)


def test_a_clip_whose_window_reaches_no_slots_middle_is_too_short() -> None:
    """12 frames at 25 a second end at 0.48 s; the middle of the first second is at 0.5 s."""
    block = replace(numbered(12), end_slot=12)
    with pytest.raises(AbsentError, match=r"too short for marlin-base: .* middle of a slot"):
        marlin("marlin-base:windows=published").windows(block)
    assert marlin("marlin-base-tokens:windows=published").windows(block).valid.all()


def test_what_decides_the_numbers_is_in_the_fingerprint() -> None:
    asks = ("", ":windows=published", ":windows=published,fps=30", ":margin=0", ":norm=true")
    specs = [build(f"marlin-base{options}").spec for options in asks]
    prints = {spec.fingerprint(dict.fromkeys(spec.weights, "0" * 64)) for spec in specs}
    assert len(prints) == len(asks)


@pytest.mark.parametrize("options", ["windows=all", "fps=0", "margin=-0.5", "frames=8"])
def test_what_it_cannot_do_is_refused(options: str) -> None:
    with pytest.raises(InputError):
        build(f"marlin-base:{options}")


@pytest.mark.parametrize("name", ["marlin-base", "marlin-small-tokens"])
def test_frames_a_second_without_published_windows_are_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=r"found: fps=30, windows=second; accepted: .*published"):
        build(f"{name}:fps=30")
    assert build(f"{name}:fps=25").spec == build(name).spec


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"64 px.*224 px"):
        build("marlin-base").faces(numbered(32))
