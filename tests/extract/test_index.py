"""Index: reader → scans → groups → cache → table; again after files came, went or broke."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avfd.cache import Cache
from avfd.clips import Clip, read_table
from avfd.errors import InputError, MissingError
from avfd.home import Home
from extract import scans
from extract.datasets.base import BROKEN, LINKED, Notes, Source
from extract.index import index_dataset
from extract.media import MediaFacts
from extract.pool import Outcome

RATE_HZ = 8000
Sound = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def sound(root: Path, make_audio: Sound) -> Sound:
    """`sound(path, seconds)`: a wav file below the root."""

    def make(path: str, seconds: float = 1.0) -> Path:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        samples = np.zeros((1, round(seconds * RATE_HZ)), dtype=np.float32)
        return make_audio(file, samples, RATE_HZ)

    return make


def clips_of(home: Home, dataset: str) -> dict[str, Clip]:
    table = read_table(home.clip_table(dataset))
    return {clip.key.removeprefix(f"{dataset}/"): clip for clip in table}


def rows_of(home: Home, dataset: str) -> dict[str, int]:
    cache = Cache.open(
        home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset), create=False
    )
    reader = cache.snapshot()
    return {key.removeprefix(f"{dataset}/"): reader.rows(key) for key in reader.keys}


def index(home: Home, dataset: str, root: Path, **more):
    return index_dataset(home, dataset, root, **{"workers": 1, **more})


def test_table_cache_and_report_agree(home, root, sound):
    sound("real/a.wav", 2.4)
    sound("fake/a.wav", 1.6)
    sound("other/c.wav", 0.3)
    report = index(home, "mine", root)
    assert (report.layout, report.clips, report.added, report.groups) == ("folder", 3, 3, 3)
    assert report.labels == {"fake": 1, "real": 1, "unlabelled": 1}
    clips = clips_of(home, "mine")
    assert {key: round(clip.seconds, 3) for key, clip in clips.items()} == {
        "fake/a.wav": 1.6, "other/c.wav": 0.3, "real/a.wav": 2.4
    }  # fmt: skip
    assert rows_of(home, "mine") == {"fake/a.wav": 2, "other/c.wav": 1, "real/a.wav": 2}
    assert all(clip.has_audio and not clip.has_video for clip in clips.values())
    assert clips["real/a.wav"].bytes == (root / "real/a.wav").stat().st_size


def test_files_that_were_read_in_part_are_told(home, root, sound, monkeypatch):
    sound("a.wav")
    sound("b.wav")
    facts = {
        "a.wav": MediaFacts(1.0, 0, 0, 0.0, True, False, 0, stopped="Input/output error"),
        "b.wav": MediaFacts(1.0, 0, 0, 0.0, True, False, 0),
    }
    pool = SimpleNamespace(run=lambda files: [Outcome(f, facts[f.path.name]) for f in files])
    monkeypatch.setattr(scans, "scan_pool", lambda workers: nullcontext(pool))
    said = "1 files could not be read to the end: Input/output error (a.wav)"
    assert said in index(home, "mine", root).notes


def test_the_home_remembers_the_call(home, root, sound):
    sound("real/a.wav")
    report = index(home, "mine", root)
    facts = home.read_facts("mine")
    assert (facts.layout, facts.root, facts.protocol) == ("folder", str(root), None)
    assert facts.notes == report.notes
    assert "every clip is its own group" in facts.notes[0]


def test_again_keeps_what_is_unchanged_and_scans_only_the_rest(home, root, sound):
    sound("real/a.wav")
    sound("real/b.wav")
    sound("real/c.wav")
    index(home, "mine", root)
    sound("real/b.wav", 3.0)
    sound("real/d.wav")
    (root / "real/c.wav").unlink()
    scanned: list[int] = []
    report = index(home, "mine", root, progress=lambda done, total, note: scanned.append(total))
    assert (report.added, report.changed, report.kept, report.unlisted) == (1, 1, 1, 1)
    assert scanned == [2, 2]
    assert set(clips_of(home, "mine")) == {"real/a.wav", "real/b.wav", "real/d.wav"}
    assert rows_of(home, "mine")["real/b.wav"] == 3
    assert "real/c.wav" in rows_of(home, "mine")  # its disk may only be unmounted


def test_a_root_that_has_none_of_the_last_indexs_clips_is_told(home, root, sound, tmp_path):
    sound("one/real/a.wav")
    sound("one/real/b.wav")
    sound("two/real/c.wav")
    assert not any("last index" in note for note in index(home, "mine", root / "one").notes)
    report = index(home, "mine", root / "two")
    assert (report.added, report.unlisted) == (1, 2)
    said = (
        f"none of the 2 clips of the last index, with the root {root / 'one'}, is below "
        f"{root / 'two'}: their values stay in the cache until {root / 'one'} is indexed again"
    )
    assert said in report.notes
    assert said in home.read_facts("mine").notes
    assert said not in index(home, "mine", root / "two").notes
    again = index(home, "mine", root / "one")
    assert (again.kept, again.unlisted) == (2, 1)


def test_a_root_that_moved_or_lost_clips_is_not_told(home, root, sound):
    for path in ("one/real/a.wav", "one/real/b.wav", "two/real/a.wav"):
        sound(path)
    index(home, "mine", root / "one")
    (root / "link").symlink_to("one")
    for folder in ("link", "two"):
        assert not any("last index" in note for note in index(home, "mine", root / folder).notes)


def test_the_same_root_with_other_files_is_not_told_as_another(home, root, sound):
    sound("real/a.wav").rename(sound("real/b.wav"))
    index(home, "mine", root)
    (root / "real/b.wav").rename(root / "real/c.wav")
    assert not any("last index" in note for note in index(home, "mine", root).notes)


def test_facts_that_cannot_be_read_do_not_keep_from_indexing_again(home, root, sound):
    sound("real/a.wav")
    index(home, "mine", root)
    for text in ("no JSON", "[]", '{"name": "mine"}'):
        (home.dataset_dir("mine") / "dataset.json").write_text(text)
        assert index(home, "mine", root).kept == 1


def test_an_unreadable_file_stays_in_the_table_with_its_problem(home, root, sound):
    sound("real/a.wav")
    (root / "real/text.mp4").write_text("not a film")
    (root / "real/empty.mp4").touch()
    report = index(home, "mine", root)
    assert report.clips == 3
    assert set(report.problems) == {"mine/real/text.mp4", "mine/real/empty.mp4"}
    clip = clips_of(home, "mine")["real/text.mp4"]
    assert clip.problem
    assert (clip.seconds, clip.has_audio, clip.has_video) == (0.0, False, False)
    assert rows_of(home, "mine")["real/text.mp4"] == 1


def test_a_mended_file_loses_its_problem(home, root, sound):
    (root / "a.wav").write_text("not sound")
    assert index(home, "mine", root).problems
    sound("a.wav")
    assert not index(home, "mine", root).problems


def test_parts_of_one_file_have_their_own_length(home, root, sound):
    sound("film.wav", 10.0)
    (root / "t.csv").write_text("path,label,start,end\nfilm.wav,real,2,4.5\nfilm.wav,fake,8,12\n")
    index(home, "mine", root, table=root / "t.csv")
    assert {key: clip.seconds for key, clip in clips_of(home, "mine").items()} == {
        "film.wav@2.000-4.500": 2.5,
        "film.wav@8.000-12.000": pytest.approx(2.0),
    }


def test_a_part_after_the_files_end_is_told(home, root, sound):
    sound("film.wav", 2.0)
    (root / "t.csv").write_text("path,start,end\nfilm.wav,1,9\nfilm.wav,2,3\nfilm.wav,7.5,\n")
    report = index(home, "mine", root, table=root / "t.csv")
    assert report.problems == {
        "mine/film.wav@2.000-3.000": "the clip starts at 2.000 s, its file ends at 2.000 s",
        "mine/film.wav@7.500-end": "the clip starts at 7.500 s, its file ends at 2.000 s",
    }
    assert index(home, "mine", root, table=root / "t.csv").problems == report.problems


def test_fake_segments_past_the_clips_end_are_told(home, root, sound):
    sound("film.wav", 4.0)
    rows = ['film.wav,,,"[[0, 4.9]]"', 'film.wav,1,3,"[[0.5, 1], [1, 3.5]]"']
    (root / "t.csv").write_text("path,start,end,fake_segments\n" + "\n".join(rows))
    said = "a fake segment ends at 3.500 s, the clip at 2.000 s"
    for _ in range(2):  # scanned, then kept
        report = index(home, "mine", root, table=root / "t.csv")
        assert report.problems == {"mine/film.wav@1.000-3.000": said}
    (root / "t.csv").write_text("path,fake_segments\nfilm.wav,[]\n")
    assert not index(home, "mine", root, table=root / "t.csv").problems
    (root / "t.csv").write_text('path,fake_segments\nfilm.wav,"[[6, 7]]"\n')
    assert index(home, "mine", root, table=root / "t.csv").problems


@pytest.mark.parametrize(("start", "end"), [(math.nan, 1.0), (1.0, 0.5), (0.5, math.nan)])
def test_a_reader_that_gives_a_part_that_cannot_be_is_told(
    home, root, sound, monkeypatch, start, end
):
    def read(source: Source, notes: Notes) -> Iterator[Clip]:
        yield source.clip("a.wav", start_seconds=start, end_seconds=end)

    monkeypatch.setattr("extract.datasets.base.get", lambda _: read)
    sound("a.wav", 2.0)
    (problem,) = index(home, "mine", root, layout="folder").problems.values()
    assert problem == f"the clip's part of its file cannot be: {start:.3f} s to {end:.3f} s"


def test_pictures_and_sound_in_two_files(home, root, sound, make_video):
    make_video(root / "a.mp4", seconds=1.0, fps=10, size=(64, 48))
    sound("a.wav", 2.0)
    (root / "broken.wav").write_text("not sound")
    (root / "t.csv").write_text(
        "path,label,audio_path,method\na.mp4,real,a.wav,\n", encoding="utf-8"
    )
    index(home, "pair", root, table=root / "t.csv")
    clip = clips_of(home, "pair")["a.mp4"]
    assert (clip.has_video, clip.has_audio, clip.width, clip.height) == (True, True, 64, 48)
    assert clip.seconds == pytest.approx(1.0)  # the film's length counts
    assert clip.bytes == sum((root / name).stat().st_size for name in ("a.mp4", "a.wav"))
    (root / "t.csv").write_text("path,label,audio_path\na.mp4,real,broken.wav\n")
    report = index(home, "pair", root, table=root / "t.csv")
    assert not report.problems  # the pictures are good; extract tells what the sound lacks
    assert clips_of(home, "pair")["a.mp4"].has_audio


def test_sound_below_an_audio_root_starts_at_the_sequences_first_frame(
    home, root, tmp_path, make_video
):
    film = root / "original_sequences/youtube/c23/videos/000.mp4"
    download = tmp_path / "audio/downloaded_videos/abc/abc.mp4"
    frames = tmp_path / "audio/downloaded_videos/abc/extracted_sequences/0.json"
    for file in (film, frames):
        file.parent.mkdir(parents=True)
    make_video(film, seconds=1.0, fps=10, size=(64, 48), audio_rate_hz=None)
    make_video(download, seconds=4.0, fps=20, size=(64, 48))
    frames.write_text("[30, 31]")
    (tmp_path / "audio/conversion_dict.json").write_text('{"000": "abc 0"}')
    index(home, "faceforensics", root, audio_root=tmp_path / "audio")
    (clip,) = clips_of(home, "faceforensics").values()
    assert clip.audio_path == "downloaded_videos/abc/abc.mp4"
    assert clip.audio_offset_seconds == pytest.approx(-1.5)
    assert (clip.has_video, clip.has_audio) == (True, True)
    assert clip.seconds == pytest.approx(1.0)
    assert home.read_facts("faceforensics").audio_root == str(tmp_path / "audio")


def test_a_layouts_name_implies_it_and_its_default_protocol(home, root, sound):
    sound("Actor_05/03-01-05-02-01-02-05.wav")
    report = index(home, "ravdess", root)
    assert (report.layout, report.protocol) == ("ravdess", "actors")
    assert report.emotions == {"angry": 1}
    other = index(home, "my-ravdess", root, layout="ravdess", protocol="hash")
    assert (other.layout, other.protocol) == ("ravdess", "hash")
    assert home.read_facts("my-ravdess").protocol == "hash"


def test_unverified_points_are_told(home, root, sound):
    sound("train_sample_videos/a.wav")
    (root / "train_sample_videos/metadata.json").write_text(json.dumps({}))
    notes = index(home, "dfdc", root).notes
    assert any(line.startswith("unverified: the label files of the public") for line in notes)


def test_an_empty_folder_says_what_the_layout_expects(home, root):
    with pytest.raises(InputError, match=r"no clip of the layout 'ravdess'.*MM-CC-EE"):
        index(home, "ravdess", root)
    assert not home.clip_table("ravdess").exists()


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("", r"t\.csv: the table has no row"),
        ("real\\a.wav,real\nb.wav,fake\n", r"2 rows, .*/media/real\\a\.wav; "),
    ],
)
def test_a_table_that_gives_no_clip_is_refused_with_the_reason(tmp_path, make_audio, rows, found):
    table = tmp_path / "t.csv"
    table.write_text(f"path,label\n{rows}")
    (tmp_path / "media").mkdir()
    make_audio(tmp_path / "media" / "a.wav", np.zeros((1, 16_000), dtype=np.float32))
    with pytest.raises(InputError, match=found):
        index_dataset(Home(tmp_path / "home"), "mine", tmp_path / "media", table=table, workers=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"dataset": "../x"}, InputError, "not a name for a data set"),
        ({"layout": "imagenet"}, MissingError, "no such layout.*dfdc"),
        ({"protocol": "thesis"}, MissingError, "no such protocol.*hash"),
        ({"audio_root": "."}, InputError, "does not lie apart"),
        ({"label_column": "truth"}, InputError, "reads no table"),
        ({"table": "gone.csv"}, InputError, "no such table"),
        ({"root": "gone"}, InputError, "not a folder; found: nothing at"),
        ({"path_column": "file"}, InputError, "reads no table"),
        ({"workers": 0}, InputError, "too few.*1 or more"),
    ],
)
def test_mistakes_in_the_call(home, root, sound, call, error, message):
    sound("real/a.wav")
    with pytest.raises(error, match=message):
        index(home, **{"dataset": "mine", "root": root, **call})


def test_a_link_out_of_the_root_is_refused(home, root, sound, tmp_path):
    sound("real/a.wav")
    (tmp_path / "secret.wav").touch()
    (root / "real" / "b.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(InputError, match="a link leads out"):
        index(home, "mine", root)


def test_clips_of_one_file_under_several_names_form_one_group(home, root, sound):
    sound("real/a.wav")
    sound("real/b.wav")
    (root / "fake").mkdir()
    (root / "fake" / "link.wav").symlink_to("../real/a.wav")
    (root / "hard.wav").hardlink_to(root / "real" / "a.wav")
    assert index(home, "mine", root).groups == 2
    group = {key: clip.group for key, clip in clips_of(home, "mine").items()}
    assert group["real/a.wav"] == group["fake/link.wav"] == group["hard.wav"] != group["real/b.wav"]
    assert clips_of(home, "mine")["fake/link.wav"].audio_path == "fake/link.wav"


def test_rows_of_one_file_under_several_names_form_one_group(home, root, sound):
    for name in ("a", "b", "c", "sound"):
        sound(f"{name}.wav")
    (root / "link.wav").symlink_to("a.wav")
    (root / "other.wav").symlink_to("sound.wav")
    rows = ["a.wav,,", "link.wav,b.wav,", "b.wav,,", "c.wav,,sound.wav", "x.wav,,other.wav"]
    sound("x.wav")
    (root / "t.csv").write_text("path,original,audio_path\n" + "\n".join(rows))
    assert index(home, "mine", root, table=root / "t.csv").groups == 2
    group = {key: clip.group for key, clip in clips_of(home, "mine").items()}
    assert group["a.wav"] == group["link.wav"] == group["b.wav"]
    assert group["c.wav"] == group["x.wav"]


def test_an_original_under_its_other_name_is_joined(home, root, sound):
    sound("real/a.wav")
    sound("f.wav")
    (root / "link.wav").symlink_to("real/a.wav")
    (root / "t.csv").write_text("path,original\nf.wav,link.wav\nreal/a.wav,\n")
    assert index(home, "mine", root, table=root / "t.csv").groups == 1


@pytest.mark.parametrize("layout", ["folder", "table", "dfdc"])
def test_links_that_give_no_clip_are_counted(home, root, sound, layout):
    sound("real/a.wav")
    (root / "b.wav").symlink_to("gone.wav")
    (root / "more").symlink_to("real")
    (root / "t.csv").write_text("path\nreal/a.wav\n")
    table = root / "t.csv" if layout == "table" else None
    notes = index(home, "mine", root, layout=layout, table=table).notes
    assert f"1 {BROKEN} (b.wav)" in notes
    assert f"1 {LINKED} (more)" in notes


def test_a_folder_of_broken_links_only_is_refused_as_such(home, root):
    for name in ("a.wav", "b.wav"):
        (root / name).symlink_to(f"gone/{name}")
    with pytest.raises(InputError, match=rf"found: 0 files; .*2 {BROKEN} \(a\.wav, b\.wav\)"):
        index(home, "mine", root)


def test_two_names_that_differ_in_unicode_form_only_are_refused(home, root, sound):
    sound("real/Zo\u00eb.wav")
    sound("real/Zoe\u0308.wav")
    with pytest.raises(InputError, match=r"two files give one clip key.*Zo"):
        index(home, "mine", root)


def test_media_are_not_touched(home, root, sound):
    file = sound("real/a.wav")
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    index(home, "mine", root)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_the_real_clips(home, testdata):
    report = index_dataset(
        home, "real", testdata / "clips", table=testdata / "clips.csv", subject_column="subject"
    )
    assert (report.clips, report.added) == (81, 81)
    assert report.labels == {"fake": 42, "real": 38, "unlabelled": 1}
    assert report.problems == {}


def test_an_option_that_the_layout_does_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    with pytest.raises(InputError, match=r"iemocap' has no such option.*left.*accepted: halves"):
        index_dataset(
            Home(tmp_path / "home"), "iemocap", tmp_path / "media", options={"left": "marker"}
        )


def test_a_layout_that_explains_no_clip_is_doubted(home, root, sound):
    sound("holiday/a.wav")
    assert any("nothing here looks like" in note for note in index(home, "dfdc", root).notes)
    assert not any("looks like" in note for note in index(home, "mine", root).notes)
