"""Any CSV: label words are mapped one by one, columns are found by name, mistakes name the line."""

from __future__ import annotations

import re
import unicodedata

import pytest

from avfd.clips import grouped
from avfd.errors import InputError
from avfd.manifest import load
from classify.protocols import assign
from extract.datasets.base import MISSING, UNLISTED
from extract.datasets.table import NAMES, NO_WORDS, NOBODY, UNHEARD, UNKNOWN, WORDS


def _table(tmp_path, text: str) -> str:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_labels_subjects_and_parts_of_one_film(read, trees, tmp_path):
    found = read("table", trees.TABLE, table=str(tmp_path / "root" / "list.csv"))
    assert {key: (clip.label, clip.subject) for key, clip in found.clips.items()} == {
        "clips/a b#1.mp4": ("real", "anna"),
        "clips/film.mp4@0.000-2.500": ("fake", "ben"),
        "clips/film.mp4@2.500-5.000": ("real", "ben"),
        "clips/u.mp4": (None, None),
    }
    part = found.clips["clips/film.mp4@2.500-5.000"]
    assert (part.start_seconds, part.end_seconds) == (2.5, 5.0)
    assert found.clips["clips/film.mp4@0.000-2.500"].method == "wav2lip"


def test_rows_that_name_nobody_are_counted_and_share_nobody(read, tmp_path):
    names = ("anna", "", "unknown", "N/A", "unknown")
    rows = "".join(f"{i}.mp4,real,{name},{name}\n" for i, name in enumerate(names))
    tree = {f"{i}.mp4": "" for i in range(len(names))}
    found = read("table", tree, table=_table(tmp_path, f"path,label,subject,donor\n{rows}"))
    assert [c.subject for c in found.clips.values()] == ["anna", None, None, None, None]
    assert [c.donor for c in found.clips.values()] == ["anna", None, None, None, None]
    assert found.notes.counts[UNKNOWN] == 4
    assert len({clip.group for clip in grouped(list(found.clips.values()))}) == 5


def test_every_word_for_no_label_names_nobody():
    assert {"unknown", "none", "nan", "na", "n/a", "-", "unlabelled", "unlabeled"} <= NOBODY
    assert {word for word, label in WORDS.items() if label is None} == {"", *NOBODY}


def test_originals_that_are_a_word_for_none_join_nothing(read, trees, tmp_path):
    rows = "a.mp4,x,unknown,\nb.mp4,y,Unknown,NaN\nc.mp4,z,,\nd.mp4,u,o.mp4,-\n"
    tree = trees.media("a.mp4", "b.mp4", "c.mp4", "d.mp4")
    table = _table(tmp_path, f"path,subject,original,donor\n{rows}")
    found = read("table", tree, table=table)
    assert len(set(_groups(found).values())) == 4
    assert [clip.source for clip in found.clips.values()] == [None, None, None, "o.mp4"]
    assert f"3 {NO_WORDS} (a.mp4, b.mp4, d.mp4)" in found.notes.lines()
    assert f"1 {NAMES} (o.mp4)" in found.notes.lines()
    assert UNKNOWN not in found.notes.counts


def test_rows_without_a_subject_are_told_with_an_example(read, trees, tmp_path):
    rows = "a.mp4,anna\nb.mp4,\nc.mp4,none\ngone.mp4,\n"
    table = _table(tmp_path, f"path,who\n{rows}")
    tree = trees.media("a.mp4", "b.mp4", "c.mp4")
    notes = read("table", tree, table=table, subject_column="who").notes
    assert f"2 {UNKNOWN} (b.mp4, c.mp4)" in notes.lines()
    assert UNKNOWN not in read("table", tree, table=table).notes.counts  # no column: a sentence


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"t\.csv: the table has no row; .*accepted: .*a line a clip"),
        (
            "x/a.mp4,\ny/b.mp4,\n",
            r"t\.csv: no row names a file that is there; found: 2 rows, none of them below "
            r"(\S*root); the first path looked for is \1/x/a\.mp4; .*next: check --root and "
            r"--path-column$",
        ),
        (
            "x\\a.mp4,\nb.mp4,\n",
            r"first path looked for is \S*root/x\\a\.mp4; .*"
            r"next: write / for \\ in the paths, else check --root and --path-column$",
        ),
        (
            "gone.mp4,\na.mp4,s.wav\n",
            r"no row names a file that is there in the column audio_path; found: 2 rows, .*"
            r"the first path looked for is \S*root/s\.wav",
        ),
    ],
)
def test_a_table_that_gives_no_clip_tells_why(read, trees, tmp_path, rows, message):
    table = _table(tmp_path, f"path,audio_path\n{rows}")
    found = read("table", trees.media("a.mp4"), table=table)
    assert not found.clips
    assert re.search(message, str(found.notes.no_clip))


def test_a_table_that_gives_a_clip_has_nothing_to_refuse(read, trees, tmp_path):
    table = _table(tmp_path, "path\ngone.mp4\na.mp4\n")
    assert read("table", trees.media("a.mp4"), table=table).notes.no_clip is None


def test_missing_and_unnamed_files_are_counted(read, trees, tmp_path):
    notes = read("table", trees.TABLE, table=str(tmp_path / "root" / "list.csv")).notes
    assert notes.counts == {
        MISSING: 1,
        UNLISTED: 1,
        UNKNOWN: 1,
        "media files that no row names: not indexed": 1,
    }
    assert "1 listed but missing (clips/gone.mp4)" in notes.lines()


def test_a_column_called_source_joins_nothing(read, trees, tmp_path):
    clips = read("table", trees.TABLE, table=str(tmp_path / "root" / "list.csv")).clips
    clip = clips["clips/a b#1.mp4"]
    assert clip.source is None
    assert clip.extra == {"source": "web"}


@pytest.mark.parametrize(
    ("word", "label"),
    [
        *[(word, "real") for word in ("real", "0", "False", "genuine")],
        *[(word, "fake") for word in ("FAKE", "1", "true", " Spoof ")],
        *[(word, None) for word in ("", *sorted(NOBODY), "NaN", "N/A", " - ")],
    ],
)
def test_label_words(read, trees, tmp_path, word, label):
    table = _table(tmp_path, f"path,label\na.mp4,{word}\n")
    assert read("table", trees.media("a.mp4"), table=table).clips["a.mp4"].label == label


def test_another_label_word_is_refused_with_its_line(read, trees, tmp_path):
    table = _table(tmp_path, "path,label\na.mp4,real\na.mp4,maybe\n")
    with pytest.raises(InputError, match=r"t\.csv:3: .*maybe.*accepted: real, 0"):
        read("table", trees.media("a.mp4"), table=table)


def test_named_columns_are_taken_and_a_wrong_name_lists_the_header(read, trees, tmp_path):
    table = _table(tmp_path, "file;truth;who\na.mp4;fake;anna\n")
    columns = {"path_column": "file", "label_column": "truth", "subject_column": "who"}
    clip = read("table", trees.media("a.mp4"), table=table, **columns).clips["a.mp4"]
    assert (clip.label, clip.subject) == ("fake", "anna")
    with pytest.raises(InputError, match=r"no such label column.*truthy.*file, truth, who"):
        read("table", {}, table=table, **{**columns, "label_column": "truthy"})


def test_a_table_without_a_label_column_says_so_and_counts_its_rows(read, trees, tmp_path):
    table = _table(tmp_path, "file,truth\na.mp4,real\nb.mp4,fake\n")
    media = trees.media("a.mp4", "b.mp4")
    notes = read("table", media, table=table, path_column="file").notes
    assert notes.counts == {UNLISTED: 2}
    said = "no label column among file, truth: no clip is real or fake; --label-column mends that"
    assert said in notes.lines()
    named = read("table", media, table=table, path_column="file", label_column="truth").notes
    assert not named.counts
    assert not any("no label column" in line for line in named.lines())


def test_a_row_with_an_emotion_is_not_without_a_label(read, trees, tmp_path):
    table = _table(tmp_path, "path,emotion,subject\na.mp4,angry,x\nb.mp4,,x\n")
    notes = read("table", trees.media("a.mp4", "b.mp4"), table=table).notes
    assert notes.lines()[1:] == [f"1 {UNLISTED} (b.mp4)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,subject\na.mp4,real,x\na.mp4,fake\n", r"t\.csv:3: the row is not as wide"),
        ("path,label\na.mp4,real,extra\n", r"t\.csv:2: the row is not as wide"),
        ("path,label,subject,label\na.mp4,real,x,fake\n", r"two columns have one name.*label"),
    ],
)
def test_rows_that_would_be_misread_are_refused_with_their_line(
    read, trees, tmp_path, text, message
):
    with pytest.raises(InputError, match=message):
        read("table", trees.media("a.mp4"), table=_table(tmp_path, text))


def test_a_column_without_a_name_is_nobodys(read, trees, tmp_path):
    table = _table(tmp_path, ",path,label,\n0,a.mp4,real,x\n")
    assert read("table", trees.media("a.mp4"), table=table).clips["a.mp4"].extra == {}


def test_one_clip_on_two_lines_is_refused_with_both(read, trees, tmp_path):
    table = _table(tmp_path, "path,label\na.mp4,real\na.mp4,fake\n")
    with pytest.raises(InputError, match=r"t\.csv:2.*t\.csv:3"):
        read("table", trees.media("a.mp4"), table=table)


def test_a_path_out_of_the_root_is_refused(read, trees, tmp_path):
    table = _table(tmp_path, "path,label\n../a.mp4,real\n")
    with pytest.raises(InputError, match=r"t\.csv:2: .*stay below"):
        read("table", trees.media("a.mp4"), table=table)


def test_an_absolute_path_below_the_root_is_taken(read, trees, tmp_path):
    table = _table(tmp_path, f"path,label\n{tmp_path / 'root' / 'a.mp4'},real\n")
    assert list(read("table", trees.media("a.mp4"), table=table).clips) == ["a.mp4"]


def test_either_unicode_form_finds_the_file(read, trees, tmp_path):
    on_disk, listed = (unicodedata.normalize(form, "Zoë.mp4") for form in ("NFD", "NFC"))
    table = _table(tmp_path, f"path,label\n{listed},real\n")
    assert read("table", trees.media(on_disk), table=table).clips[listed].video_path == on_disk


def test_sound_in_a_file_of_its_own(read, trees, tmp_path):
    table = _table(tmp_path, "path,label,audio_path,audio_offset_seconds\na.avi,fake,a.wav,-0.5\n")
    clip = read("table", trees.media("a.avi", "a.wav"), table=table).clips["a.avi"]
    assert (clip.video_path, clip.audio_path) == ("a.avi", "a.wav")
    assert clip.audio_offset_seconds == -0.5


@pytest.mark.parametrize(
    ("cell", "segments"),
    [
        ("[[0.5, 1], [2, 3.25]]", ((0.5, 1.0), (2.0, 3.25))),
        ("[]", ()),
        ("", None),
    ],
)
def test_fake_segments(read, trees, tmp_path, cell, segments):
    table = _table(tmp_path, f'path,fake_segments\na.mp4,"{cell}"\n')
    clip = read("table", trees.media("a.mp4"), table=table).clips["a.mp4"]
    assert clip.fake_segments == segments
    assert clip.extra == {}


@pytest.mark.parametrize(
    "cell",
    [
        "[[1, 2",
        "[1, 2]",
        "[[1]]",
        "7",
        "null",
        "[[2, 1]]",
        "[[-1, 1]]",
        "[[0, NaN]]",
        "[[0, 1" + "0" * 400 + "]]",
    ],
)
def test_fake_segments_that_are_none_are_refused_with_their_line(read, trees, tmp_path, cell):
    table = _table(tmp_path, f'path,fake_segments\na.mp4,"[]"\na.mp4,"{cell}"\n')
    with pytest.raises(InputError, match=r"t\.csv:3: .*fake_segments.*stretches"):
        read("table", trees.media("a.mp4"), table=table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.mp4,real\n", "which column holds the paths"),
        ("path,label,start\na.mp4,real,soon\n", "not a number"),
        ("path,label\n,real\n", "the path is empty"),
    ],
)
def test_other_mistakes(read, trees, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read("table", trees.media("a.mp4"), table=_table(tmp_path, text))


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("start,end", "nan,2", "not a time; found: nan; accepted: start"),
        ("start,end", "-0.5,2", "not a time; found: -0.5; accepted: start"),
        ("start,end", "inf,", "not a time; found: inf; accepted: start"),
        ("start,end", "1,inf", "not a time; found: inf; accepted: end"),
        ("start_seconds,end_seconds", "1,NaN", "not a time; found: NaN; accepted: end_seconds"),
        ("start,end", ",-1", "not a time; found: -1; accepted: end"),
        ("start,end", "2,2", "does not end after its start; found: 2 to 2"),
        ("start_seconds,end", "3,2.5", "does not end after its start; found: 3 to 2.5"),
        ("start,end", ",0", "does not end after its start; found: 0 to 0"),
        ("audio_offset_seconds,end", "nan,", "not a time; found: nan; accepted: audio_offset"),
    ],
)
def test_a_part_that_cannot_be_is_refused_with_its_line(
    read, trees, tmp_path, header, cells, message
):
    table = _table(tmp_path, f"path,{header}\na.mp4,,\na.mp4,{cells}\n")
    with pytest.raises(InputError, match=rf"t\.csv:3: .*{message}"):
        read("table", trees.media("a.mp4"), table=table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\nZoë.mp4,real\n".encode("latin-1"), "not a UTF-8 text"),
        ("path,whö\na.mp4,x\n".encode("latin-1"), "not a UTF-8 text"),
        ("path,label\na.mp4,real\n".encode("utf-16"), "not a UTF-8 text"),
        (b"", "the table is empty"),
        (b"\xef\xbb\xbf\n", "the table is empty"),
    ],
)
def test_a_file_that_is_no_table_is_named(read, trees, tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"t\.csv: {message}"):
        read("table", trees.media("a.mp4"), table=str(tmp_path / "t.csv"))


def _groups(found) -> dict[str, str]:
    return {c.key.removeprefix("d/"): c.group for c in grouped(list(found.clips.values()))}


@pytest.mark.parametrize("original", ["o/a.mp4", "o/./a.mp4", "{root}/o/a.mp4"])
def test_a_fake_joins_its_original(read, trees, tmp_path, original):
    original = original.format(root=tmp_path / "root")
    table = _table(tmp_path, f"path,original\nf/a.mp4,{original}\no/a.mp4,\no/b.mp4,\n")
    found = read("table", trees.media("f/a.mp4", "o/a.mp4", "o/b.mp4"), table=table)
    group = _groups(found)
    assert group["f/a.mp4"] == group["o/a.mp4"] != group["o/b.mp4"]
    assert NAMES not in found.notes.counts


def test_an_original_in_another_unicode_form_joins(read, trees, tmp_path):
    on_disk, listed = (unicodedata.normalize(form, "Zoë.mp4") for form in ("NFD", "NFC"))
    table = _table(tmp_path, f"path,original\na.mp4,{listed}\n{listed},\n")
    group = _groups(read("table", trees.media("a.mp4", on_disk), table=table))
    assert group["a.mp4"] == group[listed]


def test_a_fake_joins_all_parts_of_its_original(read, trees, tmp_path):
    rows = "f.mp4,,,film.mp4\nfilm.mp4,0,1,\nfilm.mp4,1,2,\n"
    table = _table(tmp_path, f"path,start,end,original\n{rows}")
    group = _groups(read("table", trees.media("f.mp4", "film.mp4"), table=table))
    assert len(group) == 3
    assert len(set(group.values())) == 1


@pytest.mark.parametrize("name", ["id 7", "/elsewhere/x.mp4", "../x.mp4"])
def test_an_original_that_is_no_file_joins_those_that_name_it(read, trees, tmp_path, name):
    rows = f"a.mp4,{name}\nb.mp4,{name}\nc.mp4,other\nd.mp4,\n"
    found = read(
        "table",
        trees.media("a.mp4", "b.mp4", "c.mp4", "d.mp4"),
        table=_table(tmp_path, f"path,original\n{rows}"),
    )
    group = _groups(found)
    assert group["a.mp4"] == group["b.mp4"]
    assert len(set(group.values())) == 3
    assert f"3 {NAMES} ({name}, {name}, other)" in found.notes.lines()


@pytest.mark.parametrize(
    "cells",
    [
        'fake,real,real,"[[0, 1]]"',  # sound and picture moved against each other: see forge
        "fake,real,,",
        "fake,,fake,",
        "fake,,,",
        ",fake,real,",
        "real,,,[]",
    ],
)
def test_labels_that_agree_are_taken(read, trees, tmp_path, cells):
    header = "path,label,video_label,audio_label,fake_segments"
    table = _table(tmp_path, f"{header}\na.mp4,{cells}\n")
    assert list(read("table", trees.media("a.mp4"), table=table).clips) == ["a.mp4"]


def test_the_tables_own_sides_are_a_protocol(read, trees, tmp_path):
    words = ["train", "Training", "dev", "validation", "val", "TEST", "", "spare"]
    media = trees.media(*(f"{i}.mp4" for i in range(len(words))))
    rows = "".join(f"{i}.mp4,{('real', 'fake')[i % 2]},{w}\n" for i, w in enumerate(words))
    found = read("table", media, table=_table(tmp_path, f"path,label,split\n{rows}"))
    split = assign(grouped(list(found.clips.values())), load("table").protocol("shipped"))
    assert split.train == ("d/0.mp4", "d/1.mp4")
    assert split.val == ("d/2.mp4", "d/3.mp4", "d/4.mp4")
    assert split.test == ("d/5.mp4",)
    assert split.excluded == {
        "d/6.mp4": "split is not stated: on no side",
        "d/7.mp4": "split is spare: on no side",
    }
    assert not split.leaky


def test_sides_of_a_table_that_tear_a_person_apart_are_refused(read, trees, tmp_path):
    rows = "a.mp4,real,x,train\nb.mp4,fake,x,test\n"
    table = _table(tmp_path, f"path,label,subject,split\n{rows}")
    clips = grouped(list(read("table", trees.media("a.mp4", "b.mp4"), table=table).clips.values()))
    with pytest.raises(InputError, match="1 groups stand on two sides"):
        assign(clips, load("table").protocol("shipped"))


def test_shipped_sides_of_a_table_without_any_are_refused(read, trees, tmp_path):
    table = _table(tmp_path, "path,label\na.mp4,real\nb.mp4,fake\n")
    clips = grouped(list(read("table", trees.media("a.mp4", "b.mp4"), table=table).clips.values()))
    with pytest.raises(InputError, match=r"shipped: no clip is left.*2 clips: split is not stated"):
        assign(clips, load("table").protocol("shipped"))


def test_the_real_clip_list(testdata):
    from extract.datasets import base

    options = {"table": str(testdata / "clips.csv")}
    notes = base.Notes()
    source = base.Source("real", testdata / "clips", load("table"), options=options)
    clips = list(base.get("table")(source, notes))
    assert len(clips) == 81
    assert MISSING not in notes.counts
    labels = [clip.label for clip in clips]
    assert (labels.count("real"), labels.count("fake"), labels.count(None)) == (38, 42, 1)


def test_parts_of_one_file_share_a_group(read, trees, tmp_path):
    rows = "path,label,start_seconds,end_seconds\na.mp4,real,0,1\na.mp4,fake,1,2\nb.mp4,real,0,1\n"
    found = read("table", trees.media("a.mp4", "b.mp4"), table=_table(tmp_path, rows))
    first, second, other = _groups(found).values()
    assert first == second != other


def test_clips_heard_with_one_sound_share_a_group(read, trees, tmp_path):
    rows = "path,label,audio_path\na.mp4,real,s.wav\nf.mp4,fake,s.wav\nb.mp4,real,\n"
    tree = trees.media("a.mp4", "f.mp4", "b.mp4", "s.wav")
    group = _groups(read("table", tree, table=_table(tmp_path, rows)))
    assert group["a.mp4"] == group["f.mp4"] != group["b.mp4"]


@pytest.mark.parametrize(
    "row",
    [
        "real,fake,real,",
        "real,real,fake,",
        'real,,,"[[0, 1]]"',
        "fake,real,real,",
    ],
)
def test_a_row_that_contradicts_itself_is_refused_by_line(read, trees, tmp_path, row):
    header = "path,label,video_label,audio_label,fake_segments\n"
    table = _table(tmp_path, f"{header}a.mp4,{row}\n")
    with pytest.raises(InputError, match=r"t\.csv:2: the row contradicts itself"):
        read("table", trees.media("a.mp4"), table=table)


def test_a_clip_whose_own_sound_is_missing_is_not_heard_with_the_films(read, trees, tmp_path):
    table = _table(tmp_path, "path,label,audio_path\na.mp4,fake,gone.wav\nb.mp4,real,\n")
    found = read("table", trees.media("a.mp4", "b.mp4"), table=table)
    assert list(found.clips) == ["b.mp4"]
    assert found.notes.counts == {UNHEARD: 1}
