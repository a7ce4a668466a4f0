"""IEMOCAP: utterances cut from dialogs, two speakers in one film, evaluators, `._` files."""

from __future__ import annotations

import pytest

from avfd.clips import grouped
from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED
from extract.datasets.iemocap import LEFT, RIGHT, UNREADABLE, WHOLE

S1 = "IEMOCAP_full_release/Session1"
WAVS = f"{S1}/sentences/wav/Ses01F_impro01"
AVI = f"{S1}/dialog/avi/DivX/Ses01F_impro01.avi"
SCRIPT = "IEMOCAP_full_release/Session5/sentences/wav/Ses05M_script01_1/Ses05M_script01_1_F000.wav"


def test_two_speakers_of_one_film_are_two_clips_and_two_halves(read, trees):
    clips = read("iemocap", trees.IEMOCAP).clips
    her, him = (clips[f"{WAVS}/Ses01F_impro01_{who}000.wav"] for who in "FM")
    for clip in (her, him):
        assert clip.video_path == AVI
        assert (clip.start_seconds, clip.end_seconds) == (6.2901, 8.2357)
    assert (her.crop, him.crop) == (LEFT, RIGHT)  # the dialog's letter is F: she has the markers
    assert (her.subject, him.subject) == ("Ses01F", "Ses01M")


def test_the_halves_can_be_turned_round(read, trees):
    clips = read("iemocap", trees.IEMOCAP, halves="marker-right").clips
    assert clips[f"{WAVS}/Ses01F_impro01_F000.wav"].crop == RIGHT
    with pytest.raises(InputError, match="marker-left"):
        read("iemocap", trees.IEMOCAP, halves="left")


def test_the_sentence_file_starts_with_the_utterance(read, trees):
    clip = read("iemocap", trees.IEMOCAP).clips[f"{WAVS}/Ses01F_impro01_M000.wav"]
    assert clip.audio_path == f"{WAVS}/Ses01F_impro01_M000.wav"
    assert clip.audio_offset_seconds == clip.start_seconds == 6.2901


@pytest.mark.parametrize("time", ["1.2.3", ".", "6..2"])
def test_a_time_that_is_none_is_a_line_that_could_not_be_read(read, trees, time):
    tree = {path: text.replace("[10.0000", f"[{time}") for path, text in trees.IEMOCAP.items()}
    assert read("iemocap", tree).notes.counts[UNREADABLE] == 1


def test_emotions_and_evaluators(read, trees):
    clips = read("iemocap", trees.IEMOCAP).clips
    said = clips[f"{WAVS}/Ses01F_impro01_F000.wav"]
    assert said.emotion == "neu"
    assert (said.extra["agreement"], said.extra["evaluators"]) == ("2", "3")  # not the self-report
    assert said.extra["evaluations"] == "neutral; neutral sadness; anger"
    assert clips[f"{WAVS}/Ses01F_impro01_M000.wav"].extra["agreement"] == "1"
    undecided = clips[f"{AVI}@10.000-11.000"]
    assert (undecided.emotion, undecided.extra["agreement"]) == ("xxx", "0")
    assert clips[SCRIPT].extra["agreement"] == "2"


def test_sessions_and_acts(read, trees):
    clips = read("iemocap", trees.IEMOCAP).clips
    facts = {(c.extra["session"], c.extra["act"]) for c in clips.values() if c.label}
    assert facts == {("1", "improvised"), ("5", "scripted")}
    assert {clip.label for clip in clips.values()} == {"real", None}


def test_half_of_the_media_missing_leaves_the_other_half(read, trees):
    clips = read("iemocap", trees.IEMOCAP).clips
    silent = clips[f"{AVI}@10.000-11.000"]
    assert (silent.video_path, silent.audio_path, silent.audio_label) == (AVI, None, None)
    unseen = clips[SCRIPT]
    assert (unseen.video_path, unseen.audio_path, unseen.crop) == (None, SCRIPT, None)
    assert (unseen.start_seconds, unseen.end_seconds, unseen.audio_offset_seconds) == (0, None, 0)


def test_what_is_missing_or_without_label_is_counted(read, trees):
    found = read("iemocap", trees.IEMOCAP)
    assert found.notes.counts == {MISSING: 3, UNLISTED: 1, WHOLE: 1}
    assert found.clips[f"{WAVS}/Ses01F_impro01_F777.wav"].label is None


def test_nothing_of_the_resource_files_and_subfolders_is_read(read, trees):
    assert not any("._" in key for key in read("iemocap", trees.IEMOCAP).clips)
    assert len(read("iemocap", trees.IEMOCAP).clips) == 6


def test_a_line_of_another_form_is_counted(read, trees):
    path = f"{S1}/dialog/EmoEvaluation/Ses01F_impro01.txt"
    lines = "[6.2901 8.2357]\tSes01F_impro01_F000\tneu\n[1.0 - 2.0]\tnobody\tneu\t[1]\n"
    found = read("iemocap", {**trees.IEMOCAP, path: lines})
    assert found.notes.counts[UNREADABLE] == 2


def test_two_speakers_of_one_film_stand_on_one_side(read, trees):
    """Both are in its picture and sound; the published splits are by session, which holds both."""
    clips = grouped(list(read("iemocap", trees.IEMOCAP).clips.values()))
    session = {clip.group for clip in clips if clip.extra.get("session") == "1"}
    assert len(session) == 1
    assert session.isdisjoint(clip.group for clip in clips if clip.extra.get("session") == "5")
