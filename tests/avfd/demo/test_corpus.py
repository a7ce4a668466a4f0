"""The demo corpus: its plan, its table, and that the files hold what the table says."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from avfd.demo.corpus import BLEND, COLUMNS, METHODS, OUT_OF_STEP, VOCODER, make_corpus, plan
from avfd.errors import InputError

pytest.importorskip("espeakng_loader", reason="needs the extra demo")
pytest.importorskip("skimage", reason="needs the extra demo")
av = pytest.importorskip("av", reason="needs the extra demo")

Row = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, clips=4, seed=3)
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[Row]:
    with (folder / "clips.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def pictures(path: Path) -> np.ndarray:
    """Every frame, [frames, height, width, 3]."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def sound(path: Path) -> np.ndarray:
    """All samples, float32 [n]."""
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


def test_the_plan_is_balanced() -> None:
    plans = plan(48, 0)
    assert Counter(p.method is None for p in plans) == {True: 24, False: 24}
    assert Counter(p.method for p in plans if p.method) == dict.fromkeys(METHODS, 8)
    assert {Counter(p.subject for p in plans)[s] for s in range(12)} == {4}
    assert len({p.path for p in plans}) == 48


def test_half_of_every_method_is_partial() -> None:
    partial = Counter(p.method for p in plan(48, 0) if p.method and p.partial)
    assert partial == dict.fromkeys(METHODS, 4)


def test_a_donor_is_nobody_elses_donor() -> None:
    donors = [p.donor for p in plan(48, 0) if p.donor]
    assert len(donors) == len(set(donors)) == 8


@pytest.mark.parametrize("clips", [0, 3, 6])
def test_other_counts_are_refused(clips: int) -> None:
    with pytest.raises(InputError, match="multiple of 4"):
        plan(clips, 0)


def test_the_table_lists_every_file(folder: Path, rows: list[Row]) -> None:
    assert tuple(rows[0]) == COLUMNS
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*.mp4")}
    assert {row["path"] for row in rows} == files


def test_a_fake_names_an_original_of_the_table(rows: list[Row]) -> None:
    real = {row["path"] for row in rows if row["label"] == "real"}
    fakes = [row for row in rows if row["label"] == "fake"]
    assert {row["original"] for row in fakes} == real


def test_labels_follow_the_method(rows: list[Row]) -> None:
    for row in rows:
        assert (row["video_label"] == "fake") == (row["method"] in (BLEND, OUT_OF_STEP))
        assert (row["audio_label"] == "fake") == (row["method"] == VOCODER)
        assert (row["label"] == "fake") == bool(row["method"])


def test_segments_lie_inside_the_clip(folder: Path, rows: list[Row]) -> None:
    for row in rows:
        segments = json.loads(row["fake_segments"])
        assert bool(segments) == (row["label"] == "fake")
        seconds = len(sound(folder / row["path"])) / 44_100
        assert all(0 <= start < end <= seconds + 0.1 for start, end in segments)


def test_files_are_what_the_demo_promises(folder: Path, rows: list[Row]) -> None:
    for row in rows:
        with av.open(str(folder / row["path"])) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
            assert (video.width, video.height, audio.rate) == (256, 256, 44_100)
            assert 4.0 <= container.duration / 1e6 <= 6.1


def test_a_vocoder_fake_keeps_the_picture_and_changes_the_sound(
    folder: Path, rows: list[Row]
) -> None:
    fake = next(row for row in rows if row["method"] == VOCODER)
    real = folder / fake["original"]
    assert np.array_equal(pictures(real), pictures(folder / fake["path"]))
    assert np.abs(sound(real) - sound(folder / fake["path"])).max() > 0.05


def test_a_blend_keeps_the_sound_and_changes_the_picture_from_its_start(
    folder: Path, rows: list[Row]
) -> None:
    fake = next(row for row in rows if row["method"] == BLEND)
    real = folder / fake["original"]
    assert np.array_equal(sound(real), sound(folder / fake["path"]))
    ((start, end),) = json.loads(fake["fake_segments"])
    before, after = (pictures(p).astype(int) for p in (real, folder / fake["path"]))
    change = np.abs(before - after).mean(axis=(1, 2, 3))
    middles = (np.arange(len(change)) + 0.5) / 25
    inside = change[(middles > start + 0.2) & (middles < end - 0.2)]
    # What follows the segment is the same picture, but the encoder has taken another way by then.
    assert change[middles < start - 0.5].mean() < 0.1 * inside.mean()


def test_the_same_seed_gives_the_same_files(folder: Path, rows: list[Row], tmp_path: Path) -> None:
    make_corpus(tmp_path, clips=4, seed=3)
    for path in ("clips.csv", *(row["path"] for row in rows)):
        digests = [hashlib.sha256((f / path).read_bytes()).digest() for f in (folder, tmp_path)]
        assert digests[0] == digests[1], path
