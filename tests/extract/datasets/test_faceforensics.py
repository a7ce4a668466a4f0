"""FaceForensics++: four fakes of one name, groups by pair, sound from the user's downloads."""

from __future__ import annotations

import pytest

from avfd.clips import grouped
from avfd.errors import InputError, MediaError
from extract.datasets.base import SOUND, UNLISTED
from extract.datasets.faceforensics import DOWNLOADS, MASKS, NO_VIDEO

TOP = "FaceForensics++"
REALS = f"{TOP}/original_sequences/youtube/c23/videos"
FAKES = f"{TOP}/manipulated_sequences"


def test_one_name_under_four_manipulations_is_four_clips(read, trees):
    clips = read("faceforensics", trees.FACEFORENSICS).clips
    same = {key: clip.method for key, clip in clips.items() if key.endswith("/000_003.mp4")}
    assert {method for method in same.values() if method} == {
        "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"
    }  # fmt: skip
    assert all(clips[key].label == "fake" for key, method in same.items() if method)


def test_who_and_from_what(read, trees):
    clips = read("faceforensics", trees.FACEFORENSICS).clips
    fake = clips[f"{FAKES}/FaceShifter/c23/videos/003_000.mp4"]
    assert (fake.subject, fake.donor) == ("youtube 003", "youtube 000")
    assert fake.source == f"d/{REALS}/003.mp4"
    actor = clips[f"{FAKES}/DeepFakeDetection/c23/videos/01_02__talking__AB12.mp4"]
    assert (actor.subject, actor.donor, actor.source) == ("actor 01", "actor 02", None)
    assert clips[f"{TOP}/original_sequences/actors/c23/videos/01__talking.mp4"].label == "real"


def test_an_original_stays_with_its_fakes_and_actors_apart(read, trees):
    clips = read("faceforensics", trees.FACEFORENSICS).clips
    group = {c.key.removeprefix("d/"): c.group for c in grouped(list(clips.values()))}
    pair = {group[f"{REALS}/000.mp4"], group[f"{REALS}/003.mp4"]}
    assert pair == {group[f"{FAKES}/Deepfakes/c23/videos/000_003.mp4"]}
    assert group[f"{TOP}/original_sequences/actors/c23/videos/01__talking.mp4"] not in pair


def test_near_misses_have_no_label(read, trees):
    found = read("faceforensics", trees.FACEFORENSICS)
    assert {key for key, clip in found.clips.items() if clip.label is None} == {
        f"{FAKES}/Unheard/c23/videos/000_003.mp4",
        f"{REALS}/000_003.mp4",
        f"{TOP}/masks/carnival.mp4",
    }
    assert found.notes.counts == {UNLISTED: 3, MASKS: 2, SOUND: 1, NO_VIDEO: 3}


@pytest.mark.parametrize("place", ["down/", "", "FaceForensics++/"])
def test_downloads_below_the_root_are_no_clips(read, trees, tmp_path, place):
    """Wherever the audio root lies: inside the root, at it, or where the videos are, too."""
    downloads = {f"{place}{path}": text for path, text in trees.FACEFORENSICS_SOUND.items()}
    other = trees.media(
        f"{place}downloaded_videos/else/else.mkv", f"{place}downloaded_videos/a.wav"
    )
    before = read("faceforensics", trees.FACEFORENSICS).clips
    root = tmp_path / "root"
    tree = {**trees.FACEFORENSICS, **downloads, **other}
    found = read("faceforensics", tree, audio_root=root / place)
    assert list(found.clips) == list(before)
    assert found.notes.counts[DOWNLOADS] == 3
    fake = found.clips[f"{FAKES}/Deepfakes/c23/videos/000_003.mp4"]
    assert fake.audio_path == "downloaded_videos/qXy_-1/qXy_-1.mp4"


def test_all_that_lies_below_an_audio_root_in_the_root_is_left_out(read, trees, tmp_path):
    down = {f"down/{path}": text for path, text in trees.FACEFORENSICS_SOUND.items()}
    tree = {**trees.FACEFORENSICS, **down, **trees.media("down/cut/000.mp4", "down/000.wav")}
    found = read("faceforensics", tree, audio_root=tmp_path / "root" / "down")
    assert found.notes.counts[DOWNLOADS] == 3
    assert not any(key.startswith("down/") for key in found.clips)


def test_one_compression_is_indexed_and_the_choice_told(read, trees):
    found = read("faceforensics", trees.FACEFORENSICS)
    assert not any("/c40/" in key for key in found.clips)
    assert "compression c23 is indexed, c40 left out" in found.notes.lines()
    other = read("faceforensics", trees.FACEFORENSICS, compression="c40")
    assert [key for key, clip in other.clips.items() if clip.label] == [
        f"{TOP}/original_sequences/youtube/c40/videos/000.mp4"
    ]
    message = r"no video of that compression.*found: c41; accepted: c23, c40"
    with pytest.raises(InputError, match=message):
        read("faceforensics", trees.FACEFORENSICS, compression="c41")


def test_raw_is_another_name_of_c0(read, trees):
    tree = trees.media("original_sequences/youtube/raw/videos/000.mp4")
    assert len(read("faceforensics", tree, compression="c0").clips) == 1


def test_official_sides_come_from_the_users_lists(read, trees):
    clips = read("faceforensics", trees.FACEFORENSICS).clips
    assert clips[f"{REALS}/003.mp4"].extra == {"official_split": "train"}
    assert clips[f"{FAKES}/Face2Face/c23/videos/000_003.mp4"].split == "train"
    assert clips[f"{FAKES}/FaceShifter/c23/videos/777_000.mp4"].split == "test"
    assert clips[f"{TOP}/original_sequences/actors/c23/videos/01__talking.mp4"].split is None


@pytest.mark.parametrize("pair", ["[0, 3]", '["0", "3"]', '["000", 3]'])
def test_numbers_of_the_lists_are_padded(read, trees, pair):
    tree = {**trees.FACEFORENSICS, "FaceForensics/dataset/splits/train.json": f"[{pair}]"}
    clips = read("faceforensics", tree).clips
    assert clips[f"{REALS}/003.mp4"].split == "train"
    assert clips[f"{FAKES}/Deepfakes/c23/videos/000_003.mp4"].split == "train"


def test_listed_numbers_without_a_video_are_counted(read, trees):
    notes = read("faceforensics", trees.FACEFORENSICS).notes
    assert f"3 {NO_VIDEO} (004, 005, 778)" in notes.lines()


@pytest.mark.parametrize(
    "content",
    [
        "[1, 2]", '{"ab": 1}', '["ab"]', '[["000"]]', '[["000", "001", "002"]]', '[["a", "001"]]',
        "[[-1, 2]]", "[[1.5, 2]]", "[[true, 2]]", '[["000", null]]', '[["0001", "002"]]', "7",
    ],
)  # fmt: skip
def test_what_is_no_list_of_pairs_is_refused_by_name(read, trees, content):
    tree = trees.media("original_sequences/youtube/c23/videos/000.mp4")
    with pytest.raises(InputError, match=r"root/splits/train\.json: not a list of pairs"):
        read("faceforensics", {**tree, "splits/train.json": content})


def test_missing_lists_are_told_and_broken_ones_refused(read, trees):
    original = trees.media("original_sequences/youtube/c23/videos/000.mp4")
    notes = read("faceforensics", original).notes
    assert sum("splits/" in line for line in notes.lines()) == 3
    lists = {"splits/train.json": '[["000", "001"]]', "splits/val.json": '[["000", "002"]]'}
    with pytest.raises(InputError, match=r"two official sides.*000"):
        read("faceforensics", {**original, **lists})


def test_without_an_audio_root_nothing_has_sound(read, trees):
    found = read("faceforensics", trees.FACEFORENSICS)
    assert {clip.audio_path for clip in found.clips.values() if clip.label} == {None}
    assert any("--audio-root" in line for line in found.notes.lines())


def test_a_fake_gets_its_targets_sound_at_the_sequences_first_frame(read, trees):
    found = read(
        "faceforensics",
        trees.FACEFORENSICS,
        trees.FACEFORENSICS_SOUND,
        frame_rate=lambda path: {"qXy_-1.mp4": 30.0}[path.name],
    )
    for key in (f"{REALS}/000.mp4", f"{FAKES}/Deepfakes/c23/videos/000_003.mp4"):
        clip = found.clips[key]
        assert clip.audio_path == "downloaded_videos/qXy_-1/qXy_-1.mp4"
        assert clip.audio_offset_seconds == pytest.approx(-250 / 30)
        assert clip.audio_label == "real"
    assert found.clips[f"{FAKES}/FaceShifter/c23/videos/003_000.mp4"].audio_path is None


def test_missing_sound_is_counted_by_reason(read, trees):
    notes = read("faceforensics", trees.FACEFORENSICS, trees.FACEFORENSICS_SOUND).notes
    assert notes.counts["clips without sound: the original video was not downloaded"] == 2
    assert notes.counts["clips without sound: not in conversion_dict.json"] == 1


def test_the_info_file_tells_the_frame_rate_where_the_film_cannot(read, trees):
    def unreadable(path):
        raise MediaError("broken")

    found = read("faceforensics", trees.FACEFORENSICS, trees.FACEFORENSICS_SOUND, unreadable)
    assert found.clips[f"{REALS}/000.mp4"].audio_offset_seconds == -10.0
    assert found.notes.counts["downloads that cannot be read: broken"] == 1


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        *[
            ("downloaded_videos/qXy_-1/extracted_sequences/2.json", content, "not a list of frame")
            for content in ('["x"]', "[[1]]", "[]", "{}", "[-1]", "[true]", "[1.5]", "[1e999]")
        ],
        ("downloaded_videos/qXy_-1/extracted_sequences/2.json", "[", "not JSON"),
        ("downloaded_videos_info/qXy_-1/qXy_-1.json", "[]", "not the facts of a download"),
        ("downloaded_videos_info/qXy_-1/qXy_-1.json", '{"fps": "x"}', "not the facts of a downl"),
        ("downloaded_videos_info/qXy_-1/qXy_-1.json", '{"fps": -25}', "not the facts of a downl"),
        ("conversion_dict.json", "[]", "not an object of downloads"),
        ("conversion_dict.json", '{"000": ["a", 2]}', "not an object of downloads"),
    ],
)
def test_broken_files_of_the_downloads_are_named_in_full(
    read, trees, tmp_path, path, content, message
):
    sound = {**trees.FACEFORENSICS_SOUND, path: content}
    with pytest.raises(InputError, match=message) as caught:
        read("faceforensics", trees.FACEFORENSICS, sound)
    assert caught.value.where == str(tmp_path / "audio" / path)


def test_a_download_without_a_known_rate_is_counted(read, trees):
    info = {"downloaded_videos_info/qXy_-1/qXy_-1.json": '{"fps": null}'}
    sound = {**trees.FACEFORENSICS_SOUND, **info}
    notes = read("faceforensics", trees.FACEFORENSICS, sound).notes
    assert notes.counts["clips without sound: the download's frame rate is not known"] == 5


def test_an_audio_root_without_the_dictionary_is_refused(read, trees):
    with pytest.raises(InputError, match="conversion_dict"):
        read("faceforensics", trees.FACEFORENSICS, trees.media("a.mp4"))
