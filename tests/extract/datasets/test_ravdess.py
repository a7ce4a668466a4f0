"""RAVDESS: the name is the label; silent films and twins are left out and counted."""

from __future__ import annotations

from extract.datasets.base import UNLISTED

FILM = "Video_Speech_Actor_12/Actor_12/01-01-05-02-01-02-12.mp4"


def test_the_name_gives_emotion_actor_and_channel(read, trees):
    clips = read("ravdess", trees.RAVDESS).clips
    assert {key: (c.emotion, c.subject, c.extra.get("channel")) for key, c in clips.items()} == {
        FILM: ("angry", "12", "speech"),
        "Video_Song_Actor_12/Actor_12/01-02-03-01-02-01-12.mp4": ("happy", "12", "song"),
        "ACTOR05/03-01-08-01-01-01-05.wav": ("surprised", "05", "speech"),
        "Actor_24/03-01-01-01-01-01-24.flac": ("neutral", "24", "speech"),
        "Actor_25/01-01-05-02-01-02-25.mp4": (None, None, None),
        "Actor_12/01-01-09-02-01-02-12.mp4": (None, None, None),
    }


def test_all_are_real_and_sound_has_no_video_label(read, trees):
    clips = read("ravdess", trees.RAVDESS).clips
    film, sound = clips[FILM], clips["ACTOR05/03-01-08-01-01-01-05.wav"]
    assert (film.label, film.video_label, film.audio_label) == ("real", "real", "real")
    assert (sound.label, sound.video_label, sound.audio_label) == ("real", None, "real")
    assert (sound.video_path, sound.audio_path) == (None, "ACTOR05/03-01-08-01-01-01-05.wav")


def test_what_is_left_out_is_counted(read, trees):
    assert read("ravdess", trees.RAVDESS).notes.counts == {
        "films without sound (02-*): left out": 1,
        "sound files (03-*) of a film that is here too: left out": 1,
        UNLISTED: 2,
    }


def test_the_real_recordings(testdata):
    from avfd.manifest import load
    from extract.datasets import base

    source = base.Source("ravdess", testdata / "ravdess", load("ravdess"))
    clips = list(base.get("ravdess")(source, base.Notes()))
    assert len(clips) == 1183
    assert len({clip.subject for clip in clips}) == 20
    assert {clip.emotion for clip in clips} == {
        "neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"
    }  # fmt: skip
