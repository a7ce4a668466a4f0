"""VoxCeleb2: films and sound in two trees."""

from __future__ import annotations

import pytest

from extract.datasets.base import SOUND, UNLISTED
from extract.datasets.voxceleb2 import ALONE, NO_SOUND, SECOND

FILM = "vox2/dev/mp4/id00012/21Uxsk56VDQ/00001.mp4"


def test_a_film_gets_the_sound_of_the_same_place(read, trees):
    found = read("voxceleb2", trees.VOXCELEB2)
    assert {key: (c.video_path, c.audio_path) for key, c in found.clips.items()} == {
        FILM: (FILM, "vox2/dev/aac/id00012/21Uxsk56VDQ/00001.m4a"),
        "vox2/dev/mp4/id00012/21Uxsk56VDQ/00002.mp4": (
            "vox2/dev/mp4/id00012/21Uxsk56VDQ/00002.mp4",
            "vox2/dev/mp4/id00012/21Uxsk56VDQ/00002.mp4",
        ),
        "vox2/dev/aac/id00015/-0rYq3iq_eA/00009.m4a": (
            None,
            "vox2/dev/aac/id00015/-0rYq3iq_eA/00009.m4a",
        ),
        "vox2/dev/mp4/12/21Uxsk56VDQ/00001.mp4": (
            "vox2/dev/mp4/12/21Uxsk56VDQ/00001.mp4",
            "vox2/dev/mp4/12/21Uxsk56VDQ/00001.mp4",
        ),
    }
    assert found.notes.counts == {NO_SOUND: 1, UNLISTED: 1, ALONE: 1}


def test_all_are_real_and_the_folder_is_the_speaker(read, trees):
    clip = read("voxceleb2", trees.VOXCELEB2).clips[FILM]
    assert (clip.label, clip.video_label, clip.audio_label) == ("real", "real", "real")
    assert (clip.subject, clip.extra) == ("id00012", {"video": "21Uxsk56VDQ"})


def test_sound_below_a_root_of_its_own(read, trees):
    films = trees.media("mp4/id1/v/00001.mp4", "mp4/id1/v/00002.mp4")
    found = read("voxceleb2", films, trees.media("aac/id1/v/00001.m4a"))
    assert found.clips["mp4/id1/v/00001.mp4"].audio_path == "aac/id1/v/00001.m4a"
    assert found.clips["mp4/id1/v/00002.mp4"].audio_path is None


def test_sound_files_that_no_place_or_root_has_are_counted(read, trees):
    """No clip: its sound would be looked for below the audio root."""
    films = trees.media("mp4/id1/v/00001.mp4", "stray.wav", "aac/id1/v/00001.m4a")
    found = read("voxceleb2", films, trees.media("aac/id1/v/00001.m4a", "other.wav"))
    assert list(found.clips) == ["mp4/id1/v/00001.mp4"]
    assert found.notes.counts == {SOUND: 3}


@pytest.mark.parametrize("place", ["", "vox2", "vox2/dev/aac", ".."])
def test_an_audio_root_that_shares_files_with_the_root(read, trees, tmp_path, place):
    found = read("voxceleb2", trees.VOXCELEB2, audio_root=tmp_path / "root" / place)
    assert found.clips[FILM].audio_path.endswith("00001.m4a")
    assert SOUND not in found.notes.counts


def test_a_second_sound_file_is_counted(read, trees):
    tree = trees.media("aac/id1/v/1.m4a", "wav/id1/v/1.wav", "mp4/id1/v/1.mp4")
    found = read("voxceleb2", tree)
    assert [clip.audio_path for clip in found.clips.values()] == ["aac/id1/v/1.m4a"]
    assert found.notes.counts == {SECOND: 1}
