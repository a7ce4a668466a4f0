"""DeepfakeTIMIT + VidTIMIT: avi + wav pairs under two names, frames without a film."""

from __future__ import annotations

import pytest

from avfd.clips import grouped
from avfd.errors import InputError
from extract.datasets.base import UNLISTED
from extract.datasets.deepfaketimit import BLIND, NO_WAV, SILENT

TOP = "DeepfakeTIMIT"


def test_a_film_and_its_wav_are_one_clip_under_either_name(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    assert {key: (c.video_path, c.audio_path) for key, c in clips.items() if c.label == "fake"} == {
        f"{TOP}/higher_quality/fadg0/sa1-video-fram1.avi": (
            f"{TOP}/higher_quality/fadg0/sa1-video-fram1.avi",
            f"{TOP}/higher_quality/fadg0/sa1.wav",
        ),
        f"{TOP}/higher_quality/fadg0/sa2-video-fram1.avi": (
            f"{TOP}/higher_quality/fadg0/sa2-video-fram1.avi",
            f"{TOP}/higher_quality/fadg0/sa2-video-fram1.wav",
        ),
        f"{TOP}/lower_quality/fadg0/sa1-video-fram1.avi": (
            f"{TOP}/lower_quality/fadg0/sa1-video-fram1.avi",
            f"{TOP}/lower_quality/fadg0/sa1-video-fram1.avi",
        ),
    }


def test_only_the_picture_of_a_fake_is_fake(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    fake = clips[f"{TOP}/higher_quality/fadg0/sa1-video-fram1.avi"]
    assert (fake.video_label, fake.audio_label) == ("fake", "real")
    assert (fake.subject, fake.donor, fake.extra["quality"]) == ("fadg0", "fram1", "higher")


@pytest.mark.parametrize("first", ["sa1.wav", "sa1-video-b.wav"])
def test_a_sentence_wav_may_serve_two_films(read, trees, first):
    tree = trees.media(*(f"lower_quality/a/{n}" for n in ("sa1-video-b.avi", "sa1-video-c.avi")))
    found = read("deepfaketimit", {**tree, **trees.media(f"lower_quality/a/{first}")})
    assert len(found.clips) == 2
    assert found.notes.counts.get(NO_WAV, 0) == (first != "sa1.wav")


def test_a_reals_pictures_are_its_film_or_its_folder_of_frames(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    reals = {key: clip for key, clip in clips.items() if clip.label == "real"}
    assert {key: (c.video_path, c.audio_path) for key, c in reals.items()} == {
        "VidTIMIT/fadg0/audio/sa1.wav": (
            "VidTIMIT/fadg0/video/sa1",
            "VidTIMIT/fadg0/audio/sa1.wav",
        ),
        "VidTIMIT/fadg0/audio/sa2.wav": (None, "VidTIMIT/fadg0/audio/sa2.wav"),
        "VidTIMIT/fram1/video/sx7.avi": (
            "VidTIMIT/fram1/video/sx7.avi",
            "VidTIMIT/fram1/audio/sx7.wav",
        ),
    }
    assert {c.video_label for c in reals.values()} == {"real", None}
    assert all((c.video_label is None) == (c.video_path is None) for c in reals.values())


def test_a_film_goes_before_the_frames_beside_it(read, trees):
    tree = trees.media("a/audio/s.wav", "a/video/s/001", "a/video/s.avi")
    (clip,) = read("deepfaketimit", tree).clips.values()
    assert (clip.key, clip.video_path) == ("d/a/video/s.avi", "a/video/s.avi")


def test_frames_are_found_in_any_spelling_of_their_name(read, trees):
    tree = trees.media("Zoë/audio/s.wav", "Zoe\u0308/video/s/1.JPG")
    (clip,) = read("deepfaketimit", tree).clips.values()
    assert clip.video_path == "Zoe\u0308/video/s"


def test_files_that_are_no_frames_make_no_pictures(read, trees):
    tree = trees.media("a/audio/s.wav", "a/video/s/Thumbs.db", "a/video/s/._001")
    found = read("deepfaketimit", tree)
    assert [clip.video_path for clip in found.clips.values()] == [None]
    assert found.notes.counts == {BLIND: 1}


@pytest.mark.parametrize("link", ["a/video/s/001", "a/video/s"])
def test_frames_that_link_out_of_the_root_are_refused(read, trees, tmp_path, link):
    trees.grow(tmp_path, trees.media("secret/001"))
    door = tmp_path / "root" / link
    door.parent.mkdir(parents=True)
    door.symlink_to(tmp_path / ("secret/001" if link.endswith("001") else "secret"))
    with pytest.raises(InputError, match="a link leads out"):
        read("deepfaketimit", trees.media("a/audio/s.wav"))


def test_people_swapped_with_each_other_are_one_group_with_their_reals(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    labelled = [clip for clip in clips.values() if clip.label]
    assert len({clip.group for clip in grouped(labelled)}) == 1


def test_what_is_left_is_counted(read, trees):
    found = read("deepfaketimit", trees.DEEPFAKETIMIT)
    assert found.notes.counts == {NO_WAV: 1, BLIND: 1, UNLISTED: 2, SILENT: 1}
    assert {key for key, clip in found.clips.items() if clip.label is None} == {
        f"{TOP}/lower_quality/fadg0/sx9.wav",
        f"{TOP}/medium_quality/fadg0/sa1-video-fram1.avi",
    }
