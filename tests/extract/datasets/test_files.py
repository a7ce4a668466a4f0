"""The files below a root: what is found, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from avfd.errors import InputError
from avfd.manifest import load
from extract.datasets.base import Source
from extract.datasets.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, Files


def test_paths_are_sorted_relative_and_without_hidden_ones(tmp_path, trees):
    trees.grow(tmp_path, trees.media("b/x.mp4", "a b#.mp4", ".h/x.mp4", "._x.mp4", "b/list.txt"))
    files = Files(tmp_path)
    assert files.paths == ["a b#.mp4", "b/list.txt", "b/x.mp4"]
    assert files.media() == ["a b#.mp4", "b/x.mp4"]


def test_upper_case_suffixes_are_media(tmp_path, trees):
    trees.grow(tmp_path, trees.media("a.MP4", "b.Wav", "c.mp4.part"))
    assert Files(tmp_path).media() == ["a.MP4", "b.Wav"]


@pytest.mark.parametrize(
    "suffix", ["3gp", "m2ts", "m4v", "mpeg", "mpg", "mts", "ogv", "ts", "vob", "webm", "wmv", "flv"]
)
def test_films_of_phones_cameras_and_the_web_are_media(tmp_path, trees, suffix):
    trees.grow(tmp_path, trees.media(f"a.{suffix}", f"b.{suffix.upper()}"))
    assert Files(tmp_path).media(VIDEO_SUFFIXES) == [f"a.{suffix}", f"b.{suffix.upper()}"]


@pytest.mark.parametrize(
    "suffix", ["aif", "aiff", "amr", "au", "caf", "flac", "mka", "mp2", "oga", "opus", "ac3"]
)
def test_sounds_are_media(tmp_path, trees, suffix):
    trees.grow(tmp_path, trees.media(f"a.{suffix}", f"b.{suffix.upper()}"))
    assert Files(tmp_path).media(AUDIO_SUFFIXES) == [f"a.{suffix}", f"b.{suffix.upper()}"]


def test_files_of_unknown_kind_are_told_from_those_that_lie_beside_media(tmp_path, trees):
    side = ["a.txt", "b.CSV", "c.json", "d.png", "e.jpg", "f.xml", "g.srt", "README", "h.tar.gz"]
    trees.grow(tmp_path, trees.media(*side, "x.bik", "y.mp4.part", "z.mp4"))
    assert Files(tmp_path).unknown() == ["x.bik", "y.mp4.part"]


@pytest.mark.parametrize("path", ["../x.mp4", "/x.mp4", "a/../../x.mp4"])
def test_looking_outside_is_refused(tmp_path, path):
    with pytest.raises(InputError, match="stay below"):
        Files(tmp_path).find(path)


def test_links(tmp_path, trees):
    trees.grow(tmp_path, trees.media("root/a.mp4", "secret.mp4"))
    root = tmp_path / "root"
    (root / "again.mp4").symlink_to("a.mp4")
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "nowhere.mp4").symlink_to("gone.mp4")
    assert Files(root).paths == ["a.mp4", "again.mp4"]
    (root / "out.mp4").symlink_to("../secret.mp4")
    with pytest.raises(InputError, match=r"out\.mp4: a link leads out.*secret\.mp4"):
        _ = Files(root).paths


def test_links_that_are_no_media_file_are_told_apart(tmp_path, trees):
    trees.grow(tmp_path, trees.media("a/a.mp4", "a/b/c.mp4"))
    (tmp_path / "again.mp4").symlink_to("a/a.mp4")
    (tmp_path / "gone.MP4").symlink_to("nowhere.mp4")
    (tmp_path / "a" / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "gone.txt").symlink_to("nowhere.txt")
    (tmp_path / ".gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "more").symlink_to("a/b")
    files = Files(tmp_path)
    assert files.broken_links == ["a/loop.wav", "gone.MP4"]
    assert files.linked_folders == ["more"]


def test_paths_of_one_file_are_known_by_the_first(tmp_path, trees):
    trees.grow(tmp_path, trees.media("b/a.mp4", "b/other.mp4", "c.mp4"))
    (tmp_path / "a.mp4").symlink_to("b/a.mp4")
    (tmp_path / "z.mp4").hardlink_to(tmp_path / "b" / "a.mp4")
    (tmp_path / "d.mp4").symlink_to("e.mp4")
    (tmp_path / "e.mp4").symlink_to("c.mp4")
    assert Files(tmp_path).first_of == {
        "b/a.mp4": "a.mp4",
        "z.mp4": "a.mp4",
        "d.mp4": "c.mp4",
        "e.mp4": "c.mp4",
    }


def test_files_that_a_disk_numbers_alike_are_not_one(tmp_path, trees, monkeypatch):
    trees.grow(tmp_path, trees.media("a.mp4", "b.mp4"))
    entries = [
        SimpleNamespace(
            name=name,
            inode=lambda: 0,
            is_dir=lambda **_: False,
            is_file=lambda **_: True,
            is_symlink=lambda: False,
        )
        for name in ("a.mp4", "b.mp4")
    ]
    monkeypatch.setattr(Files, "_entries", lambda *_: entries)
    assert Files(tmp_path).paths == ["a.mp4", "b.mp4"]
    assert Files(tmp_path).first_of == {}


def test_a_link_into_a_hidden_folder_stands_for_itself(tmp_path, trees):
    trees.grow(tmp_path, trees.media(".store/1", "b.mp4"))
    (tmp_path / "a.mp4").symlink_to(".store/1")
    (tmp_path / "c.mp4").symlink_to(".store/1")
    assert Files(tmp_path).first_of == {"c.mp4": "a.mp4"}


def test_the_root_itself_may_be_a_link(tmp_path, trees):
    trees.grow(tmp_path, trees.media("real root/a.mp4"))
    (tmp_path / "link").symlink_to(tmp_path / "real root")
    assert Files(tmp_path / "link").paths == ["a.mp4"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    with pytest.raises(InputError, match=r"not UTF-8.*caf"):
        Files(tmp_path).media()


def test_a_label_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "metadata.json").write_bytes(b'{"caf\xe9": 1}')
    source = Source("d", tmp_path, load("dfdc"))
    with pytest.raises(InputError, match=r"not a UTF-8 text|metadata\.json"):
        source.json("metadata.json")
    with pytest.raises(InputError, match=r"gone\.json: the file cannot be read"):
        source.json("gone.json")
