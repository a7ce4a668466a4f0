"""Every run carries the pictures of its test side, the same ones for the same scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import classify
from classify import FitOptions
from classify.metrics import BootstrapOptions
from classify.run_figures import write_figures
from classify.scoring import metrics_by_side

DRAWS = True  # the fits of this module
OPTIONS = FitOptions(folds=3, audio="compare2016", model="logreg", replicates=50)


def pictures(report) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (report.path / "figures").iterdir()}


def is_drawn(path) -> bool:
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG" and len(image.convert("L").getcolors()) > 2


def test_a_run_has_its_curve_its_confusion_and_its_reliability(av_home):
    report = classify.fit(av_home, OPTIONS)
    assert set(pictures(report)) == {"roc.png", "confusion.png", "reliability.png"}
    assert all(is_drawn(report.path / "figures" / name) for name in pictures(report))


def test_the_same_fit_draws_the_same_bytes(av_home):
    first, second = (pictures(classify.fit(av_home, OPTIONS)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("labels", "covered", "names"),
    [
        (("real", "fake"), (True, False), {"roc", "confusion", "reliability"}),
        (("real", "fake"), (False,), {"roc", "confusion", "reliability"}),
        (("fake",), (True,), {"confusion", "reliability"}),
        ((None,), (True,), set()),
    ],
)
def test_scores_of_any_kind_have_the_figures_that_they_allow(tmp_path, labels, covered, names):
    p_fake = np.linspace(0.1, 0.9, 12)
    table = pd.DataFrame(
        {
            "key": [f"d/{i}" for i in range(12)],
            "split": "test",
            "group": [f"s{i // 3}" for i in range(12)],
            "label": np.resize(np.array(labels, dtype=object), 12),
            "score_real": 1 - p_fake,
            "score_fake": p_fake,
            "covered": np.resize(covered, 12),
        }
    )
    metrics = metrics_by_side(table, (0.5, 0.5), 20, 0)
    paths = write_figures(tmp_path / "f", table, (0.5, 0.5), metrics, BootstrapOptions(20))
    assert {path.stem for path in paths} == names
    assert all(is_drawn(path) for path in paths)


def test_emotions_have_a_confusion_matrix(av_home):
    report = classify.fit(av_home, replace(OPTIONS, target="emotion"))
    assert set(pictures(report)) == {"confusion.png"}


def test_a_fused_run_has_figures_of_its_own(av_home):
    members = [
        classify.fit(av_home, replace(OPTIONS, audio=name)) for name in ("compare2016", "noise")
    ]
    names = tuple(member.run for member in members)
    fused = classify.fit(av_home, FitOptions(runs=names, fusion="decision", replicates=50))
    assert pictures(fused)["roc.png"] != pictures(members[1])["roc.png"]


def test_without_matplotlib_the_run_is_whole_but_for_its_figures(av_home, monkeypatch):
    monkeypatch.setattr("classify.run_figures.find_spec", lambda name: None)
    report = classify.fit(av_home, OPTIONS)
    assert not (report.path / "figures").exists()
    assert (report.path / "metrics.json").is_file()


def test_folds_come_with_the_note_that_their_intervals_are_too_narrow(av_home):
    assert any("too narrow" in note for note in classify.fit(av_home, OPTIONS).notes)
