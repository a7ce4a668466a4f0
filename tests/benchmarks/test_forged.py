"""What `benchmarks.forged` reckons with: intervals, the choice, exact seconds, the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from avfd.clips import Clip
from avfd.runs import Run
from benchmarks.forged import kinds_of
from benchmarks.forged_lines import CHOSEN, report
from benchmarks.forged_scores import (
    auc,
    choose,
    clip_verdicts,
    fake_share,
    followed,
    second_verdicts,
    validated,
)
from benchmarks.forged_systems import SETS, SYSTEMS, chosen
from classify.choice import check_options
from classify.metrics import BootstrapOptions
from extract.forge.plans import KINDS

DRAWN = BootstrapOptions(replicates=50)


def clip(name: str, label: str, **facts) -> Clip:
    return Clip(key=f"d/{name}", video_path=name, audio_path=name, label=label, **facts)


def verdicts(val: list[float], test: list[float], fold: int = 0) -> pd.DataFrame:
    """Two real rows and two fake ones on each side."""
    return pd.DataFrame(
        {
            "key": [f"k{fold}{i}" for i in range(8)],
            "fold": fold,
            "split": ["val"] * 4 + ["test"] * 4,
            "group": ["a", "b", "a", "b", "c", "d", "c", "d"],
            "fake": [False, False, True, True] * 2,
            "p": val + test,
        }
    )


GOOD, BAD = [0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1]


def test_the_auc_is_that_of_the_test_rows() -> None:
    rng = np.random.default_rng(0)
    table = pd.concat([verdicts(BAD, rng.random(4).tolist(), f) for f in range(5)])
    test = table[table["split"] == "test"]
    found = auc(table, DRAWN)
    assert found.value == pytest.approx(roc_auc_score(test["fake"], test["p"]))
    assert found.low <= found.value <= found.high
    assert (found.rows, found.groups) == (20, 2)
    assert auc(table[~table["fake"]], DRAWN).value is None


def test_a_system_is_chosen_on_validation_whatever_the_test_says() -> None:
    tables = {
        "sees the test": pd.concat([verdicts(BAD, GOOD, 0), verdicts(BAD, GOOD, 1)]),
        "validates": pd.concat([verdicts(GOOD, BAD, 0), verdicts(GOOD, GOOD, 1)]),
    }
    names = choose(tables)
    assert names == {0: "validates", 1: "validates"}
    assert auc(followed(names, tables), DRAWN).value == pytest.approx(0.5)
    assert validated(tables["validates"]) == 1.0


def test_scores_of_two_systems_are_brought_to_one_scale() -> None:
    low, high = [p / 10 for p in GOOD], [0.9 + p / 10 for p in GOOD]
    tables = {
        "low": pd.concat([verdicts(low, low, 0), verdicts(BAD, BAD, 1)]),
        "high": pd.concat([verdicts(BAD, BAD, 0), verdicts(high, high, 1)]),
    }
    names = choose(tables)
    assert names == {0: "low", 1: "high"}
    assert auc(followed(names, tables), DRAWN).value == 1.0


def test_a_second_is_as_fake_as_its_segments_cover_it() -> None:
    made = clip("f", "fake", seconds=3.5, fake_segments=((0.4, 1.25), (3.0, 3.5)))
    assert [fake_share(made, s) for s in range(4)] == pytest.approx([0.6, 0.25, 0.0, 1.0])


class FakeRun(Run):
    """A run whose tables are given."""

    def __init__(self, scores: pd.DataFrame, seconds: pd.DataFrame | None) -> None:
        object.__setattr__(self, "tables", (scores, seconds))

    def scores(self) -> pd.DataFrame:
        return self.tables[0]

    def seconds(self) -> pd.DataFrame | None:
        return self.tables[1]


def test_verdicts_are_held_against_the_label_of_the_track_and_of_the_second() -> None:
    clips = {
        c.key: c
        for c in (
            clip("f", "fake", audio_label="fake", fake_segments=((0.0, 1.2),), seconds=3.0),
            clip("r", "real", fake_segments=(), seconds=3.0),
        )
    }
    scores = pd.DataFrame(
        {
            "key": ["d/f", "d/r"],
            "fold": 0,
            "split": "test",
            "group": ["a", "b"],
            "score_fake": [0.7, 0.3],
            "track_video": [0.2, np.nan],
        }
    )
    seconds = pd.DataFrame(
        {
            "key": ["d/f"] * 3 + ["d/r"],
            "fold": 0,
            "split": "test",
            "second": [0, 1, 2, 0],
            "score_fake": [0.9, 0.5, 0.2, 0.1],
        }
    )
    run = FakeRun(scores, seconds)
    assert clip_verdicts(run, clips, "audio")["fake"].tolist() == [True, False]
    assert clip_verdicts(run, clips, "audio")["p"].tolist() == [0.7, 0.3]
    assert clip_verdicts(run, clips, "video")["p"].tolist() == [0.2, 0.5]
    found = second_verdicts(run, clips)
    assert found["fake"].tolist() == [True, False, False]  # of the second second 0.2 are fake
    assert found["p"].tolist() == [0.9, 0.2, 0.1]
    assert found["group"].tolist() == ["a", "a", "b"]
    assert second_verdicts(FakeRun(scores, None), clips) is None
    clips["d/f"] = replace(clips["d/f"], fake_segments=None)
    assert second_verdicts(run, clips) is None


def test_a_twin_is_of_the_kind_of_its_fake() -> None:
    clips = {
        "d/fake/x.mp4": clip("x", "fake", method="m", seconds=4.0, fake_segments=((0.0, 4.0),)),
        "d/real/x.mp4": clip("x", "real", method="m", seconds=4.0, fake_segments=()),
        "d/fake/y.mp4": clip("y", "fake", method="m", seconds=4.0, fake_segments=((1.0, 2.0),)),
        "d/found.mp4": clip("z", "real"),
    }
    kinds = kinds_of(clips)
    assert kinds == {
        "d/fake/x.mp4": "m whole",
        "d/real/x.mp4": "m whole",
        "d/fake/y.mp4": "m in part",
    }


def test_every_system_can_be_asked_for_and_fuses_systems_that_come_before_it() -> None:
    names = [system.name for system in SYSTEMS]
    assert len(set(names)) == len(names)
    for place, system in enumerate(SYSTEMS):
        assert set(system.fuses) <= set(names[:place])
        check_options(system.options("d", 5, 3, ["a", "b"]))
    assert {kind for made in SETS for kind in made.kinds} == set(KINDS)
    assert [s.name for s in chosen(["shifts) · or"])][-1] == "decision fusion (shifts) · or"
    assert len(chosen(["shifts) · or"])) == 3


def test_the_report_has_the_choice_first_and_says_whether_the_aim_is_reached() -> None:
    number = {"value": 0.8, "low": 0.7, "high": 0.9}
    one = {
        "title": "vocoded voices",
        "aim": [0.75, 0.6],
        "facts": {
            "command": "python -m benchmarks.forged",
            "date": "2026-01-02",
            "hardware": "2 cores",
            "fakes": 4,
            "reals": 4,
            "people": 2,
            "groups": 2,
            "folds": 2,
            "epochs": 3,
        },
        "probe": {"value": 0.5, "low": None, "high": None},
        "lines": [{"system": "s", "validation": 0.6, "auc": {"whole": number}}],
        "chosen": {
            "names": {"0": "s", "1": "s"},
            "second_names": {},
            "auc": {"whole": number},
            "kinds": {"vocoder whole": number},
        },
    }
    lines = report({"sets": {"voices": one}}).splitlines()
    assert "Aim: above 0.75, interval above 0.60: reached with 0.800 [0.700, 0.900]." in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| system | clip | validation |"
    assert table[2] == f"| {CHOSEN} | 0.800 [0.700, 0.900] |  |"
    assert table[3] == "| s | 0.800 [0.700, 0.900] | 0.600 |"
    assert "Chosen for clips: s (2 of 2 folds)." in lines
    assert any("best mean validation: s, 0.800 [0.700, 0.900]" in line for line in lines)
