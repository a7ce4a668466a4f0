"""The whole road as a user walks it: index, extract, fit, evaluate, compare, export."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SUBJECTS, SECONDS, RATE_HZ = 8, 2.0, 16000
# Kept by strace: whatever opens a connection or sends to a foreign address.
SOCKET_CALLS = "connect,sendto,sendmsg,sendmmsg"


@dataclass(frozen=True)
class Place:
    """A home, and a way to run avfd in it."""

    home: Path
    media: Path

    def run(self, *words: str, trace: Path | None = None) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "avfd", *words, "--home", str(self.home)]
        if trace:
            watch = f"strace -f --seccomp-bpf -qq -e trace={SOCKET_CALLS}".split()
            call = [*watch, "-o", str(trace), *call]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(call, capture_output=True, text=True, env=env, check=False)

    def json(self, *words: str, trace: Path | None = None) -> Any:
        """What the command prints with --json, which must be one document and nothing else."""
        done = self.run(*words, "--json", trace=trace)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _voice(rng: np.random.Generator, fake: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise in bursts; the fake's bursts are louder."""
    times = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    level = (0.5 if fake else 0.1) * (1 + 0.5 * np.sin(2 * np.pi * 3 * times))
    wave = level * rng.uniform(-0.5, 0.5, len(times))
    return wave[None].astype(np.float32)


@pytest.fixture(scope="module")
def place(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Eight people, two reals and two fakes each, and one file without sound."""
    media = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    with open(media / "clips.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "truth", "person"])
        for i in range(SUBJECTS * 4):
            name, fake = f"a b#{i}.mp4", i % 2 == 1
            make_video(media / name, SECONDS, audio=_voice(rng, fake), audio_rate_hz=RATE_HZ)
            table.writerow([name, "fake" if fake else "real", f"p{i // 4}"])
        make_video(media / "mute.mp4", SECONDS, audio_rate_hz=None)
        table.writerow(["mute.mp4", "real", "p0"])
    return Place(tmp_path_factory.mktemp("home"), media)


@pytest.fixture(scope="module")
def road(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON of every step, walked once."""
    strace = shutil.which("strace") is not None
    traces = tmp_path_factory.mktemp("traces")

    def traced(name: str) -> Path | None:
        return traces / name if strace else None

    columns = ("--path-column", "file", "--label-column", "truth", "--subject-column", "person")
    table = ("--table", str(place.media / "clips.csv"))
    backbones = ("--backbone", "loudness", "--backbone", "mel")
    before = _hashes(place.media)
    return {
        "index": place.json(
            "index", "mine", "--root", str(place.media), *table, *columns, trace=traced("index")
        ),
        "extract": place.json("extract", *backbones, trace=traced("extract")),
        "fit": place.json("fit", "--audio", "loudness", "--folds", "4", trace=traced("fit")),
        "second": place.json("fit", "--audio", "mel", "--folds", "4", "--model", "logreg"),
        "hashes": (before, _hashes(place.media)),
        "traces": sorted(traces.iterdir()),
    }


def _hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_index_counts_every_clip(road: dict[str, Any]) -> None:
    assert (road["index"]["clips"], road["index"]["groups"]) == (33, 8)
    assert road["index"]["labels"] == {"fake": 16, "real": 17}


def test_extract_counts_the_silent_file_as_absent(road: dict[str, Any]) -> None:
    counts = {"done": 32, "failed": 0, "absent": 1, "pending": 0}
    assert road["extract"]["columns"] == {"loudness": counts, "mel": counts}


def test_fit_tells_loud_from_soft_and_counts_the_clip_it_could_not_hear(
    road: dict[str, Any],
) -> None:
    test = road["fit"]["metrics"]["test"]
    assert test["covered"]["metrics"]["auc"]["value"] == 1.0
    assert (test["covered_clips"], test["clips"]) == (32, 33)


def test_runs_can_be_evaluated_fused_and_compared(place: Place, road: dict[str, Any]) -> None:
    runs = [road["fit"]["run"], road["second"]["run"]]
    again = place.json("evaluate", runs[0])
    assert again["metrics"] == road["fit"]["metrics"]["test"]
    fused = place.json("fit", "--fusion", "decision", *runs)
    assert fused["metrics"]["test"]["clips"] == 33
    assert place.json("compare", *runs)["clips"] == 33


def test_a_folder_of_new_clips_is_scored_without_training(
    place: Place, road: dict[str, Any], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for name, fake in (("soft.mp4", False), ("loud.mp4", True)):
        make_video(tmp_path / name, SECONDS, audio=_voice(rng, fake), audio_rate_hz=RATE_HZ)
    assert place.json("index", "case", "--root", str(tmp_path))["labels"] == {"unlabelled": 2}
    place.json("extract", "--dataset", "case", "--backbone", "loudness")
    import pandas as pd

    report = place.json("evaluate", road["fit"]["run"], "--dataset", "case")
    scores = pd.read_parquet(report["scores_path"]).set_index("key")["score_fake"]
    assert scores["case/loud.mp4"] > 0.5 > scores["case/soft.mp4"]
    told = place.run("evaluate", road["fit"]["run"], "--dataset", "case").stdout.split()
    at = [told.index(f"case/{name}.mp4") for name in ("loud", "soft")]
    assert [told[i + 1] for i in at] == ["fake", "real"]
    assert at == sorted(at)


def test_nothing_of_the_users_is_touched(road: dict[str, Any]) -> None:
    before, after = road["hashes"]
    assert before == after


def test_no_network_connection_is_opened(road: dict[str, Any]) -> None:
    if not road["traces"]:
        pytest.skip("strace is not installed: the calls cannot be seen from outside")
    calls = "".join(path.read_text(errors="replace") for path in road["traces"])
    assert not re.findall(r"^.*sa_family=AF_INET6?\b.*$", calls, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["extract", "--backbone", "nonesuch"], "no such backbone"),
        (["fit", "--audio", "compare2016"], "avfd extract"),
        (["fit"], "--fusion decision"),
        (["fit", "--audio", "mel", "--fusion", "maybe"], "none, feature, decision"),
        (["evaluate", "nonesuch"], "no such run"),
        (["index", "mine", "--root", "/nonesuch"], "not a folder"),
        (["index", "mine"], "--root"),
        (["cache", "show", "nonesuch"], "loudness"),
    ],
)
def test_a_mistake_is_a_sentence_and_status_2(
    place: Place, road: dict[str, Any], words: list[str], said: str
) -> None:
    dataset = ["--dataset", "mine"] if words[0] in ("extract", "fit", "cache") else []
    done = place.run(*words, *dataset)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert said in " ".join(done.stderr.split())


def test_export_is_read_without_avfd(place: Place, road: dict[str, Any], tmp_path: Path) -> None:
    import h5py

    out = tmp_path / "out.h5"
    once = ("--backbone", "loudness")
    words = ("--dataset", "mine", *once, *once, "--format", "h5", "--out", str(out))
    assert place.json("cache", "export", *words)["columns"] == ["loudness"]
    with h5py.File(out) as file:
        assert file["mine/a b#0.mp4/loudness/embedding"].shape[:2] == (2, 10)


def test_the_cache_is_sound_and_collected(place: Place, road: dict[str, Any]) -> None:
    assert place.json("cache", "verify", "--dataset", "mine")["bad"] == []
    assert place.json("cache", "gc", "--dataset", "mine", "--dry-run")["dry_run"] is True
    assert {row["column"] for row in place.json("cache", "ls", "--dataset", "mine")} == {
        "loudness",
        "mel",
    }
