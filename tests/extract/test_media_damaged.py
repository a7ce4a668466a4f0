"""Damaged, cut and foreign files: what decodes counts, and the rest is said in words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avfd.clips import Clip
from avfd.errors import AbsentError, MediaError
from extract.media import AudioChunk, Decoding, VideoFrame, decode, scan

Maker = Callable[..., Path]


def decoding(path: Path) -> Decoding:
    clip = Clip("d/c", video_path=path.name, audio_path=path.name)
    return decode(path.parent, None, clip, audio=True, video=True)


def _text(path: Path) -> None:
    path.write_text("this is no film\n" * 100)


def _playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


def _folder(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    path.touch()


def _nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_empty, "the file is empty"),
        (_text, r"no readable sound or video file.*text"),
        (_playlist, r"no readable sound or video file.*text"),
        (_noise, "no readable sound or video file|neither sound nor pictures"),
        (_folder, "the folder holds no numbered frames"),
        (_nothing, "there is no such file"),
    ],
)
def test_what_is_no_media_is_refused_in_words(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "a: b#.mp4"
    make(path)
    for read in (scan, lambda p: list(decoding(p))):
        with pytest.raises(MediaError, match=words) as caught:
            read(path)
        assert "Errno" not in str(caught.value)


def test_one_pixel_shows_nothing_but_its_sound_counts(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 1.0, size=(2, 2), codec="ffv1")
    items = decoding(path)
    assert all(isinstance(item, AudioChunk) for item in items)
    assert "too small to show anything; found: 2 × 2 pixels" in str(items.problems["video"])


def test_a_file_without_its_index_is_refused(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mp4", 2.0)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MediaError, match="lost its index"):
        scan(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mpg"])
def test_of_a_cut_file_what_decodes_counts(tmp_path: Path, make_video: Maker, name: str) -> None:
    path = make_video(tmp_path / name, 4.0, audio_rate_hz=44100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = decoding(path)
    pictures = [item for item in items if isinstance(item, VideoFrame)]
    assert 20 < len(pictures) < 80
    assert scan(path).seconds == pytest.approx(len(pictures) / 25, abs=0.2)


def test_what_the_header_announces_and_the_file_lacks_is_noted(
    tmp_path: Path, make_video: Maker
) -> None:
    path = make_video(tmp_path / "a.mkv", 4.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = decoding(path)
    list(items)
    assert any("of the 4.0" in note for note in items.notes)


def test_damaged_packets_are_counted_and_passed_over(tmp_path: Path, make_video: Maker) -> None:
    path = make_video(tmp_path / "a.mkv", 4.0)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for at in rng.integers(len(data) // 4, len(data), 200):
        data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(data))
    pictures = [item for item in decoding(path) if isinstance(item, VideoFrame)]
    assert len(pictures) > 20
    times = [frame.start_seconds for frame in pictures]
    assert times == sorted(set(times))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mpg"])
def test_any_damage_ends_in_items_or_in_words(
    tmp_path: Path, make_video: Maker, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = make_video(tmp_path / name, 1.0, size=(48, 32), audio_rate_hz=16000).read_bytes()
    rng = np.random.default_rng(7)
    for trial in range(25):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 1 + trial):
            data[at] = int(rng.integers(256))
        path = tmp_path / f"{trial}{Path(name).suffix}"
        path.write_bytes(bytes(data[: int(rng.integers(1, len(data) + 1))]))
        for read in (scan, lambda p: list(decoding(p))):
            with contextlib.suppress(MediaError, AbsentError):
                read(path)
    assert capfd.readouterr().err == ""


def test_wild_time_stamps_do_not_stretch_the_clip(tmp_path: Path, make_video: Maker) -> None:
    times = [*np.arange(25) / 25, 90_000.0, 90_000.04]
    path = make_video(tmp_path / "a.mkv", frame_times=times, audio_rate_hz=None, picture=_black)
    assert scan(path).seconds < 2.0
    pictures = [item for item in decoding(path) if isinstance(item, VideoFrame)]
    assert max(frame.start_seconds for frame in pictures) < 2.0


def test_a_picture_of_monstrous_size_is_not_decoded(
    tmp_path: Path, make_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import extract.media.opening as opening

    monkeypatch.setattr(opening, "MAX_PIXELS", 96 * 64 - 1)
    items = decoding(make_video(tmp_path / "a.mp4", 1.0))
    assert all(isinstance(item, AudioChunk) for item in items)
    assert "nothing of the pictures could be decoded" in str(items.problems["video"])


def _black(seconds: float, size: tuple[int, int]) -> np.ndarray:
    return np.zeros((size[1], size[0], 3), np.uint8)
