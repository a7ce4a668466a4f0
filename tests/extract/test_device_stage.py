"""Networks on a device, in batches over many clips: the numbers of the workers, clip by clip."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import save_file

from avfd.home import Home
from avfd.specs import DONE, FAILED
from extract.index import index_dataset

BATCHED = {"device": "cpu-batched", "modules": "small_networks"}
Contents = dict[str, tuple[int, str, bytes, bytes]]


def add_weights(home: Home) -> None:
    """The matrix of all these networks, in the home's weights folder."""
    rng = np.random.default_rng(3)
    home.weights_dir.mkdir(exist_ok=True)
    tensors = {"weight": rng.normal(0, 1, (8, 16)), "bias": rng.normal(0, 1, 8)}
    save_file(
        {name: value.astype(np.float32) for name, value in tensors.items()},
        home.weights_dir / "small_network.safetensors",
    )


@pytest.fixture
def weights(home: Home) -> None:
    add_weights(home)


@pytest.fixture(scope="module")
def by_workers(
    extracts: ModuleType, small_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Contents]:
    """Column → what the workers make of it, each of its clips by itself."""
    home = extracts.copied(small_home, tmp_path_factory.mktemp("by_workers") / "home")
    add_weights(home)
    extracts.extract(
        home, ["net-seconds", "net-clip", "net-column"], "small_networks", device="cpu"
    )
    found = {c: extracts.contents(home, c) for c in ("net-seconds", "net-clip", "net-column")}
    return {**found, "net-hungry": found["net-seconds"]}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the networks note their batches."""
    monkeypatch.setenv("AVFD_TEST_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def batches(log: Path, name: str) -> list[tuple[int, int]]:
    """Windows and clips of each batch that a network has answered."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(int(n), int(clips)) for found, _, n, clips in lines if found == name]


def equal(found: Contents, expected: Contents) -> bool:
    """The same statuses, reasons and masks, values to 1e-5."""
    assert found.keys() == expected.keys()
    for key, (status, reason, values, valid) in expected.items():
        assert found[key][:2] == (status, reason), key
        assert found[key][3] == valid, key
        mine, theirs = (np.frombuffer(v, np.float32) for v in (found[key][2], values))
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5, err_msg=key)
    return True


@pytest.fixture
def few(
    extracts: ModuleType,
    home: Home,
    small_media: Path,
    media_makers: ModuleType,
    tmp_path: Path,
) -> Home:
    """The home with a clip, one of two silent seconds, and one of `FATAL_SAMPLES`."""
    media = tmp_path / "media"
    media.mkdir()
    shutil.copy(small_media / "c001.wav", media)
    media_makers.make_audio(media / "silent.wav", np.zeros((1, 32_000), np.float32))
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 16_777)).astype(np.float32)
    media_makers.make_audio(media / "fatal.wav", noise)
    index_dataset(home, extracts.DATASET, media, layout="folder", workers=1)
    return home


def test_the_numbers_are_those_of_the_workers(
    extracts: ModuleType, home: Home, weights: None, by_workers: dict[str, Contents], log: Path
) -> None:
    report = extracts.extract(home, [*by_workers, "loudness"], **BATCHED, workers=2)
    for column, expected in by_workers.items():
        assert equal(extracts.contents(home, column), expected)
    assert report["clips"] == 26
    assert report["columns"]["net-clip"] == {"done": 24, "failed": 1, "absent": 1, "pending": 0}
    seen = batches(log, "net-seconds")
    assert max(clips for _, clips in seen) > 8, "batches do not mix clips"
    (device,) = report["devices"]
    assert device["halvings"] >= 1  # `net-hungry` saw more than three windows at once
    assert device["windows"] == 24 + 24 + 2 * sum(n for n, _ in seen)


def test_several_devices_share_the_work(
    extracts: ModuleType, home: Home, weights: None, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.extract(home, ["net-clip"], modules="small_networks", device="cpu-batched:2")
    assert len({line.split()[1] for line in log.read_text().splitlines()}) == 2
    statuses = [status for status, *_ in extracts.contents(home, "net-clip").values()]
    assert statuses.count(DONE) == 24


@pytest.mark.parametrize("device", ["cpu", "cpu-batched"])
def test_a_network_that_finds_no_memory_ends_the_run_in_one_sentence(
    device: str, extracts: ModuleType, home: Home, weights: None
) -> None:
    run = extracts.start(home, ["net-too-large"], "small_networks", device=device, limits={})
    status, _, error = run.end()
    assert (status, error.strip()) == (
        2,
        "a worker could not be built; found: OutOfMemoryError: CUDA out of memory. Tried to "
        "allocate 2.00 GiB.; next: take fewer --workers, or fewer networks at once",
    )


def test_a_clip_that_kills_the_devices_process_costs_itself_only(
    extracts: ModuleType, few: Home, weights: None
) -> None:
    extracts.extract(few, ["net-segfault", "net-seconds"], **BATCHED)
    found, good = (extracts.contents(few, c) for c in ("net-segfault", "net-seconds"))
    assert found.pop("small/silent.wav")[:2] == (FAILED, "worker killed by SIGSEGV")
    assert good.pop("small/silent.wav")[0] == DONE
    assert equal(found, good)


def test_a_reader_that_dies_leaves_nothing_of_its_first_try(
    extracts: ModuleType, few: Home, weights: None, tmp_path: Path
) -> None:
    other = extracts.copied(few, tmp_path / "other")
    options = {"modules": "small_networks,bad_backbones"}
    extracts.extract(few, ["net-seconds", "bad-exit"], device="cpu-batched", **options)
    extracts.extract(other, ["net-seconds"], device="cpu", **options)
    assert equal(extracts.contents(few, "net-seconds"), extracts.contents(other, "net-seconds"))
    assert extracts.contents(few, "bad-exit")["small/fatal.wav"][0] == FAILED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_is_finished_when_it_ends_is_kept(
    number: signal.Signals,
    extracts: ModuleType,
    home: Home,
    weights: None,
    by_workers: dict[str, Contents],
) -> None:
    told, tell = os.pipe()
    limits = {"commit_seconds": 0.0, "window_bytes": 1}  # a parcel at a time
    run = extracts.start(home, ["net-clip"], **BATCHED, progress_fd=tell, limits=limits)
    os.close(tell)
    for _ in range(8):  # one call at the start, one for each clip that came back
        assert os.read(told, 1) == b"."
    run.process.send_signal(number)
    status, _, _ = run.end()
    os.close(told)
    assert status in (130, -signal.SIGKILL)
    assert run.left_after(2.0) == []
    assert len(extracts.settled(home, "net-clip")) >= 5
    extracts.extract(home, ["net-clip"], **BATCHED)
    assert equal(extracts.contents(home, "net-clip"), by_workers["net-clip"])


def test_crops_of_real_faces_give_the_numbers_of_the_workers(
    extracts: ModuleType, testdata: Path, blazeface: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    clips = sorted((testdata / "clips" / "fake").rglob("*.mp4"), key=lambda p: p.stat().st_size)
    for path in clips[:2]:
        shutil.copy(path, media)
    home = extracts.indexed(tmp_path / "home", media)
    add_weights(home)
    shutil.copy(blazeface, home.weights_dir)
    other = extracts.copied(home, tmp_path / "other")
    asked = ["net-faces", "net-seconds"]
    extracts.extract(home, asked, **BATCHED)
    extracts.extract(other, asked, "small_networks", device="cpu")
    for column in asked:
        assert equal(extracts.contents(home, column), extracts.contents(other, column))
    assert DONE in {status for status, *_ in extracts.contents(home, "net-faces").values()}
