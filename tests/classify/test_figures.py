"""Figures: what they show, that they are written whole, and the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from classify.figures import confusion_figure, reliability_figure, roc_figure, save
from classify.metrics import BootstrapOptions, deepfake_scores, measure

QUICK = BootstrapOptions(replicates=100)


def run(seed=0, clips=80, shift=0.3, labels=("real", "fake")):
    rng = np.random.default_rng(seed)
    names = [labels[i % len(labels)] for i in range(clips)]
    fake = np.array([name == "fake" for name in names])
    p_fake = np.clip(0.35 + shift * fake + rng.normal(0, 0.2, clips), 0, 1)
    return deepfake_scores(
        [f"d/{i}" for i in range(clips)],
        names,
        p_fake,
        groups=[f"s{i // 4}" for i in range(clips)],
        base_rate=0.5,
    )


def test_roc_curve_runs_from_corner_to_corner_inside_its_band():
    axes = roc_figure({"a": run()}, QUICK).axes[0]
    curve = axes.lines[1]
    assert curve.get_xydata()[0].tolist() == [0, 0]
    assert curve.get_xydata()[-1].tolist() == [1, 1]
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    metric = measure(run(), QUICK).all.metrics["auc"]
    assert area == pytest.approx(metric.value)
    assert axes.get_legend().get_texts()[0].get_text() == f"a: AUC {metric}"
    band = axes.collections[0].get_paths()[0].vertices
    assert band.min() >= 0
    assert band.max() <= 1


def styles(*runs):
    """Solid or dashed, of each curve."""
    bare = BootstrapOptions(replicates=0)
    figure = roc_figure({f"run {i}": one for i, one in enumerate(runs)}, bare)
    return [line.get_linestyle() for line in figure.axes[0].lines[1:]]


def test_only_curves_that_lie_on_each_other_are_dashed():
    assert styles(run()) == ["-"]
    assert styles(run(), run(shift=0.1), run()) == ["--", "-", "--"]


def test_curves_a_clip_apart_count_as_lying_on_each_other():
    one = run()
    p_fake = one.probabilities[:, 1].copy()
    p_fake[1] = 1.0
    other = deepfake_scores(one.keys, one.labels, p_fake, groups=one.groups, base_rate=0.5)
    assert measure(one, QUICK).all.metrics["auc"] != measure(other, QUICK).all.metrics["auc"]
    assert styles(one, other) == ["--", "--"]


@pytest.mark.parametrize("curves", [2, 3, 8])
def test_coinciding_curves_are_all_seen(curves):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb

    figure = roc_figure({f"run {i}": run() for i in range(curves)}, BootstrapOptions(replicates=0))
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        if legend:
            legend.remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    for index in range(curves):
        colour = np.round(255 * np.array(to_rgb(f"C{index}")))
        assert (np.abs(drawn - colour).max(axis=-1) <= 2).sum() > 10, index


def test_roc_of_one_class_is_refused():
    with pytest.raises(InputError, match="a: a ROC curve needs real and fake clips; found: fake"):
        roc_figure({"a": run(labels=("fake",))}, QUICK)


def test_confusion_shows_the_counts():
    report = measure(run(), QUICK)
    figure = confusion_figure(report.all, report.classes)
    texts = [int(text.get_text()) for text in figure.axes[0].texts]
    assert texts == [count for row in report.all.confusion for count in row]


def test_reliability_dots_are_the_bins():
    labels = ["fake", "real", "fake", "fake"]
    scores = deepfake_scores(
        list("abcd"), labels, [0.15, 0.11, 0.95, 1.0], groups=list("abcd"), base_rate=0.5
    )
    dots = reliability_figure(scores).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(dots, [[0.13, 0.5], [0.975, 1.0]])


def test_figures_are_written_in_every_format_and_the_same_twice(tmp_path):
    for name in ("one", "two"):
        paths = save(roc_figure({"a": run()}, QUICK), tmp_path / name)
        assert [p.name for p in paths] == [f"{name}.png", f"{name}.svg"]
    for suffix in ("png", "svg"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two
