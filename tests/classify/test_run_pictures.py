"""Pictures of runs: which there are, and what stands in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import classify
from avfd import runs
from avfd.clips import read_table, write_table
from avfd.errors import InputError
from classify import FitOptions, figures
from classify.figures_cam import CamRow, cam_figure
from classify.figures_embedding import KINDS, UNKNOWN, embedding_figure, kind_of, placed
from classify.figures_maps import Heats, histogram_figure, maps_figure
from classify.run_pictures import Wish, draw

SIZE_PX = 16


def pixels(kit, name="faces", rate_hz=5):
    return kit.spec(name, "video", rate_hz, shape=(SIZE_PX, SIZE_PX, 3), dtype="uint8")


def faces(kit, rate_hz=5):
    def fill(clip, rows, rng):
        values = rng.integers(0, 255, size=(rows, rate_hz, SIZE_PX, SIZE_PX, 3))
        return kit.Content(values)

    return fill


def sound(kit):
    def fill(clip, rows, rng):
        return kit.Content(0.1 * rng.normal(size=(rows, 100, 160)))

    return fill


@pytest.fixture(scope="module")
def home(kit, tmp_path_factory):
    """Faces, raw sound and MFCC-like vectors of eight people."""
    columns = [
        kit.Column(pixels(kit), faces(kit)),
        kit.Column(kit.spec("waveform", rate_hz=100, shape=(160,)), sound(kit)),
        kit.Column(kit.spec("mel"), kit.mean_signal),
    ]
    clips = [replace(c, audio_label=c.label, video_label="real") for c in kit.make_clips("d", 8, 2)]
    return kit.make_home(tmp_path_factory.mktemp("home"), "d", clips, columns)


OPTIONS = FitOptions(
    folds=2, replicates=0, preset="small", epochs=1, audio="waveform", video="faces",
    fusion="feature",
)  # fmt: skip
WISH = Wish(clips=2, channels=2, replicates=10)


def names(paths):
    return sorted(path.name for path in paths)


def test_finegrained_has_maps_and_a_histogram(home, tmp_path):
    ask = "finegrained:size_px=16,channels=4"
    run = classify.fit(home, replace(OPTIONS, model=ask)).run
    paths = draw(home, [run], tmp_path, WISH)
    assert names(paths) == [f"confusion-{run}.png", f"distance-{run}.png", f"maps-{run}.png",
                            "roc.png"]  # fmt: skip
    assert all(path.stat().st_size > 3000 for path in paths)


def test_distances_are_of_one_fold_which_the_title_names(home, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        figures, "save", lambda figure, path, kinds: drawn.update({path.name: figure}) or []
    )
    run = classify.fit(home, replace(OPTIONS, model="finegrained:size_px=16,channels=4")).run
    draw(home, [f"ours={run}"], tmp_path, WISH)
    (axes,) = drawn[f"distance-{run}"].axes
    assert axes.get_title(loc="left") == "ours, fold 1 of 2"
    counts = [text.get_text() for text in axes.get_legend().get_texts()]
    tested = runs.load(home, run).scores().query("fold == 0 and split == 'test'")
    assert counts == [f"{label} ({(tested['label'] == label).sum()})" for label in ("real", "fake")]
    titles = [axes.get_ylabel() for axes in drawn[f"maps-{run}"].axes]
    shown = {title.partition("\n")[2] for title in titles if "\n" in title}
    assert len(shown) == 2
    assert shown <= {key.partition("/")[2] for key in tested["key"]}
    assert tested[tested["key"].isin([f"d/{clip}" for clip in shown])]["group"].nunique() == 2


def test_syncstream_has_t_sne_and_score_cam_of_all_its_runs_on_the_same_clips(home, tmp_path):
    tiny = "syncstream:width=4,size_px=16,seconds=1"
    joint = classify.fit(home, replace(OPTIONS, model=tiny)).run
    alone = classify.fit(home, replace(OPTIONS, model=f"{tiny},fusion=independent")).run
    paths = draw(home, [f"joint={joint}", f"independent={alone}"], tmp_path, WISH)
    assert names(paths) == sorted(
        ["cam-1.png", "cam-2.png", "roc.png"]
        + [f"{kind}-{run}.png" for kind in ("confusion", "tsne") for run in (joint, alone)]
    )


def test_a_fused_run_brings_its_own(home, tmp_path):
    single = replace(OPTIONS, fusion="none", model="logreg")
    voice = classify.fit(home, replace(single, audio="mel", video=None)).run
    face = classify.fit(home, replace(single, audio=None)).run
    both = classify.fit(home, FitOptions(fusion="decision", runs=(voice, face), replicates=0)).run
    paths = draw(home, [both], tmp_path, WISH)
    assert names(paths) == sorted([*(f"confusion-{r}.png" for r in (voice, face, both)), "roc.png"])


def test_a_run_whose_clips_have_changed_is_refused(kit, tmp_path):
    columns = [
        kit.Column(pixels(kit), faces(kit)),
        kit.Column(kit.spec("waveform", rate_hz=100, shape=(160,)), sound(kit)),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 4, 2), columns)
    ask = "finegrained:size_px=16,channels=4"
    run = classify.fit(home, replace(OPTIONS, model=ask)).run
    clips = read_table(home.clip_table("d"))
    write_table([replace(c, subject=None, group=None) for c in clips], home.clip_table("d"))
    with pytest.raises(InputError, match="have changed since"):
        draw(home, [run], tmp_path / "figures", WISH)


# Single figures


def test_the_four_combinations_are_told_apart():
    assert kind_of("fake", "real", "fake") == KINDS["real", "fake"]
    assert kind_of("fake", None, "fake") == UNKNOWN["fake"]
    assert kind_of("real", "real", "real") == KINDS["real", "real"]
    assert kind_of(None, None, None) is None
    assert len({kind[1:] for kind in [*KINDS.values(), *UNKNOWN.values()]}) == 5  # reals are alike


def test_t_sne_keeps_far_groups_apart_and_repeats_itself():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)) + 20.0 * (np.arange(40) % 2)[:, None]
    points = placed(vectors)
    np.testing.assert_array_equal(points, placed(vectors))
    middles = [points[np.arange(40) % 2 == c].mean(axis=0) for c in (0, 1)]
    spread = max(points[np.arange(40) % 2 == c].std() for c in (0, 1))
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * spread
    with pytest.raises(InputError, match="too few clips"):
        placed(vectors[:4])


def test_a_dot_a_clip_and_a_line_a_combination():
    rng = np.random.default_rng(0)
    kinds = [KINDS["real", "real"]] * 6 + [KINDS["fake", "fake"]] * 4
    figure = embedding_figure(rng.normal(size=(10, 3)), kinds, "a run")
    (axes,) = figure.axes
    assert [len(dots.get_offsets()) for dots in axes.collections] == [6, 4]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "real picture, real sound (6)",
        "fake picture, fake sound (4)",
    ]


def test_histograms_of_both_classes_sum_to_one_over_the_same_bins():
    figure = histogram_figure({"real": np.zeros(30), "fake": np.linspace(0, 1, 50)}, "x")
    (axes,) = figure.axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert [round(sum(each), 9) for each in heights] == [1.0, 1.0]
    assert heights[0][0] == pytest.approx(1.0)
    assert len(heights[0]) == len(heights[1]) == 20


def test_maps_lie_over_the_face_in_its_size():
    face = np.full((32, 24, 3), 7, dtype=np.uint8)
    maps = {name: np.arange(12.0).reshape(4, 3) for name in ("M", "A")}
    figure = maps_figure([Heats("real", face, maps), Heats("fake", face, maps)])
    assert len(figure.axes) == 6
    bare, heat = figure.axes[0], figure.axes[1]
    assert len(bare.images) == 1
    assert [list(image.get_extent()) for image in heat.images] == [[0, 24, 32, 0]] * 2
    assert [axes.get_title() for axes in figure.axes[:3]] == ["face", "M", "A"]


def test_a_measured_map_has_one_range_of_colours_over_all_lines_and_a_bar():
    face = np.zeros((8, 8, 3), dtype=np.uint8)
    rows = [
        Heats("real", face, {"M": np.array([[0.0, 2.0]]), "A": np.array([[5.0, 6.0]])}),
        Heats("fake", face, {"M": np.array([[1.0, 9.0]]), "A": np.array([[7.0, 9.0]])}),
    ]
    figure = maps_figure(rows, ["M"])
    heats = [[axes.images[1].get_clim() for axes in figure.axes[at : at + 2]] for at in (1, 4)]
    assert heats == [[(0.0, 9.0), (5.0, 6.0)], [(0.0, 9.0), (7.0, 9.0)]]
    assert len(figure.axes) == 7
    assert figure.axes[6].get_xlim() == (0.0, 9.0)


def test_a_line_a_run_below_the_bare_pictures():
    pictures = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    rows = [CamRow(name, pictures, np.zeros((3, 8, 8))) for name in ("joint", "shuffled")]
    figure = cam_figure(rows, "fake: d/1")
    assert len(figure.axes) == 9
    assert [axes.get_title(loc="left") for axes in figure.axes[3::3]] == ["joint", "shuffled"]
