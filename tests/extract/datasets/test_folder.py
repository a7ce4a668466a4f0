"""Any folder: the first folder named real or fake decides; nothing hidden is read."""

from __future__ import annotations

import unicodedata

from extract.datasets.base import UNKNOWN, UNLISTED


def test_folders_named_real_or_fake_decide_and_near_misses_do_not(read, trees):
    found = read("folder", trees.FOLDER)
    assert {key: clip.label for key, clip in found.clips.items()} == {
        "real/anna/a.mp4": "real",
        "real/anna/a b#1.MP4": "real",
        "Fake/x/a.mp4": "fake",
        "realistic/b.mp4": None,
        "fakes/c.mp4": None,
        "unlabelled/fake.mp4": None,
        "fake/real/d.wav": "fake",
    }


def test_files_without_label_are_counted_and_missing_subjects_told(read, trees):
    notes = read("folder", trees.FOLDER).notes
    assert notes.counts == {UNLISTED: 3}
    assert "every clip is its own group" in notes.lines()[0]


def test_sound_alone_has_no_video_path(read, trees):
    clips = read("folder", trees.FOLDER).clips
    assert clips["fake/real/d.wav"].video_path is None
    assert clips["real/anna/a.mp4"].video_path == clips["real/anna/a.mp4"].audio_path


def test_a_name_in_decomposed_unicode_gives_a_composed_key_and_keeps_its_path(read, trees):
    decomposed = unicodedata.normalize("NFD", "real/Zoë.mp4")
    (key, clip), *rest = read("folder", trees.media(decomposed)).clips.items()
    assert not rest
    assert key == unicodedata.normalize("NFC", decomposed)
    assert clip.video_path == decomposed


def test_files_whose_kind_is_not_known_are_counted(read, trees):
    found = read("folder", trees.media("real/a.mp4", "real/b.bik", "real/list.csv", "fake/c.png"))
    assert found.notes.counts == {UNKNOWN: 1}
    assert f"1 {UNKNOWN} (real/b.bik)" in found.notes.lines()
