"""Clips: keys, groups and the table."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import replace

import pytest

from avfd.clips import (
    Clip,
    check_inside,
    check_unique,
    clip_key,
    grouped,
    read_frame,
    read_table,
    write_table,
)
from avfd.errors import InputError

COMPOSED = unicodedata.normalize("NFC", "Zoë")
DECOMPOSED = unicodedata.normalize("NFD", "Zoë")


def test_a_key_keeps_the_suffix_and_odd_characters():
    assert clip_key("d", "a b/c#1.MP4") == "d/a b/c#1.MP4"


def test_a_key_is_composed_unicode_whatever_the_disk_says():
    assert DECOMPOSED != COMPOSED
    assert clip_key("d", DECOMPOSED) == clip_key("d", COMPOSED) == f"d/{COMPOSED}"


@pytest.mark.parametrize(
    ("times", "part"),
    [
        ((None, None), ""),
        ((0.0, 2.5), "@0.000-2.500"),
        ((1.5, None), "@1.500-end"),
        ((None, 2.0), "@0.000-2.000"),
    ],
)
def test_a_part_of_a_file_says_which(times, part):
    assert clip_key("d", "a.mp4", *times) == f"d/a.mp4{part}"


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.mp4", "a/../../b.mp4", "a\0.mp4"])
def test_paths_out_of_the_root_are_refused(path):
    with pytest.raises(InputError, match="stay below"):
        check_inside(path, "here")
    with pytest.raises(InputError, match="stay below"):
        Clip("d/a", video_path=path)
    with pytest.raises(InputError, match="stay below"):
        Clip("d/a", audio_path=path)


@pytest.mark.parametrize("path", ["a..b.mp4", "...mp4", "a b#/c.mp4"])
def test_dots_in_names_are_no_climbing(path):
    assert Clip("d/a", video_path=path).paths == [path]


@pytest.mark.parametrize("field", ["label", "video_label", "audio_label"])
def test_other_labels_are_refused(field):
    with pytest.raises(InputError, match=f"{field} is not a label.*REAL"):
        Clip("d/a", **{field: "REAL"})


def test_paths_are_distinct_and_video_comes_first():
    assert Clip("k", video_path="v", audio_path="v").paths == ["v"]
    assert Clip("k", video_path="v", audio_path="a").paths == ["v", "a"]
    assert Clip("k").paths == []


def test_two_files_of_one_key_are_refused_with_both_names():
    clips = [Clip(f"d/{COMPOSED}", video_path=form) for form in (COMPOSED, DECOMPOSED)]
    with pytest.raises(InputError, match=f"{COMPOSED}.*and.*{DECOMPOSED}"):
        check_unique(clips)
    check_unique([clips[0], Clip("d/other", video_path=COMPOSED)])


def groups(*clips: Clip) -> dict[str, str | None]:
    return {clip.key: clip.group for clip in grouped(clips)}


def test_a_clip_that_shares_nothing_is_its_own_group():
    assert groups(Clip("d/a"), Clip("d/b")) == {"d/a": "d/a", "d/b": "d/b"}


def test_subject_and_donor_join_across_roles():
    found = groups(Clip("1", subject="ann"), Clip("2", subject="ben", donor="ann"), Clip("3"))
    assert found["1"] == found["2"] != found["3"]


def test_every_donor_of_a_clip_joins():
    found = groups(
        Clip("fake", subject="ann", donor="ben", more_donors=("cid", "dot")),
        *(Clip(name, subject=name) for name in ("ann", "ben", "cid", "dot", "eve")),
    )
    assert {found[name] for name in ("ann", "ben", "cid", "dot")} == {found["fake"]}
    assert found["eve"] == "eve"


def test_people_are_the_subject_and_every_donor():
    clip = Clip("k", subject="ann", donor="ben", more_donors=("cid",))
    assert clip.donors == ("ben", "cid")
    assert clip.people == ("ann", "ben", "cid")
    assert Clip("k").people == Clip("k").donors == ()


def test_a_source_joins_its_clip_and_those_that_name_it_too():
    found = groups(
        Clip("fake1", source="real"), Clip("real"), Clip("fake2", source="real"), Clip("x")
    )
    assert found["fake1"] == found["real"] == found["fake2"] != found["x"] == "x"
    absent = groups(Clip("fake1", source="gone"), Clip("fake2", source="gone"))
    assert absent["fake1"] == absent["fake2"]


def test_joining_is_transitive_and_blind_to_order():
    chain = [Clip(str(i), subject=f"p{i}", donor=f"p{i + 1}") for i in range(30)]
    apart = [Clip("a", subject="q"), Clip("b", subject="q")]
    clips = chain + apart
    expected = groups(*clips)
    assert len(set(expected.values())) == 2
    for seed in range(5):
        random.Random(seed).shuffle(clips)
        assert groups(*clips) == expected


def test_a_person_and_an_original_of_one_name_do_not_join():
    found = groups(Clip("1", subject="x"), Clip("2", source="x"))
    assert found["1"] != found["2"]


def test_files_of_one_name_in_two_data_sets_do_not_join():
    found = groups(Clip("d/a.mp4", video_path="a.mp4"), Clip("e/a.mp4", video_path="a.mp4"))
    assert found["d/a.mp4"] != found["e/a.mp4"]


def test_a_source_that_is_cut_into_parts_joins_them_all():
    parts = [Clip(f"d/film.mp4@{i}", video_path="film.mp4") for i in range(2)]
    found = groups(Clip("d/fake.mp4", source="d/film.mp4"), *parts)
    assert len(set(found.values())) == 1


FULL = Clip(
    key=f"d/{COMPOSED} #1.mp4@1.000-2.000",
    video_path=f"{DECOMPOSED} #1.mp4",
    audio_path="a.wav",
    start_seconds=1.0,
    end_seconds=2.0,
    audio_offset_seconds=-0.25,
    crop=(0.0, 0.0, 0.5, 1.0),
    label="fake",
    video_label="fake",
    audio_label="real",
    method="m",
    emotion="ang",
    subject="s",
    donor="t",
    more_donors=("u", "ü #2"),
    source="o",
    group="g",
    split="test",
    fake_segments=((0.0, 0.5), (0.75, 1.0)),
    extra={"part": "45", "ü": "1"},
    width=1920,
    height=1080,
    fps=29.97,
    seconds=1.0,
    has_audio=True,
    has_video=True,
    bytes=2**40,
    mtime_ns=1_700_000_000_123_456_789,
    problem="p",
)


@pytest.mark.parametrize(
    "clips",
    [
        [FULL],
        [Clip("d/bare")],
        [FULL, Clip("d/bare")],
        [replace(FULL, fake_segments=(), extra={}), FULL],
        [],
    ],
    ids=["full", "bare", "both", "no segment", "none"],
)
def test_the_table_gives_back_what_was_written(tmp_path, clips):
    path = tmp_path / "deep" / "clips.parquet"
    write_table(clips, path)
    back = read_table(path)
    assert back == clips
    assert [path] == list(path.parent.iterdir())  # nothing half-written is left


def test_a_table_written_before_clips_had_several_donors_is_read(tmp_path):
    path = tmp_path / "t.parquet"
    write_table([FULL, Clip("d/bare")], path)
    read_frame(path).drop(columns="more_donors").to_parquet(path, index=False)
    assert read_table(path) == [replace(FULL, more_donors=()), Clip("d/bare")]


def test_missing_values_come_back_as_none_with_their_types(tmp_path):
    write_table([FULL, Clip("d/bare")], tmp_path / "t.parquet")
    full, bare = read_table(tmp_path / "t.parquet")
    assert bare.end_seconds is None
    assert bare.subject is None
    assert bare.fake_segments is None
    assert type(full.mtime_ns) is int
    assert type(full.has_audio) is bool
    assert type(full.end_seconds) is float
