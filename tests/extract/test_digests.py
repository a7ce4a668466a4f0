"""What has been read once for its digest is not read again, unless it changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from extract import digests
from extract.media import file_sha256


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Names of the files of each digest that is made."""
    made: list[list[str]] = []

    def noted(paths: Iterable[Path]) -> str:
        made.append([path.name for path in paths])
        return file_sha256(paths)

    monkeypatch.setattr(digests, "file_sha256", noted)
    return made


def test_a_file_of_many_parts_is_read_once(tmp_path: Path, read: list[list[str]]) -> None:
    film, sound = tmp_path / "film.mp4", tmp_path / "sound.wav"
    film.write_bytes(b"pictures")
    sound.write_bytes(b"sound")
    for paths in ([film], [film, sound], [film], [film, sound]):
        assert digests.media_sha256(paths) == file_sha256(paths)
    assert read == [["film.mp4"], ["film.mp4", "sound.wav"]]


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_is_read_again(
    change: str, tmp_path: Path, read: list[list[str]]
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"pictures")
    time = film.stat().st_mtime_ns
    before = digests.media_sha256([film])
    film.write_bytes(b"PICTURES" if change == "time" else b"more pictures")
    os.utime(film, ns=(time, time + (change == "time")))
    assert digests.media_sha256([film]) == file_sha256([film]) != before
    assert len(read) == 2


def test_memory_is_bounded(tmp_path: Path, read: list[list[str]]) -> None:
    films = [tmp_path / f"{i}.mp4" for i in range(digests.REMEMBERED + 1)]
    for i, film in enumerate(films):
        film.write_bytes(bytes([i]))
        digests.media_sha256([film])
    digests.media_sha256(films[-1:])
    assert len(read) == len(films)
    digests.media_sha256(films[:1])
    assert len(read) == len(films) + 1
