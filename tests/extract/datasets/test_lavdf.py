"""LAV-DF: labels of picture and sound, fake segments, either list, unknown fields."""

from __future__ import annotations

import json

import pytest

from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED
from extract.datasets.listed import REPEATED

TOP = "LAV-DF"


def test_labels_sides_and_segments(read, trees):
    clips = read("lavdf", trees.LAVDF).clips
    facts = {
        key.removeprefix(f"{TOP}/"): (c.label, c.video_label, c.audio_label, c.split)
        for key, c in clips.items()
    }
    assert facts == {
        "train/000001.mp4": ("fake", "fake", "real", "train"),
        "train/000002.mp4": ("real", "real", "real", "train"),
        "dev/000003.mp4": ("fake", "real", "fake", "val"),
        "test/000004.mp4": ("real", None, None, "test"),
        "test/000006.mp4": (None, None, None, None),
    }
    assert clips[f"{TOP}/train/000001.mp4"].fake_segments == ((1.5, 2.25),)
    assert clips[f"{TOP}/dev/000003.mp4"].fake_segments == ((0.0, 1.0), (2.0, 3.5))
    assert clips[f"{TOP}/train/000002.mp4"].fake_segments == ()
    assert clips[f"{TOP}/test/000004.mp4"].fake_segments is None


def test_a_fake_names_its_original(read, trees):
    clips = read("lavdf", trees.LAVDF).clips
    assert clips[f"{TOP}/train/000001.mp4"].source == f"d/{TOP}/train/000002.mp4"


def test_missing_and_unlisted_files_are_counted(read, trees):
    assert read("lavdf", trees.LAVDF).notes.counts == {MISSING: 1, UNLISTED: 1}


def test_the_full_list_is_read_where_the_short_one_is_not_there(read, trees):
    short = f"{TOP}/metadata.min.json"
    full = {**trees.LAVDF, f"{TOP}/metadata.json": trees.LAVDF[short]}
    del full[short]
    assert read("lavdf", full).clips[f"{TOP}/train/000001.mp4"].label == "fake"


def test_a_list_without_counts_still_labels(read, trees):
    records = json.dumps([{"file": "a.mp4", "fake_periods": [[0, 1]]}, {"file": "b.mp4"}])
    found = read("lavdf", {"metadata.json": records, **trees.media("a.mp4", "b.mp4")})
    assert [clip.label for clip in found.clips.values()] == ["fake", None]
    assert found.notes.counts == {UNLISTED: 1}


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"modify_video": True, "modify_audio": False}, "fake"),
        ({"modify_audio": True}, "fake"),
        ({"modify_video": False, "modify_audio": False}, "real"),
        ({"modify_video": False}, None),
        ({"n_fakes": 2}, "fake"),
        ({"n_fakes": 0}, "real"),
        ({"n_fakes": None, "fake_periods": []}, "real"),
        ({"n_fakes": None, "fake_periods": None, "modify_video": None}, None),
        ({"split": "test"}, None),
    ],
)
def test_a_label_comes_from_the_fields_that_are_there(read, trees, fields, label):
    records = json.dumps([{"file": "a.mp4", **fields}])
    found = read("lavdf", {"metadata.json": records, **trees.media("a.mp4")})
    assert found.clips["a.mp4"].label == label
    assert found.notes.counts == ({} if label else {UNLISTED: 1})


def test_fields_that_contradict_each_other_are_counted(read, trees):
    records = json.dumps([{"file": "a.mp4", "n_fakes": 0, "modify_audio": True}])
    found = read("lavdf", {"metadata.json": records, **trees.media("a.mp4")})
    assert found.clips["a.mp4"].label == "fake"
    assert found.notes.counts == {"whose fields contradict each other: taken as fake": 1}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"name": "a.mp4"}], "not a record of a clip"),
        ([{"file": "a.mp4", "fake_periods": [3]}], "fake_periods holds no list of stretches"),
        ([{"file": "a.mp4", "fake_periods": [[2, 1], [-5, 99]]}], "fake_periods holds no list"),
        ([{"file": "a.mp4", "n_fakes": [1]}, {"file": "a.mp4"}], "n_fakes is no count"),
        ([{"file": "../a.mp4"}], "stay below"),
        ([{"file": "a.mp4", "n_fakes": "x"}], r"a\.mp4: n_fakes is no count.*found: x"),
        ([{"file": "a.mp4", "n_fakes": -1}], "n_fakes is no count"),
        ([{"file": "a.mp4", "n_fakes": 0.5}], "n_fakes is no count"),
        ([{"file": "a.mp4", "n_fakes": []}], "n_fakes is no count"),
        ([{"file": "a.mp4", "modify_video": "false"}], "modify_video is neither"),
        ([{"file": "a.mp4", "original": 7}], "not a record of a clip"),
    ],
)
def test_broken_records_are_named(read, trees, records, message):
    with pytest.raises(InputError, match=message) as caught:
        read("lavdf", {"metadata.json": json.dumps(records), **trees.media("a.mp4")})
    assert "metadata.json" in str(caught.value)


def test_a_record_that_says_the_same_again_is_counted(read, trees):
    records = [{"file": "a.mp4", "n_fakes": 1, "split": "train", "duration": i} for i in range(3)]
    found = read("lavdf", {"metadata.json": json.dumps(records), **trees.media("a.mp4")})
    assert found.notes.counts == {REPEATED: 2}
    assert found.clips["a.mp4"].label == "fake"


def test_a_repeat_without_a_label_is_one_clip_without_a_label(read, trees):
    records = [{"file": "a.mp4"}, {"file": "./a.mp4"}]
    found = read("lavdf", {"metadata.json": json.dumps(records), **trees.media("a.mp4")})
    assert found.notes.counts == {UNLISTED: 1, REPEATED: 1}


def test_records_that_contradict_each_other_are_refused_with_list_and_file(read, trees):
    records = [{"file": "b/a.mp4", "n_fakes": n, "split": "train"} for n in (1, 0)]
    message = r"root/metadata\.json: b/a\.mp4: two records .* contradict.*label fake and real"
    with pytest.raises(InputError, match=message):
        read("lavdf", {"metadata.json": json.dumps(records), **trees.media("b/a.mp4")})


def test_without_a_list_everything_is_unlabelled(read, trees):
    found = read("lavdf", trees.media("train/000001.mp4"))
    assert found.notes.counts == {UNLISTED: 1}
    assert "neither metadata.min.json nor metadata.json" in found.notes.lines()[0]
