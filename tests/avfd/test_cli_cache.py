"""`avfd cache`: which run holds which tag, how a tag is given up, what follows damage."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from avfd.cache import Cache, ClipResult
from avfd.cli import run
from avfd.home import Home
from avfd.specs import DONE, PENDING, BackboneSpec
from extract.index import index_dataset


@pytest.fixture
def home(tmp_path, make_audio):
    """A data set with two tags: of a run, and of one that was deleted."""
    made = Home(tmp_path / "home")
    (tmp_path / "media").mkdir()
    make_audio(tmp_path / "media" / "a.wav", np.zeros((1, 16_000), dtype=np.float32))
    index_dataset(made, "mine", tmp_path / "media", layout="folder", workers=1)
    cache = _cache(made)
    for tag in ("run-kept", "run-gone"):
        cache.tag(tag, cache.snapshot().snapshot_id)
    folder = made.runs_dir / "one-001"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"format_version": 1, "tag": "run-kept"}))
    return made


def test_gc_names_the_run_of_every_tag(called, capsys):
    assert called("--dry-run", "--json") == 0

    assert json.loads(capsys.readouterr().out)["runs"] == {"run-gone": None, "run-kept": "one-001"}


def test_gc_gives_a_tag_up_when_told(called, home):
    assert called("--untag", "run-gone") == 0

    assert list(_cache(home).tags()) == ["run-kept"]


def test_gc_refuses_to_give_up_the_tag_of_a_run_that_is_there(called, home, capsys):
    assert called("--untag", "run-kept") == 2

    assert "one-001" in capsys.readouterr().err
    assert "run-kept" in _cache(home).tags()


def test_gc_gives_no_tag_up_where_one_is_not_there(called, home, capsys):
    assert called("--untag", "run-gone", "--untag", "run-never") == 2

    assert "run-gone, run-kept" in capsys.readouterr().err
    assert list(_cache(home).tags()) == ["run-gone", "run-kept"]


def test_verify_says_what_to_run_where_the_clips_own_arrays_are_damaged(home, called, capsys):
    (folder,) = {path.parent for path in home.path.rglob("manifests/*")}
    for path in folder.iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
        if called(command="verify") == 2:
            break
    index = "`avfd index mine`, then `avfd extract`"
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == f"run `avfd cache verify --repair`, then {index}"
    assert called("--repair", command="verify") == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"run {index}"
    assert called(command="verify") == 0


@pytest.fixture
def filled(home):
    """The home with its one clip done in a column."""
    cache = _cache(home)
    (key,) = cache.snapshot().keys
    cache.ensure_column(
        "tone", BackboneSpec("tone", 1, "audio", "for tests", 0, (2,)), "f" * 64, {}
    )
    done = ClipResult(0, key, DONE, "", np.array([1.5, 2.5], np.float32))
    cache.write({"tone": [done]})
    return home


def test_drop_says_what_it_drops_and_what_holds_it(filled, called, capsys):
    assert called("tone", command="drop") == 0

    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("dropped tone: 1 clips that were done, ")
    assert said[0].endswith(" MiB")
    assert said[1] == "run `avfd cache gc` to free what nothing holds"
    assert "run-gone, run-kept" in said[2]
    assert _cache(filled).snapshot().columns == []


def test_drop_names_the_columns_there_are(filled, called, capsys):
    assert called("tune", command="drop") == 2

    assert "tune: no such column in the cache; accepted: tone" in capsys.readouterr().err


def test_drop_takes_clips_out_and_says_which_are_still_listed(filled, called, capsys, tmp_path):
    (key,) = _cache(filled).snapshot().keys
    (tmp_path / "clips.txt").write_text(f"{key}\n\n", encoding="utf-8")

    assert called("--clips", str(tmp_path / "clips.txt"), "--json", command="drop") == 0

    assert json.loads(capsys.readouterr().out) == {
        "dataset": "mine",
        "dropped": [{"column": "tone", "clips": 1, "bytes": None}],
        "tags": ["run-gone", "run-kept"],
        "still_listed": [key],
    }
    assert _cache(filled).snapshot().column("tone").statuses([key]).tolist() == [PENDING]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), (" \n", "is empty"), ("b.wav", "1 of 1 clips are not in the cache")],
)
def test_drop_refuses_a_list_of_clips_by_a_sentence(called, capsys, tmp_path, text, message):
    path = tmp_path / "clips.txt"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    assert called("--clips", str(path), command="drop") == 2

    assert message in capsys.readouterr().err


def test_drop_refuses_to_drop_nothing(called, capsys):
    assert called(command="drop") == 2

    assert "accepted: columns, or --clips FILE" in capsys.readouterr().err


@pytest.fixture
def called(monkeypatch, home):
    """Status of `avfd cache gc`, or another command, with these words."""

    def call(*words: str, command: str = "gc") -> int:
        told = ["avfd", "cache", command, *words, "--home", str(home.path)]
        monkeypatch.setattr(sys, "argv", told)
        return run()

    return call


def _cache(home: Home) -> Cache:
    name = home.one_dataset(None)
    return Cache.open(home.cache_url(name), dataset=name, lock_path=home.lock_path(name))
