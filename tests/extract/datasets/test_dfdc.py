"""DFDC: labels from metadata.json beside the clips, groups by original, plain part numbers."""

from __future__ import annotations

import json

import pytest

from avfd.clips import grouped
from avfd.errors import InputError
from extract.datasets.base import MISSING, UNLISTED

PART_5 = "dfdc_train_part_05/dfdc_train_part_5"


def test_labels_and_parts(read, trees):
    clips = read("dfdc", trees.DFDC).clips
    assert {key: (clip.label, clip.extra["part"]) for key, clip in clips.items()} == {
        f"{PART_5}/real.mp4": ("real", "5"),
        f"{PART_5}/fake.mp4": ("fake", "5"),
        f"{PART_5}/other.mp4": ("fake", "5"),
        f"{PART_5}/orphan.mp4": ("fake", "5"),
        f"{PART_5}/unlisted.mp4": (None, "5"),
        "dfdc_train_part_45/elsewhere.mp4": ("real", "45"),
        "dfdc_train_part_45/lost.mp4": ("fake", "45"),
        "train_sample_videos/sample.mp4": ("real", "sample"),
        "test_videos/secret.mp4": (None, "sample-test"),
    }


@pytest.mark.parametrize("folder", ["dfdc_train_part_07", "dfdc_train_part_7", "DFDC_train_part_7"])
def test_padded_and_plain_part_numbers_are_the_same(read, trees, folder):
    tree = {f"{folder}/metadata.json": json.dumps({}), **trees.media(f"{folder}/a.mp4")}
    assert read("dfdc", tree).clips[f"{folder}/a.mp4"].extra == {"part": "7"}


def test_a_fake_is_grouped_with_its_original_wherever_that_is(read, trees):
    clips = read("dfdc", trees.DFDC).clips
    group = {c.key.removeprefix("d/"): c.group for c in grouped(list(clips.values()))}
    same = [f"{PART_5}/real.mp4", f"{PART_5}/fake.mp4", f"{PART_5}/other.mp4"]
    assert len({group[key] for key in same}) == 1
    assert group[f"{PART_5}/orphan.mp4"] == group["dfdc_train_part_45/elsewhere.mp4"]
    assert len(set(group.values())) == len(clips) - 3
    assert clips["dfdc_train_part_45/lost.mp4"].source == "nowhere.mp4"


def test_one_video_in_the_sample_set_and_in_a_part_is_one_group(read, trees):
    names = ("real.mp4", "fake.mp4", "late.mp4")
    part = json.loads(trees.DFDC[f"{PART_5}/metadata.json"])
    part["late.mp4"] = {"label": "FAKE", "original": "real.mp4"}
    sample = {"late.mp4": part["late.mp4"], "real.mp4": part["real.mp4"]}
    tree = {
        f"{PART_5}/metadata.json": json.dumps(part),
        "train_sample_videos/metadata.json": json.dumps(sample),  # says nothing of fake.mp4
        **trees.media(
            *(f"{folder}/{n}" for folder in (PART_5, "train_sample_videos") for n in names)
        ),
        **trees.media(f"{PART_5}/other.mp4", "test_videos/secret.mp4"),
    }
    clips = read("dfdc", tree).clips
    group = {c.key.removeprefix("d/"): c.group for c in grouped(list(clips.values()))}
    video = {g for key, g in group.items() if key.endswith(names[:2]) and "sample" not in key}
    assert video == {group["train_sample_videos/real.mp4"], group["train_sample_videos/late.mp4"]}
    assert group["test_videos/secret.mp4"] not in video


def test_the_sample_set_beside_the_parts_gives_its_groups_no_other_name(read, trees):
    """So that the sides of the parts stay when the sample set is added."""
    alone = read("dfdc", trees.DFDC).clips
    sample = {"train_sample_videos/real.mp4": trees.MEDIA}
    both = read("dfdc", {**trees.DFDC, **sample}).clips
    assert alone.items() <= both.items()
    assert both["train_sample_videos/real.mp4"].source == alone[f"{PART_5}/fake.mp4"].source


def test_listed_but_missing_and_unlisted_files_are_counted(read, trees):
    notes = read("dfdc", trees.DFDC).notes
    assert notes.counts == {MISSING: 1, UNLISTED: 2}
    assert f"1 {MISSING} ({PART_5}/gone.mp4)" in notes.lines()


def test_label_lists_of_the_public_test_sets(read, trees):
    tree = {
        "validation/labels.csv": "filename,label\na.mp4,1\n",
        "test/metadata.json": json.dumps({"b.mp4": {"is_fake": 0}}),
        **trees.media("validation/a.mp4", "test/b.mp4"),
    }
    clips = read("dfdc", tree).clips
    assert clips["validation/a.mp4"].label == "fake"
    assert clips["test/b.mp4"].label == "real"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a.mp4"]', "not a DFDC label file"),
        ('{"a.mp4": {"label": "MAYBE"}}', r"not a DFDC label.*MAYBE"),
        ('{"a.mp4": "FAKE"}', "not a DFDC label"),
        ("{", "not JSON"),
        ('{"../a.mp4": {"label": "FAKE"}}', "stay below"),
        ('{"a": {"label": "FAKE"}}', "not a file name"),
        *[
            (f'{{"a.mp4": {{"label": "FAKE", "original": {original}}}}}', "original of a.mp4 is no")
            for original in ('["x.mp4"]', "5", '{"x": 1}', "true")
        ],
    ],
)
def test_broken_label_files_are_named(read, trees, content, message):
    tree = {"p/metadata.json": content, **trees.media("p/a.mp4")}
    with pytest.raises(InputError, match=r"root/p/metadata\.json: .*" + message):
        read("dfdc", tree)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("filename,label\na.mp4,1\na.mp4\n", r":3: the row is not as wide"),
        ("filename,label\na.mp4,1,0\n", r":2: the row is not as wide"),
        ("filename,label\na.mp4,maybe\n", r":2: not a DFDC label.*maybe"),
        ("filename,label\n,1\n", r":2: not a file name"),
        ("filename,probability\na.mp4,1\n", r": not a DFDC label file.*filename, probability"),
        ("", r": the table is empty"),
    ],
)
def test_broken_label_lists_are_named_with_their_line(read, trees, content, message):
    tree = {"p/labels.csv": content, **trees.media("p/a.mp4")}
    with pytest.raises(InputError, match=r"root/p/labels\.csv" + message):
        read("dfdc", tree)
