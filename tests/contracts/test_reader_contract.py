"""What every reader promises, on its own tree: see `extract.datasets.base`."""

from __future__ import annotations

import importlib.util
import sys
import unicodedata
from pathlib import Path
from types import ModuleType

import pytest

from avfd import manifest
from avfd.clips import Clip, check_unique
from avfd.errors import InputError, MissingError
from extract.datasets import base
from extract.datasets.files import Files


def _trees() -> ModuleType:
    path = Path(__file__).parents[1] / "extract" / "datasets" / "trees.py"
    spec = importlib.util.spec_from_file_location("contract_trees", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TREES = _trees()
LAYOUTS = sorted(TREES.TREES)


def _read(layout: str, root: Path) -> tuple[list[Clip], base.Notes]:
    notes = base.Notes()
    options = {"table": str(root / "list.csv")}
    source = base.Source("d", root, manifest.load(layout), options=options)
    return list(base.get(layout)(source, notes)), notes


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(TREES.grow(tmp_path / "root", TREES.TREES[request.node.callspec.params["layout"]]))


def test_every_reader_has_a_tree_and_a_manifest():
    assert base.names() == LAYOUTS == manifest.names()


@pytest.mark.parametrize("layout", LAYOUTS)
class TestReader:
    def test_clips_are_there_and_below_the_root(self, layout, root):
        clips, _ = _read(layout, root)
        folders = {file.rpartition("/")[0] for file in Files(root).paths}  # of frames
        assert clips
        for clip in clips:
            assert clip.paths
            assert all((root / path).is_file() for path in clip.paths if path not in folders)

    def test_keys_are_unique_composed_and_begin_with_the_data_set(self, layout, root):
        clips, _ = _read(layout, root)
        check_unique(clips)
        for clip in clips:
            assert clip.key == unicodedata.normalize("NFC", clip.key)
            file = clip.key.removeprefix("d/").partition("@")[0]
            assert file in [unicodedata.normalize("NFC", path) for path in clip.paths]

    def test_hidden_files_are_no_clips(self, layout, root):
        hidden = ("._junk.mp4", ".trash/real/a.mp4", ".trash/fake/a.wav")
        before, _ = _read(layout, root)
        TREES.grow(root, TREES.media(*hidden))
        assert _read(layout, root)[0] == before

    def test_the_clips_do_not_depend_on_where_the_root_is(self, layout, root):
        here, notes = _read(layout, root)
        moved = root.rename(root.with_name("el sewhere#"))
        there, notes_there = _read(layout, moved)
        assert (here, notes.counts) == (there, notes_there.counts)

    def test_a_media_file_is_a_clip_or_is_told(self, layout, root):
        """A file that no label mentions is never dropped in silence."""
        clips, notes = _read(layout, root)
        used = {path for clip in clips for path in clip.paths}
        left = set(Files(root).media()) - used
        assert len(left) <= sum(notes.counts.values()) + len(notes.lines())
        unlabelled = sum(clip.label is None for clip in clips)
        assert notes.counts.get(base.UNLISTED, 0) <= unlabelled

    def test_files_that_no_label_mentions_have_none(self, layout, root):
        TREES.grow(root, TREES.media("stray/a b#.mp4"))
        clips, notes = _read(layout, root)
        stray = [clip.label for clip in clips if clip.paths == ["stray/a b#.mp4"]]
        assert stray == ([] if layout == "table" else [None])
        assert any("stray" in line or line.split()[0].isdigit() for line in notes.lines())

    def test_labels_agree_with_those_of_picture_and_sound(self, layout, root):
        for clip in _read(layout, root)[0]:
            parts = {clip.video_label, clip.audio_label} - {None}
            if clip.label == "real":
                assert parts <= {"real"}
            elif "fake" in parts:
                assert clip.label == "fake"

    def test_a_link_out_of_the_root_is_refused(self, layout, root, tmp_path):
        (tmp_path / "secret").mkdir()
        (root / "door").symlink_to(tmp_path / "secret")
        with pytest.raises(InputError, match="a link leads out"):
            _read(layout, root)

    def test_links_inside_the_root_make_no_second_clip_of_a_folder(self, layout, root):
        before, _ = _read(layout, root)
        (root / "again").symlink_to(root)
        assert _read(layout, root)[0] == before

    def test_an_empty_folder_has_no_clips(self, layout, tmp_path):
        empty = tmp_path / "empty"
        empty.mkdir()
        (empty / "list.csv").write_text("path,label\n")
        assert _read(layout, empty)[0] == []


def test_a_reader_registered_twice_is_a_bug():
    with pytest.raises(KeyError, match="registered twice"):
        base.reader("folder")(lambda source, notes: iter(()))


def test_an_unknown_layout_lists_the_known_ones():
    with pytest.raises(MissingError, match=r"imagenet.*dfdc, faceforensics"):
        base.get("imagenet")


def test_notes_keep_three_examples_and_say_a_sentence_once():
    notes = base.Notes()
    for i in range(5):
        notes.count("odd", f"f{i}")
        notes.say("Hello.")
    notes.count("even", "g")
    assert notes.lines() == ["Hello.", "5 odd (f0, f1, f2, …)", "1 even (g)"]
