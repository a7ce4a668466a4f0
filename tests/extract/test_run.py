"""Extracts as a user meets them: resumed, at once, stopped, with bad backbones, on full disks."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from avfd.errors import CacheError, FingerprintError, InputError, StoreError
from avfd.home import Home
from avfd.specs import ABSENT, DONE, FAILED
from extract.index import index_dataset
from extract.run import extract_columns

BAD = ["bad-segfault", "bad-hang", "bad-eat", "bad-raise", "bad-exit"]


def test_every_clip_ends_done_failed_or_absent_with_a_reason(
    extracts: ModuleType, home: Home
) -> None:
    report = extracts.extract(home, ["loudness", "mel"])
    found = extracts.contents(home, "loudness")
    assert report["columns"]["loudness"] == {"done": 24, "failed": 1, "absent": 1, "pending": 0}
    assert found["small/mute.mp4"][:2] == (ABSENT, "the clip has no audio track")
    assert found["small/text.wav"][0] == FAILED
    assert "no readable sound or video file" in found["small/text.wav"][1]
    assert [f["key"] for f in report["failures"]] == ["small/text.wav"] * 2


def test_a_second_run_opens_no_media(extracts: ModuleType, home: Home, small_media: Path) -> None:
    extracts.extract(home, ["loudness"])
    with extracts.opens_in(small_media) as opens:
        report = extracts.extract(home, ["loudness"])
    assert not opens.counts
    assert report["clips"] == 0


def test_columns_asked_together_equal_columns_asked_alone(
    extracts: ModuleType, home: Home, small_home: Home, tmp_path: Path, small_media: Path
) -> None:
    with extracts.opens_in(small_media) as together:
        extracts.extract(home, ["loudness", "mel"])
    other = extracts.copied(small_home, tmp_path / "other")
    with extracts.opens_in(small_media) as alone:
        extracts.extract(other, ["mel"], limit=3)
        extracts.extract(other, ["mel"], workers=2)
    assert extracts.contents(home, "mel") == extracts.contents(other, "mel")
    assert together.counts == alone.counts  # two backbones, one decode


def test_a_column_is_not_given_another_backbones_name(home: Home) -> None:
    with pytest.raises(InputError, match=r"name of another backbone.*mel for mfcc"):
        extract_columns(home, "small", ["mfcc"], as_name="mel")


def test_what_is_no_part_makes_no_column(extracts: ModuleType, home: Home) -> None:
    with pytest.raises(InputError, match="not a part of the clips"):
        extract_columns(home, "small", ["mel"], part="4/3")
    assert extracts.cache_of(home).snapshot().columns == []


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ("device", "PyTorch sees no such GPU"),
        ("folder", "the data set's folder is not there"),
        ("disk", "the columns do not fit on the disk"),
    ],
)
def test_a_refused_call_makes_no_column(
    refused: str,
    why: str,
    extracts: ModuleType,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if refused == "folder":
        facts = home.read_facts(extracts.DATASET)
        home.write_facts(replace(facts, root=str(tmp_path / "unmounted")))
    if refused == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=99))
    with pytest.raises((InputError, StoreError), match=why):
        extract_columns(
            home,
            extracts.DATASET,
            ["loudness"],
            device="cuda:99" if refused == "device" else "cpu",
        )
    assert extracts.cache_of(home).snapshot().columns == []


def test_a_column_of_other_settings_refuses_the_new_one_beside_it(
    extracts: ModuleType, home: Home
) -> None:
    extracts.extract(home, ["waveform"], limit=1)
    with pytest.raises(FingerprintError, match="waveform"):
        extract_columns(home, extracts.DATASET, ["loudness", "waveform:sample_rate_hz=8000"])
    assert extracts.cache_of(home).snapshot().columns == ["waveform"]


def test_parts_of_several_machines_are_the_whole_and_open_no_clip_twice(
    extracts: ModuleType, home: Home, small_home: Home, tmp_path: Path, small_media: Path
) -> None:
    whole = extracts.copied(small_home, tmp_path / "whole")
    with extracts.opens_in(small_media) as alone:
        extracts.extract(whole, ["loudness"])
    with extracts.opens_in(small_media) as shared:
        jobs = [extracts.start(home, ["loudness"], part=f"{k}/3", limits={}) for k in (1, 2, 3)]
        reports = [extracts.reported(job) for job in jobs]
    assert extracts.contents(home, "loudness") == extracts.contents(whole, "loudness")
    assert sum(report["clips"] for report in reports) == 26
    assert shared.counts == alone.counts


def test_bad_backbones_cost_their_column_of_their_clip_only(
    extracts: ModuleType, home: Home, small_media: Path, media_makers: ModuleType, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    shutil.copytree(small_media, media)
    fatal = media_makers.clicks(1.0, 16_777)  # FATAL_SAMPLES of the plug-in, at 16 kHz
    media_makers.make_audio(media / "fatal.wav", fatal)
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)

    extracts.extract(
        home,
        ["loudness", *BAD],
        modules="bad_backbones",
        limits={"clip_seconds": 5.0, "clip_seconds_per_second": 0.0, "memory_bytes": 4 << 30},
    )
    good = extracts.contents(home, "loudness")
    assert good["small/fatal.wav"][0] == DONE
    found = {name: extracts.contents(home, name) for name in BAD}
    endings = {name: found[name].pop("small/fatal.wav")[:2] for name in BAD}
    assert endings == {
        "bad-segfault": (FAILED, "worker killed by SIGSEGV"),
        "bad-hang": (FAILED, "no result within 5 s"),
        "bad-eat": (FAILED, "MemoryError: out of memory"),
        "bad-raise": (FAILED, "ZeroDivisionError: no frames to average"),
        "bad-exit": (FAILED, "worker exited with status 9"),
    }
    del good["small/fatal.wav"]
    assert all(found[name] == good for name in BAD)


def test_failed_clips_are_tried_again_when_asked(
    extracts: ModuleType, home: Home, small_media: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    shutil.copytree(small_media, media)
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    moved = (media / "c000.wav").rename(tmp_path / "c000.wav")
    assert extracts.extract(home, ["loudness"])["columns"]["loudness"]["failed"] == 2
    key = f"{extracts.DATASET}/c000.wav"
    assert "No such file" in extracts.contents(home, "loudness")[key][1]

    moved.rename(media / "c000.wav")
    assert extracts.extract(home, ["loudness"])["columns"]["loudness"]["failed"] == 2
    report = extracts.extract(home, ["loudness"], retry_failed=True)
    assert report["columns"]["loudness"]["failed"] == 1
    assert extracts.contents(home, "loudness")[key][0] == DONE


def test_a_file_changed_since_the_index_is_not_mixed_in(
    extracts: ModuleType, home: Home, small_media: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    shutil.copytree(small_media, media)
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    shutil.copy(media / "c005.wav", media / "c000.wav")
    extracts.extract(home, ["loudness"])
    status, reason, _, _ = extracts.contents(home, "loudness")["small/c000.wav"]
    assert (status, reason) == (
        FAILED,
        "the file has changed since the index; run `avfd index` again",
    )
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    extracts.extract(home, ["loudness"])
    assert extracts.contents(home, "loudness")["small/c000.wav"][0] == DONE


def test_sigterm_keeps_what_is_finished(extracts: ModuleType, home: Home) -> None:
    told, tell = os.pipe()
    run = extracts.start(
        home, ["loudness"], progress_fd=tell, workers=2, limits={"commit_seconds": 1e9}
    )
    os.close(tell)
    for _ in range(6):  # one call at the start, one for each clip that came back
        assert os.read(told, 1) == b"."
    run.process.send_signal(signal.SIGTERM)
    status, _, error = run.end()
    os.close(told)
    kept = len(extracts.settled(home, "loudness"))
    assert status == 143
    assert kept >= 5
    assert f"{kept} results of this run are kept" in error
    assert run.left_after(2.0) == []


def test_two_extracts_at_once_of_one_column_and_of_two(
    extracts: ModuleType, home: Home, small_home: Home, tmp_path: Path
) -> None:
    alone = extracts.copied(small_home, tmp_path / "alone")
    extracts.extract(alone, ["loudness", "mel"])
    asked = (["loudness"], ["loudness"], ["mel"])
    often = {"commit_seconds": 0.1}
    runs = [extracts.start(home, columns, limits=often) for columns in asked]
    endings = [run.end() for run in runs]
    assert [status for status, _, _ in endings] == [0, 0, 0], endings
    for column in ("loudness", "mel"):
        assert extracts.contents(home, column) == extracts.contents(alone, column)


def test_an_index_of_new_files_during_an_extract_loses_nothing(
    extracts: ModuleType, home: Home, small_media: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    shutil.copytree(small_media, media)
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    told, tell = os.pipe()
    run = extracts.start(home, ["loudness"], progress_fd=tell)
    os.close(tell)
    assert os.read(told, 1) == b"."
    shutil.copy(media / "c000.wav", media / "new.wav")
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    status, _, error = run.end()
    os.close(told)
    assert status == 0, error
    extracts.extract(home, ["loudness"])
    found = extracts.contents(home, "loudness")
    assert len(found) == 27
    assert found["small/new.wav"] == found["small/c000.wav"]
    assert found["small/new.wav"][0] == DONE


def test_a_full_disk_stops_cleanly_and_a_rerun_completes(
    extracts: ModuleType, home: Home, small_home: Home, tmp_path: Path
) -> None:
    told, tell = os.pipe()
    run = extracts.start(home, ["waveform"], progress_fd=tell)
    os.close(tell)
    assert os.read(told, 1) == b"."  # planned, the column made
    # No file may grow past 4 KiB from now on: chunks of the waveform are larger.
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    status, _, error = run.end()
    os.close(told)
    assert status == 2, error
    assert "Traceback" not in error
    assert "store" in error
    assert run.left_after(2.0) == []
    extracts.extract(home, ["waveform"])
    alone = extracts.copied(small_home, tmp_path / "alone")
    extracts.extract(alone, ["waveform"])
    assert extracts.contents(home, "waveform") == extracts.contents(alone, "waveform")


def test_what_does_not_fit_is_refused_before_any_work(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(home.path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StoreError, match="do not fit"):
        extract_columns(home, None, ["waveform"])


def test_clips_that_the_cache_lacks_are_sent_to_index(home: Home, extracts: ModuleType) -> None:
    shutil.rmtree(home.cache_url(extracts.DATASET))
    cache = home.path / "elsewhere"
    small = home.path / "media"
    small.mkdir()
    (small / "a.wav").write_text("text")
    index_dataset(Home(cache), extracts.DATASET, small, layout="folder", workers=1)
    shutil.copytree(Home(cache).cache_url(extracts.DATASET), home.cache_url(extracts.DATASET))
    with pytest.raises(CacheError, match=r"26 clips .* not in the cache.*avfd index"):
        extract_columns(home, None, ["loudness"])


@pytest.mark.parametrize(
    ("backbones", "options", "message"),
    [
        ([], {}, "no backbone is named"),
        (["mel"], {"device": "tpu"}, "no such device"),
        (["mel"], {"workers": 0}, "1 or more"),
        (["mel"], {"limit": 0}, "1 or more"),
        (["mel", "mfcc"], {"as_name": "other"}, "one name cannot serve"),
    ],
)
def test_mistakes_in_the_call_are_named(
    backbones: list[str], options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        extract_columns(Home(tmp_path), None, backbones, **options)
