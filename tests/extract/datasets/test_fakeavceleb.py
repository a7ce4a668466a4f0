"""FakeAVCeleb: the shifted path column, the unnamed tenth, repeated files, other spellings."""

from __future__ import annotations

import pytest

from avfd.clips import Clip, grouped
from avfd.errors import InputError
from extract.datasets.base import MISSING, SOUND, UNLISTED
from extract.datasets.fakeavceleb import NO_PLACE, NO_ROW, REPEATED

TOP = "FakeAVCeleb"
TWICE = f"{TOP}/FakeVideo-FakeAudio/African/men/id00076/twice #1.mp4"


def test_labels_of_picture_and_sound(read, trees):
    clips = read("fakeavceleb", trees.FAKEAVCELEB).clips
    assert {key: (c.label, c.video_label, c.audio_label) for key, c in clips.items()} == {
        f"{TOP}/RealVideo-RealAudio/African/men/id00076/00109.mp4": ("real", "real", "real"),
        f"{TOP}/FakeVideo-RealAudio/African/men/id00076/00109_id00166.mp4": (
            "fake", "fake", "real",
        ),
        f"{TOP}/RealVideo-FakeAudio/Asian (East)/women/id00166/00010_fake.mp4": (
            "fake", "real", "fake",
        ),
        TWICE: ("fake", "fake", "fake"),
        f"{TOP}/FakeVideo-FakeAudio/African/men/id00076/unlisted.mp4": ("fake", "fake", "fake"),
        f"{TOP}/FakeVideo-FakeAudios/African/men/id00076/near.mp4": (None, None, None),
    }  # fmt: skip


def test_the_method_is_found_through_the_shifted_columns(read, trees):
    clips = read("fakeavceleb", trees.FAKEAVCELEB).clips
    swap = clips[f"{TOP}/FakeVideo-RealAudio/African/men/id00076/00109_id00166.mp4"]
    assert (swap.method, swap.subject, swap.donor) == ("faceswap", "id00076", "id00166")
    assert swap.extra["category"] == "C"
    real = clips[f"{TOP}/RealVideo-RealAudio/African/men/id00076/00109.mp4"]
    assert (real.method, real.donor) == (None, None)


def test_a_file_listed_twice_is_one_clip_of_both_methods(read, trees):
    found = read("fakeavceleb", trees.FAKEAVCELEB)
    assert found.clips[TWICE].method == "fsgan-wav2lip+wav2lip"
    assert found.clips[TWICE].extra["targets"] == "id00166 id00029 id00031"
    assert found.notes.counts == {
        REPEATED: 1,
        NO_ROW: 1,
        UNLISTED: 1,
        MISSING: 1,
        SOUND: 1,
    }


def test_sound_files_are_counted_and_no_clips(read, trees):
    found = read("fakeavceleb", trees.FAKEAVCELEB)
    assert not any(key.endswith(".wav") for key in found.clips)
    loose = f"{TOP}/FakeVideo-FakeAudio/African/men/id00076/loose.wav"
    assert f"1 {SOUND} ({loose})" in found.notes.lines()


def test_everybody_swapped_in_by_any_line_joins_the_group(read, trees):
    found = read("fakeavceleb", trees.FAKEAVCELEB)
    assert found.clips[TWICE].donors == ("id00166", "id00029", "id00031")
    people = ("id00076", "id00166", "id00029", "id00031", "id00032")
    alone = [Clip(f"d/{name}", subject=name) for name in people]
    group = {clip.key: clip.group for clip in grouped([*found.clips.values(), *alone])}
    assert len({group[f"d/{name}"] for name in people[:4]}) == 1
    assert group["d/id00032"] == "d/id00032"


@pytest.mark.parametrize("race", ["Asian_East", "Asian East", "asian-(east)"])
def test_other_spellings_of_the_folders_match_the_table(read, trees, race):
    tree = {
        path.replace("Asian (East)", race) if path.endswith(".mp4") else path: text
        for path, text in trees.FAKEAVCELEB.items()
    }
    clips = read("fakeavceleb", tree).clips
    assert clips[f"{TOP}/RealVideo-FakeAudio/{race}/women/id00166/00010_fake.mp4"].method == "rtvc"


HEADER = "source,target1,target2,method,category,type,race,gender,path"
PLACE = "RealVideo-FakeAudio/African/men/id1"


@pytest.mark.parametrize(
    "table",
    [
        f"{HEADER},\nid1,-,-,rtvc,B,RealVideo-FakeAudio,African,men,a.mp4,FakeAVCeleb/{PLACE}\n",
        f"{HEADER},Unnamed: 9\nid1,-,-,rtvc,B,RealVideo-FakeAudio,African,men,a.mp4,{PLACE}/\n",
        f"{HEADER}\nid1,-,-,rtvc,B,RealVideo-FakeAudio,African,men,FakeAVCeleb/{PLACE}/a.mp4\n",
        f"{HEADER}\nid1,-,-,rtvc,B,RealVideo-FakeAudio,African,men,a.mp4\n",
    ],
    ids=["as published", "through pandas", "mended", "without the tenth column"],
)
def test_every_shape_of_the_table_finds_its_file(read, trees, table):
    tree = {"meta_data.csv": table, **trees.media(f"{PLACE}/a.mp4")}
    found = read("fakeavceleb", tree)
    assert found.clips[f"{PLACE}/a.mp4"].method == "rtvc"
    assert not found.notes.counts


@pytest.mark.parametrize(
    "line", ["id1,-", "x,y,z", "id1,-,-,rtvc,B,RealVideo-FakeAudio,,,a.mp4,,,"]
)
def test_a_line_that_names_no_file_is_counted(read, trees, line):
    tree = {"meta_data.csv": f"{HEADER},\n{line}\n", **trees.media(f"{PLACE}/a.mp4")}
    assert read("fakeavceleb", tree).notes.counts == {NO_PLACE: 1, NO_ROW: 1}


def test_a_line_without_a_method_names_none(read, trees):
    table = (
        "path,source,target1,target2,category,type,race,gender,method\n" + f"{PLACE}/a.mp4,id1\n"
    )
    tree = {"meta_data.csv": table, **trees.media(f"{PLACE}/a.mp4")}
    assert read("fakeavceleb", tree).clips[f"{PLACE}/a.mp4"].method is None


def test_without_the_table_the_folders_still_label(read, trees):
    found = read("fakeavceleb", trees.media(f"{PLACE}/a.mp4"))
    assert found.clips[f"{PLACE}/a.mp4"].audio_label == "fake"
    assert "no meta_data.csv" in found.notes.lines()[0]


def test_another_table_of_that_name_is_refused(read, trees):
    with pytest.raises(InputError, match="not the table of FakeAVCeleb"):
        read("fakeavceleb", {"meta_data.csv": "a,b\n", **trees.media(f"{PLACE}/a.mp4")})
