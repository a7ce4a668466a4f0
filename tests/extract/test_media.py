"""Sound and pictures on one time line, against files that tell their own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avfd.clips import Clip
from avfd.errors import AbsentError
from extract.media import AudioChunk, VideoFrame, decode, file_sha256, scan

FRAME_SECONDS = 0.04
Maker = Callable[..., Path]


@dataclass(frozen=True)
class Decoded:
    """A clip's items, by kind."""

    sound: list[AudioChunk]
    pictures: list[VideoFrame]

    def click_times(self) -> list[float]:
        """Clip times at which sound begins after a tenth of a second of silence."""
        onsets: list[float] = []
        last = -1.0
        for start, samples, rate_hz in self.stretches():
            for at in start + np.flatnonzero(np.abs(samples).max(axis=0) > 0.4) / rate_hz:
                onsets += [float(at)] if at - last > 0.1 else []
                last = at
        return onsets

    def stretches(self) -> list[tuple[float, NDArray[np.float32], int]]:
        """The chunks joined where they follow each other."""
        joined: list[tuple[float, NDArray[np.float32], int]] = []
        end = None
        for chunk in self.sound:
            if end is not None and abs(chunk.start_seconds - end) < 1e-6:
                start, samples, rate_hz = joined.pop()
                both = np.concatenate([samples, chunk.samples], axis=1)
                joined.append((start, both, rate_hz))
            else:
                joined.append((chunk.start_seconds, chunk.samples, chunk.sample_rate_hz))
            end = chunk.end_seconds
        return joined


def decoded(path: Path, **clip: Any) -> Decoded:
    names = {"video_path": path.name, "audio_path": path.name, **clip}
    return split(decode(path.parent, None, Clip("d/c", **names), audio=True, video=True))


def split(items: Any) -> Decoded:
    both = list(items)
    return Decoded(
        [i for i in both if isinstance(i, AudioChunk)],
        [i for i in both if isinstance(i, VideoFrame)],
    )


@pytest.fixture
def clock(media_makers: ModuleType) -> Callable[[VideoFrame], float]:
    """The time that a frame's picture shows."""
    return lambda frame: float(media_makers.read_clock(frame.rgb))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mpg", "a.mov"])
def test_pictures_and_clicks_come_at_their_times(
    tmp_path: Path, make_video: Maker, clock: Callable[[VideoFrame], float], name: str
) -> None:
    rate_hz = 44100
    got = decoded(make_video(tmp_path / name, 2.0, audio_rate_hz=rate_hz))
    shown = np.array([clock(frame) for frame in got.pictures])
    times = np.array([frame.start_seconds for frame in got.pictures])
    assert len(shown) == 50
    assert np.abs(shown - shown[0] - (times - times[0])).max() < 1e-3
    assert abs(times[0]) < FRAME_SECONDS
    clicks = got.click_times()
    assert np.abs(np.array(clicks[:2]) - (times[0] + [0.0, 1.0])).max() < FRAME_SECONDS


def test_matroska_is_exact_to_the_sample(tmp_path: Path, make_video: Maker) -> None:
    (stretch,) = decoded(make_video(tmp_path / "a.mkv", 3.0)).stretches()
    start, samples, rate_hz = stretch
    assert (start, rate_hz, samples.shape) == (0.0, 16000, (1, 48000))
    assert samples[0, 16000] > 0.8
    assert abs(samples[0, 15999]) < 0.01


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_late_sound_stays_late(tmp_path: Path, make_video: Maker, name: str) -> None:
    path = make_video(tmp_path / name, 2.0, audio_start_seconds=0.5)
    clicks = decoded(path).click_times()
    assert clicks == pytest.approx([0.5, 1.5], abs=0.02)
    assert scan(path).seconds == pytest.approx(2.5, abs=0.05)


def test_late_pictures_stay_late(
    tmp_path: Path, make_video: Maker, clock: Callable[[VideoFrame], float]
) -> None:
    first, *_ = decoded(make_video(tmp_path / "a.mkv", 1.0, video_start_seconds=0.3)).pictures
    assert first.start_seconds == pytest.approx(0.3, abs=1e-3)
    assert clock(first) == 0.0


def test_time_zero_is_the_earliest_track(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 2.0, video_start_seconds=10.0, audio_start_seconds=10.25)
    got = decoded(path)
    assert got.pictures[0].start_seconds == pytest.approx(0.0, abs=1e-3)
    assert got.sound[0].start_seconds == pytest.approx(0.25, abs=1e-3)
    assert scan(path).seconds == pytest.approx(2.25, abs=2e-3)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_variable_frame_rate_keeps_each_time(
    tmp_path: Path, make_video: Maker, clock: Callable[[VideoFrame], float], name: str
) -> None:
    times = [0.0, 0.1, 0.15, 0.7, 1.9]
    path = make_video(tmp_path / name, frame_times=times, audio_rate_hz=None)
    got = decoded(path).pictures
    assert [frame.start_seconds for frame in got] == pytest.approx(times, abs=1e-3)
    assert [clock(frame) for frame in got] == pytest.approx(times, abs=0.006)
    assert scan(path).fps == pytest.approx(4 / 1.9, rel=1e-3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_pictures_come_upright(
    tmp_path: Path, media_makers: ModuleType, make_video: Maker, rotation: int
) -> None:
    # The stored picture is the upright one turned back, clockwise by `rotation`.
    def stored(seconds: float, size: tuple[int, int]) -> NDArray[np.uint8]:
        upright_size = size[::-1] if rotation % 180 else size
        upright = media_makers.clock_picture(seconds, upright_size)
        return np.rot90(upright, -rotation // 90)

    path = make_video(tmp_path / "a.mp4", 1.0, size=(64, 96), picture=stored, rotation=rotation)
    frame = decoded(path).pictures[10]
    width, height = (96, 64) if rotation % 180 else (64, 96)
    facts = scan(path)
    assert frame.size == (facts.width, facts.height) == (width, height)
    assert facts.rotation == rotation
    assert media_makers.read_clock(frame.rgb) == pytest.approx(0.4)
    left, right = frame.rgb[-4, 4], frame.rgb[-4, -4]
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]


def test_crop_is_taken_from_the_upright_picture(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 0.2)
    (first, *_) = decoded(path, crop=(0.5, 0.75, 1.0, 1.0)).pictures
    assert first.rgb.shape == (16, 48, 3)
    assert (first.rgb[4:, 4:, 2] > 150).all()


def test_a_region_equals_that_part_of_the_whole_picture(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mp4", 0.2)
    for crop in (None, (0.2, 0.1, 0.9, 0.8)):
        fresh, whole = (decoded(path, crop=crop).pictures[2] for _ in range(2))
        for left, top, right, bottom in [(0, 0, 9, 7), (3, 5, 60, 40), (11, 8, 12, 9)]:
            region = fresh.region(left, top, right, bottom)
            assert np.array_equal(region, whole.rgb[top:bottom, left:right])


@pytest.mark.parametrize(
    ("layout", "channels", "rate_hz"),
    [("mono", 1, 8000), ("stereo", 2, 44100), ("5.1", 6, 48000), ("stereo", 2, 96000)],
)
def test_channels_and_rate_are_native(
    tmp_path: Path, make_audio: Maker, layout: str, channels: int, rate_hz: int
) -> None:
    levels = np.linspace(-0.75, 0.75, channels, dtype=np.float32)[:, None]
    sound = np.repeat(levels, rate_hz // 2, axis=1)
    make_audio(tmp_path / "a.wav", sound, rate_hz, layout=layout)
    clip = Clip("d/c", audio_path="a.wav")
    ((_, samples, rate),) = split(decode(tmp_path, None, clip, audio=True, video=False)).stretches()
    assert rate == rate_hz
    assert samples.shape == (channels, rate_hz // 2)
    assert np.abs(samples - levels).max() <= 2**-15


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"])
def test_every_sample_format_has_full_scale_one(
    tmp_path: Path, make_audio: Maker, codec: str
) -> None:
    wave = np.sin(np.arange(1600, dtype=np.float32) / 7)[None] * 0.5
    make_audio(tmp_path / "a.wav", wave, codec=codec)
    clip = Clip("d/c", audio_path="a.wav")
    ((_, samples, _),) = split(decode(tmp_path, None, clip, audio=True, video=False)).stretches()
    assert samples.dtype == np.float32
    assert np.abs(samples - wave).max() <= (2**-7 if codec == "pcm_u8" else 2**-15)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.mpg"])
def test_a_part_of_a_file_equals_that_part_of_the_whole(
    tmp_path: Path, make_video: Maker, clock: Callable[[VideoFrame], float], name: str
) -> None:
    path = make_video(tmp_path / name, 12.0, audio_rate_hz=44100)
    whole, part = decoded(path), decoded(path, start_seconds=7.3, end_seconds=9.1)
    wanted = [f for f in whole.pictures if 7.3 - FRAME_SECONDS < f.start_seconds < 9.1]
    assert [clock(f) for f in part.pictures] == [clock(f) for f in wanted]
    expected = [max(0.0, f.start_seconds - 7.3) for f in wanted]
    assert [f.start_seconds for f in part.pictures] == pytest.approx(expected, abs=1e-4)
    ((_, all_sound, rate_hz),) = whole.stretches()
    ((start, sound, _),) = part.stretches()
    first = round((start + 7.3) * rate_hz)
    assert 0.0 <= start < 1 / rate_hz
    assert sound.shape[1] == pytest.approx(1.8 * rate_hz, abs=1)
    # Matroska's stamps are whole milliseconds, so where reading starts moves the sound by half one.
    slack = rate_hz // 2000 + 1 if name == "a.mkv" else 0
    shifts = range(first - slack, first + slack + 1)
    worst = [np.abs(sound - all_sound[:, at : at + sound.shape[1]]).max() for at in shifts]
    assert min(worst) < 1e-3


def test_a_part_is_reached_without_decoding_what_lies_before(
    tmp_path: Path, make_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import extract.media.reading as reading

    decoded_packets = []
    frames = reading._frames
    monkeypatch.setattr(
        reading, "_frames", lambda packet, line: decoded_packets.append(0) or frames(packet, line)
    )
    path = make_video(tmp_path / "a.mp4", 40.0, audio_rate_hz=None)
    got = decoded(path, start_seconds=35.0, end_seconds=36.0)
    assert len(got.pictures) == 25
    assert len(decoded_packets) < 100


def test_sound_offset_moves_the_sound_only(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 4.0)
    got = decoded(path, start_seconds=1.0, end_seconds=3.0, audio_offset_seconds=0.25)
    # The click of second 1 sounds at 1.25 s, 0.25 s after the clip's start.
    assert got.click_times() == pytest.approx([0.25, 1.25], abs=1e-3)
    assert [f.start_seconds for f in got.pictures[:2]] == pytest.approx([0.0, 0.04], abs=1e-3)


def test_sound_and_pictures_may_be_two_files_below_two_roots(
    tmp_path: Path, make_video: Maker, make_audio: Maker, media_makers: ModuleType
) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "a").mkdir()
    make_video(tmp_path / "v" / "x.avi", 2.0, audio_rate_hz=None)
    make_audio(tmp_path / "a" / "x.wav", media_makers.clicks(3.0, 8000), 8000)
    clip = Clip("d/c", video_path="x.avi", audio_path="x.wav")
    got = list(decode(tmp_path / "v", tmp_path / "a", clip, audio=True, video=True))
    starts = [item.start_seconds for item in got]
    assert starts == sorted(starts)
    assert split(got).click_times() == pytest.approx([0.0, 1.0, 2.0], abs=1e-3)
    facts = scan(tmp_path / "v" / "x.avi", tmp_path / "a" / "x.wav")
    assert facts.seconds == pytest.approx(3.0, abs=1e-3)
    assert facts.has_audio
    assert facts.fps == pytest.approx(25.0)


def test_a_missing_track_is_absent_only_where_it_is_asked_for(
    tmp_path: Path, make_video: Maker
) -> None:
    path = make_video(tmp_path / "a.mp4", 3.0, audio_rate_hz=None)
    clip = Clip("d/c", video_path=path.name, audio_path=path.name)
    assert not scan(path).has_audio
    both = decode(tmp_path, None, clip, audio=True, video=True)
    assert len(split(both).pictures) == 75
    assert isinstance(both.problems["audio"], AbsentError)
    sound = decode(tmp_path, None, clip, audio=True, video=False)
    with pytest.raises(AbsentError, match="the clip has no sound"):
        list(sound)
    assert sound.notes == []


def test_a_part_past_the_end_is_absent(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 1.0)
    with pytest.raises(AbsentError, match=r"in the clip's part of the file.*until"):
        decoded(path, start_seconds=2.0, end_seconds=3.0)


def test_a_cover_picture_is_no_video(
    tmp_path: Path, make_audio: Maker, media_makers: ModuleType
) -> None:
    import av

    source = make_audio(tmp_path / "a.flac", media_makers.clicks(1.0, 16000), codec="flac")
    covered = tmp_path / "b.mp4"
    with av.open(str(covered), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = container.add_stream("aac", rate=16000, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        container.mux(cover.encode(picture) + cover.encode(None))
        with av.open(str(source)) as reading:
            for frame in reading.decode(audio=0):
                container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    facts = scan(covered)
    assert (facts.has_audio, facts.has_video, facts.width) == (True, False, 0)


def test_digest_of_one_file_is_its_own_and_of_two_depends_on_both(tmp_path: Path) -> None:
    import hashlib

    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    assert file_sha256([one]) == hashlib.sha256(b"one").hexdigest()
    assert file_sha256([one, two]) != file_sha256([two, one])


@pytest.mark.parametrize(("audio", "video"), [(True, False), (False, True)])
def test_one_track_of_a_file_with_both_is_read_to_its_end(
    make_video: Maker, tmp_path: Path, audio: bool, video: bool
) -> None:
    path = make_video(tmp_path / "both.mp4", seconds=2.0)
    clip = Clip("d/c", video_path=path.name, audio_path=path.name)
    one = split(decode(tmp_path, None, clip, audio=audio, video=video))
    assert (bool(one.sound), bool(one.pictures)) == (audio, video)
    last = (one.sound or one.pictures)[-1]
    assert last.start_seconds > 1.9
