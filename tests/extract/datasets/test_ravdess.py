"""RAVDESS: the name is the label; silent films and twins are left out and counted."""

from __future__ import annotations

import pytest

from extract.datasets.base import UNLISTED
from extract.datasets.ravdess import COPIES

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


SOUND = "03-01-05-02-01-02-12"


@pytest.mark.parametrize(
    ("kept", "left_out"),
    [
        (f"Actor_12/{SOUND}.wav", f"audio_speech_actors_01-24/Actor_12/{SOUND}.wav"),
        (f"z/{SOUND}.flac", f"a/b/{SOUND}.wav"),  # the shallowest
        (f"a/{SOUND}.WAV", f"a/{SOUND}.flac"),
        (f"b/{SOUND}.wav", f"a/{SOUND}.flac"),
        (f"a/{SOUND}.wav", f"b/{SOUND}.wav"),
        (f"a/b/01{SOUND[2:]}.mp4", f"a/01{SOUND[2:]}.wav"),  # a film has pictures
    ],
)
def test_of_two_copies_of_one_trial_one_is_kept_and_the_other_counted(read, trees, kept, left_out):
    found = read("ravdess", trees.media(kept, left_out))
    assert list(found.clips) == [kept]
    assert found.notes.lines() == [f"1 {COPIES} ({left_out})"]


def test_the_same_words_by_another_actor_or_sung_are_no_copy(read, trees):
    others = ["03-01-05-02-01-02-13", "03-02-05-02-01-02-12", "03-01-05-02-01-01-12"]
    tree = trees.media(*(f"Actor_12/{name}.wav" for name in (SOUND, *others)))
    found = read("ravdess", tree)
    assert len(found.clips) == 4
    assert not found.notes.counts


def test_sound_of_a_film_that_is_here_twice_is_told_as_such(read, trees):
    copies = [f"{folder}Actor_12/01{SOUND[2:]}.mp4" for folder in ("", "again/")]
    found = read("ravdess", trees.media(*copies, f"Actor_12/{SOUND}.wav"))
    assert list(found.clips) == copies[:1]
    assert found.notes.counts == {
        "sound files (03-*) of a film that is here too: left out": 1,
        COPIES: 1,
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
