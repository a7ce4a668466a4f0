"""AV-Deepfake1M: lists and single records, both spellings of a type, test clips without labels."""

from __future__ import annotations

import json

import pytest

from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED
from extract.datasets.listed import REPEATED

TOP = "AV-Deepfake1M"
FAKE = f"{TOP}/train/id00012/vid/00001/fake_video_fake_audio.mp4"


def test_labels_and_sides(read, trees):
    clips = read("avdeepfake1m", trees.AVDEEPFAKE1M).clips
    assert {key: (c.label, c.video_label, c.audio_label, c.split) for key, c in clips.items()} == {
        f"{TOP}/train/id00012/vid/00001/real.mp4": ("real", "real", "real", "train"),
        FAKE: ("fake", "fake", "fake", "train"),
        f"{TOP}/train/id00012/vid/00001/unlisted.mp4": (None, None, None, None),
        f"{TOP}/val/id00099/vid/00002/fake.mp4": ("fake", "fake", "real", "val"),
        f"{TOP}/test/000001.mp4": (None, None, None, "test"),
    }


def test_a_fake_has_segments_model_speaker_and_original(read, trees):
    clip = read("avdeepfake1m", trees.AVDEEPFAKE1M).clips[FAKE]
    assert clip.fake_segments == ((0.5, 1.0),)
    assert (clip.method, clip.extra) == ("both_modified", {"audio_model": "yourtts"})
    assert clip.subject == "id00012"
    assert clip.source == f"d/{TOP}/train/id00012/vid/00001/real.mp4"


def test_missing_and_unlabelled_files_are_counted(read, trees):
    assert read("avdeepfake1m", trees.AVDEEPFAKE1M).notes.counts == {MISSING: 2, UNLISTED: 2}


@pytest.mark.parametrize("spelling", ["both_modified", "both-modified"])
def test_both_spellings(read, trees, spelling):
    record = json.dumps([{"file": "train/a.mp4", "modify_type": spelling}])
    tree = {"train_metadata.json": record, **trees.media("train/a.mp4")}
    assert read("avdeepfake1m", tree).clips["train/a.mp4"].label == "fake"


def test_records_beside_the_clips(read, trees):
    tree = {
        "val/id1/a.json": json.dumps({"file": "id1/a.mp4", "modify_type": "real"}),
        **trees.media("val/id1/a.mp4"),
    }
    clip = read("avdeepfake1m", tree).clips["val/id1/a.mp4"]
    assert (clip.label, clip.split) == ("real", "val")


def test_another_type_is_refused(read, trees):
    record = json.dumps([{"file": "a.mp4", "modify_type": "half_modified"}])
    with pytest.raises(InputError, match=r"not a modify_type.*half_modified.*real"):
        read("avdeepfake1m", {"val_metadata.json": record, **trees.media("val/a.mp4")})


def test_a_record_without_a_type_is_refused_not_called_real(read, trees):
    record = json.dumps([{"file": "a.mp4", "fake_segments": []}])
    with pytest.raises(InputError, match=r"root/val_metadata\.json: a\.mp4: not a modify_type"):
        read("avdeepfake1m", {"val_metadata.json": record, **trees.media("val/a.mp4")})


def test_an_original_that_is_no_name_is_refused(read, trees):
    record = json.dumps([{"file": "a.mp4", "modify_type": "real", "original": 7}])
    with pytest.raises(InputError, match="not a record of a clip"):
        read("avdeepfake1m", {"val_metadata.json": record, **trees.media("val/a.mp4")})


@pytest.mark.parametrize("segments", [[[2, 1]], [[-5, 99]], 3, [["0", "1"]]])
def test_segments_that_cannot_be_are_refused_with_list_and_file(read, trees, segments):
    record = json.dumps([{"file": "a.mp4", "modify_type": "real", "fake_segments": segments}])
    message = r"val_metadata\.json: a\.mp4: fake_segments holds no list of stretches"
    with pytest.raises(InputError, match=message):
        read("avdeepfake1m", {"val_metadata.json": record, **trees.media("val/a.mp4")})


def test_a_record_that_says_the_same_again_is_counted(read, trees):
    records = json.dumps([{"file": f, "modify_type": "real"} for f in ("a.mp4", "val/a.mp4")])
    found = read("avdeepfake1m", {"val_metadata.json": records, **trees.media("val/a.mp4")})
    assert found.notes.counts == {REPEATED: 1}
    assert list(found.clips) == ["val/a.mp4"]


def test_records_that_contradict_each_other_are_refused_with_list_and_file(read, trees):
    kinds = ("real", "audio_modified")
    records = json.dumps([{"file": "a.mp4", "modify_type": kind} for kind in kinds])
    message = r"val_metadata\.json: a\.mp4: two records .* contradict.*audio_label real and fake"
    with pytest.raises(InputError, match=message):
        read("avdeepfake1m", {"val_metadata.json": records, **trees.media("val/a.mp4")})


def test_a_file_on_the_lists_of_two_sides_is_refused(read, trees):
    record = json.dumps([{"file": "val/a.mp4", "modify_type": "real"}])
    lists = {"train_metadata.json": record, "val_metadata.json": record}
    with pytest.raises(InputError, match=r"val_metadata\.json: val/a\.mp4: .*split train and val"):
        read("avdeepfake1m", {**lists, **trees.media("val/a.mp4")})
