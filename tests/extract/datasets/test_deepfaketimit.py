"""DeepfakeTIMIT + VidTIMIT: avi + wav pairs under two names, frames without a film."""

from __future__ import annotations

import pytest

from avfd.clips import grouped
from extract.datasets.base import UNLISTED
from extract.datasets.deepfaketimit import FRAMES, NO_WAV, SILENT

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


def test_reals_are_sound_unless_a_film_is_there(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    assert {key: (c.video_path, c.audio_path) for key, c in clips.items() if c.label == "real"} == {
        "VidTIMIT/fadg0/audio/sa1.wav": (None, "VidTIMIT/fadg0/audio/sa1.wav"),
        "VidTIMIT/fram1/video/sx7.avi": (
            "VidTIMIT/fram1/video/sx7.avi",
            "VidTIMIT/fram1/audio/sx7.wav",
        ),
    }


def test_people_swapped_with_each_other_are_one_group_with_their_reals(read, trees):
    clips = read("deepfaketimit", trees.DEEPFAKETIMIT).clips
    labelled = [clip for clip in clips.values() if clip.label]
    assert len({clip.group for clip in grouped(labelled)}) == 1


def test_what_is_left_is_counted(read, trees):
    found = read("deepfaketimit", trees.DEEPFAKETIMIT)
    assert found.notes.counts == {NO_WAV: 1, FRAMES: 1, UNLISTED: 2, SILENT: 1}
    assert {key for key, clip in found.clips.items() if clip.label is None} == {
        f"{TOP}/lower_quality/fadg0/sx9.wav",
        f"{TOP}/medium_quality/fadg0/sa1-video-fram1.avi",
    }
