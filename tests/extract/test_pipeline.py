"""One clip through several backbones: what each column gets, and what an error costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avfd.cache import ClipResult
from avfd.clips import Clip
from avfd.errors import AbsentError, InputError, MediaError
from avfd.specs import ABSENT, DONE, FAILED, AudioInput, BackboneSpec, FaceInput
from extract.assembly import Assembly, Grid, Place
from extract.backbones.base import AudioBlock, Backbone, FaceBlock, Slots
from extract.face_detector import Detector, Face
from extract.pipeline import ClipReport, run_clip
from extract.scans import Roots, with_stat
from extract.task import FACE_TRACK, Task

AUDIO = BackboneSpec("level", 1, "audio", "", rate_hz=10, shape=(1,), audio=AudioInput(16_000))
TRACK = BackboneSpec(FACE_TRACK, 1, "video", "", rate_hz=30, shape=(18,))
FACES = BackboneSpec(
    "tiny-faces",
    1,
    "video",
    "",
    rate_hz=10,
    shape=(8, 8, 3),
    dtype="uint8",
    faces=FaceInput(10, 8),
)


class Level(Backbone):
    """The loudest sample of each tenth of a second."""

    spec = AUDIO

    def audio(self, block: AudioBlock) -> Slots:
        n = len(block.samples) // 1600
        peaks = np.abs(block.samples[: n * 1600]).reshape(n, 1600).max(axis=1)
        return Slots(round(block.core_seconds[0] * 10), peaks[:, None], np.ones(n, dtype=bool))


class Raising(Level):
    """Level, but it raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def audio(self, block: AudioBlock) -> Slots:
        raise self.error


class TinyFaces(Backbone):
    """The crops as they are."""

    spec = FACES

    def faces(self, block: FaceBlock) -> Slots:
        return Slots(block.first_slot, block.crops, block.valid)


class TrackRows(Backbone):
    """The face track as it is."""

    spec = TRACK

    def track(self, rows: np.ndarray, valid: np.ndarray) -> Slots:
        return Slots(0, rows, valid)


class OneFace(Detector):
    """Finds a face in the middle of whatever it is shown, or none."""

    def __init__(self, present: bool = True) -> None:
        self.present = present

    def detect(self, rgb: np.ndarray) -> list[Face]:
        height, width = rgb.shape[:2]
        box = np.array([width / 4, height / 4, width / 2, height / 2])
        points = np.full((6, 2), (width / 2, height / 2), dtype=np.float64)
        return [Face(box, 0.9, points)] if self.present else []

    def close(self) -> None:
        pass


@pytest.fixture
def sound(tmp_path: Path, make_audio: Callable[..., Path]) -> Clip:
    """2.3 seconds of noise."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 36_800)).astype(np.float32)
    make_audio(tmp_path / "a.wav", noise)
    return known(Clip("d/a.wav", audio_path="a.wav", seconds=2.3, has_audio=True), tmp_path)


@pytest.fixture
def film(tmp_path: Path, make_video: Callable[..., Path]) -> Clip:
    """2 seconds of pictures."""
    make_video(tmp_path / "v.mp4", 2.0, audio_rate_hz=None)
    return known(Clip("d/v.mp4", video_path="v.mp4", seconds=2.0, has_video=True), tmp_path)


def known(clip: Clip, root: Path) -> Clip:
    return with_stat([clip], Roots(root))[0]


def run(
    clip: Clip,
    root: Path,
    *backbones: Backbone,
    rows: int = 2,
    detector: Detector | None = None,
    stored: dict[str, ClipResult] | None = None,
) -> ClipReport:
    names = {f"{i}": b.spec.name for i, b in enumerate(backbones)}
    task = Task(clip, 3, rows, names, stored or {})
    columns = [Assembly(f"{i}", b, task.place) for i, b in enumerate(backbones)]
    return run_clip(task, columns, Roots(root), detector)


def test_a_clip_fills_its_rows_and_what_lies_beyond_is_counted(sound: Clip, tmp_path: Path) -> None:
    report = run(sound, tmp_path, Level())
    (result,) = report.results.values()
    assert (result.entry, result.key, result.status) == (3, "d/a.wav", DONE)
    assert result.values.shape == (2, 10, 1)
    assert result.valid.all()
    assert report.cut == 3
    assert len(result.sha256) == 64
    assert report.media_seconds == 2.3


def test_what_was_lost_of_the_media_is_noted(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    path = make_video(tmp_path / "a.mkv", 4.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = Clip("d/a.mkv", video_path="a.mkv", audio_path="a.mkv", seconds=4.0, has_audio=True)
    report = run(known(clip, tmp_path), tmp_path, Level())
    (result,) = report.results.values()
    assert result.status == DONE
    assert any("that the file announces" in note for note in report.notes)


def test_nothing_is_noted_of_healthy_media(sound: Clip, tmp_path: Path) -> None:
    assert run(sound, tmp_path, Level()).notes == ()


def test_rows_that_the_media_lack_are_invalid_and_zero(sound: Clip, tmp_path: Path) -> None:
    (result,) = run(sound, tmp_path, Level(), rows=4).results.values()
    assert result.valid.reshape(-1).tolist() == [True] * 23 + [False] * 17
    assert not result.values[~result.valid].any()


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (AbsentError("too short for one frame"), ABSENT, "too short for one frame"),
        (MediaError("cannot be used", found="8 bit"), FAILED, "cannot be used; found: 8 bit"),
        (KeyError("weights"), FAILED, "KeyError: 'weights'"),
        (MemoryError(), FAILED, "MemoryError: out of memory"),
    ],
)
def test_an_error_of_a_backbone_costs_its_column_only(
    error: Exception, status: int, reason: str, sound: Clip, tmp_path: Path
) -> None:
    good, bad, last = run(sound, tmp_path, Level(), Raising(error), Level()).results.values()
    assert (bad.status, bad.reason) == (status, reason)
    assert bad.values is None
    assert good.status == last.status == DONE


def test_vectors_of_another_shape_are_a_failure_that_names_both(
    sound: Clip, tmp_path: Path
) -> None:
    backbone = Level()
    backbone.spec = replace(AUDIO, shape=(2,))
    (result,) = run(sound, tmp_path, backbone).results.values()
    assert result.status == FAILED
    assert "(1,)" in result.reason
    assert "(2,)" in result.reason


def test_what_index_knows_to_be_missing_opens_no_media(sound: Clip, tmp_path: Path) -> None:
    (tmp_path / "a.wav").unlink()
    (silent,) = run(replace(sound, has_audio=False), tmp_path, Level()).results.values()
    assert (silent.status, silent.reason) == (ABSENT, "the clip has no audio track")
    (broken,) = run(replace(sound, problem="no header"), tmp_path, Level()).results.values()
    assert (broken.status, broken.reason) == (FAILED, "no header")


def test_a_missing_file_is_a_failure_that_names_it(sound: Clip, tmp_path: Path) -> None:
    (tmp_path / "a.wav").unlink()
    (result,) = run(sound, tmp_path, Level()).results.values()
    assert result.status == FAILED
    assert "a.wav: No such file" in result.reason


@pytest.mark.parametrize("rate_hz", [7, 10, 15, 30, 32, 60])
def test_crops_of_a_cached_track_equal_those_of_a_fresh_one(
    rate_hz: int, film: Clip, tmp_path: Path
) -> None:
    faces = TinyFaces()
    faces.spec = replace(FACES, rate_hz=rate_hz, faces=FaceInput(rate_hz, 8))
    track, fresh = run(film, tmp_path, TrackRows(), faces, detector=OneFace()).results.values()
    assert track.values.shape == (2, 30, 18)
    assert fresh.values.shape == (2, rate_hz, 8, 8, 3)
    assert track.valid.all()
    assert fresh.valid.all()
    assert fresh.values.any()
    (again,) = run(film, tmp_path, faces, stored={FACE_TRACK: track}).results.values()
    assert np.array_equal(again.values, fresh.values)
    assert np.array_equal(again.valid, fresh.valid)


def test_no_face_is_absent_with_the_frames_looked_at(film: Clip, tmp_path: Path) -> None:
    results = run(film, tmp_path, TrackRows(), TinyFaces(), detector=OneFace(present=False)).results
    assert [(r.status, r.reason) for r in results.values()] == [
        (ABSENT, "no face found in 50 frames")
    ] * 2


def test_crops_are_absent_with_a_cached_track_that_is(film: Clip, tmp_path: Path) -> None:
    track = ClipResult(3, film.key, ABSENT, "no face found in 50 frames")
    (tmp_path / "v.mp4").unlink()
    (result,) = run(film, tmp_path, TinyFaces(), stored={FACE_TRACK: track}).results.values()
    assert (result.status, result.reason) == (ABSENT, "no face found in 50 frames")


def test_a_failing_detector_costs_the_face_columns_only(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    class Broken(OneFace):
        def detect(self, rgb: np.ndarray) -> list[Face]:
            raise RuntimeError("graph has errors")

    make_video(tmp_path / "b.mp4", 2.0)
    clip = Clip("d/b.mp4", "b.mp4", "b.mp4", seconds=2.0, has_audio=True, has_video=True)
    level, crops = run(
        known(clip, tmp_path), tmp_path, Level(), TinyFaces(), detector=Broken()
    ).results.values()
    assert level.status == DONE
    assert (crops.status, crops.reason) == (FAILED, "RuntimeError: graph has errors")


def test_a_grid_masks_what_is_not_finite_and_what_lies_past_the_end() -> None:
    grid = Grid(AUDIO, rows=1, seconds=0.75)
    values = np.arange(10, dtype=np.float32)[:, None].copy()
    values[3] = np.nan
    grid.put(Slots(0, values, np.ones(10, dtype=bool)))
    assert grid.valid.tolist() == [True, True, True, False, True, True, True] + [False] * 3
    assert grid.values[:, 0].tolist() == [0, 1, 2, 0, 4, 5, 6, 0, 0, 0]
    assert grid.not_finite == 1


@pytest.mark.parametrize(
    ("dtype", "largest", "beyond", "said"),
    [
        ("float16", 65_504.0, 65_536.0, "0 to 65536"),
        ("uint8", 255.0, 256.0, "0 to 256"),
        ("uint8", 255.0, -1.0, "-1 to 0"),
        ("int16", -32_768, 40_000, "0 to 40000"),
    ],
)
def test_a_number_that_the_stored_dtype_cannot_hold_is_a_failure_by_name(
    dtype: str, largest: float, beyond: float, said: str
) -> None:
    def ending(number: float) -> ClipResult:
        column = Assembly("c", Level(), Place(0, "k", 1, 1.0))
        column.spec = replace(AUDIO, dtype=dtype)
        values = np.zeros((10, 1), type(number) if isinstance(number, int) else np.float32)
        values[9] = number
        column.take(lambda block: Slots(0, values, np.ones(10, bool)), None)
        return column.result((ABSENT, "nothing"))

    held = ending(largest)
    assert held.status == DONE
    assert held.values[0, 9, 0] == largest
    failed = ending(beyond)
    assert failed.status == FAILED
    assert f"level: a backbone gave numbers that {dtype} cannot hold" in failed.reason
    assert f"found: {said}" in failed.reason


def test_a_clip_level_vector_has_no_mask_and_no_length() -> None:
    spec = replace(AUDIO, rate_hz=0, shape=(3,))
    column = Assembly("c", Level(), Place(0, "k", 5, 0.1))
    column.backbone.spec = column.spec = spec
    column.take(lambda block: Slots(0, np.ones((1, 3), np.float32), np.ones(1, bool)), None)
    result = column.result((ABSENT, "nothing"))
    assert (result.status, result.values.shape, result.valid) == (DONE, (3,), None)


def test_a_block_that_is_too_short_does_not_cost_the_others() -> None:
    column = Assembly("c", Level(), Place(0, "k", 1, 1.0))

    def short(block: object) -> Slots:
        raise AbsentError("too short")

    column.take(lambda block: Slots(0, np.ones((5, 1), np.float32), np.ones(5, bool)), None)
    column.take(short, None)
    result = column.result((ABSENT, "nothing"))
    assert result.status == DONE
    assert result.valid.sum() == 5


@pytest.mark.parametrize("seconds", [0.05, 0.04])
def test_what_lies_past_the_end_alone_is_not_called_missing(seconds: float) -> None:
    """Ten slots a second: the middle of the first is at 0.05 s, which neither clip goes beyond."""
    column = Assembly("c", Level(), Place(0, "k", 1, seconds))
    column.take(lambda block: Slots(0, np.ones((1, 1), np.float32), np.ones(1, bool)), None)
    result = column.result((ABSENT, "no face found in 2 frames"))
    assert (result.status, result.reason) == (
        ABSENT,
        f"too short: the clip ends at {seconds} s, before the middle of the slot that was filled",
    )


def test_a_negative_slot_is_refused() -> None:
    with pytest.raises(InputError, match="slot -1"):
        Grid(AUDIO, 1, 1.0).put(Slots(-1, np.ones((1, 1), np.float32), np.ones(1, bool)))
