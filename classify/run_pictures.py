"""`avfd figures`: pictures of finished runs as the papers draw them, as far as the models offer it.

ROC curves of several runs beside each other, confusion matrices; t-SNE of the fused representation
(`avt2dwf`, `syncstream`), histograms of the distance map and the maps over the face
(`finegrained`), Score-CAM of the video stream (`syncstream`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from avfd import runs
from avfd.clips import LABELS
from avfd.errors import InputError
from avfd.home import Home
from avfd.runs import Run
from classify.apply import fitted_runs, fold_dirs, members_of
from classify.choice import FitOptions
from classify.columns import Unit
from classify.evaluate import stored_scores
from classify.features import Features, Samples
from classify.figures_choice import clips_to_draw
from classify.metrics import BootstrapOptions, measure
from classify.metrics.bootstrap import Floats
from classify.model import Model
from classify.run_facts import content_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classify.estimators.base import Estimator
    from classify.estimators.finegrained import FineGrained
    from classify.estimators.syncstream import SyncStream
    from classify.figures_maps import Heats

MAPS = {"M": "distance", "A": "attention", "M̂": "weighted"}
DISTANCES = ("M", "M̂")  # of which clips are compared: each in one range of colours
SHOWN_PICTURES = 5
LEGEND_LETTERS = 30
CLIP_LETTERS = 24


@dataclass(frozen=True)
class Wish:
    """How much is drawn.

    Attributes:
        clips: of which single pictures are drawn; see `figures_choice.clips_to_draw`.
        channels: of Score-CAM, the strongest; 0: all (512 of the paper's network).
        replicates: of the ROC curves' bands.
        seed: of t-SNE and bands.
    """

    clips: int = 4
    channels: int = 64
    replicates: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Tested:
    """What one model of a run is tested on.

    Attributes:
        name, label: of the run, and what it is called in pictures.
        fold: number of the fold, and how many there are.
        estimator: the model.
        features: modality → sequences of the test samples.
        units, samples: the same samples, with labels and keys.
    """

    name: str
    label: str
    fold: tuple[int, int]
    estimator: Estimator
    features: Features
    units: Sequence[Unit]
    samples: Samples


def draw(home: Home, asked: Sequence[str], into: Path, wish: Wish | None = None) -> list[Path]:
    """Draw everything that these runs offer; the paths written.

    A fused run brings the runs that it joins.

    Args:
        asked: runs by name or folder, or as `LABEL=RUN`, the label then standing in the pictures.
        into: the folder, made where it is not there.

    Raises:
        InputError: a run whose clips or columns have changed since it was fitted.
        MissingError: no such run.
    """
    from classify.figures import save

    told = wish or Wish()
    words = [text.rpartition("=") for text in asked]
    loaded = {name: runs.load(home, name) for _, _, name in words}
    labels = {loaded[name].name: label for label, _, name in words if label}
    into.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for stem, figure in _figures(home, list(loaded.values()), labels, told):
        paths += save(figure, into / stem, ("png",))
    return paths


def _figures(
    home: Home, loaded: Sequence[Run], labels: Mapping[str, str], wish: Wish
) -> Iterator[tuple[str, Figure]]:
    """File name → figure."""
    compared = {m.name: m for run in loaded for m in (*members_of(home, run), run)}
    yield from _curves(list(compared.values()), labels, wish)
    fitted = {one.name: one for run in loaded for one in fitted_runs(home, run)}
    looking: list[Tested] = []
    for run in fitted.values():
        offers = {"joined", "fused", "maps"} & _offers(run)
        if not offers:
            continue
        first = _first_tested(home, run, labels.get(run.name, run.name))
        yield from _embedding(first, wish)
        if "maps" in offers:
            yield from _maps(first, wish)
        if "joined" in offers and "video" in first.features:
            looking.append(first)
    if looking:
        yield from _cams(looking, wish)


def _offers(run: Run) -> set[str]:
    """What the run's estimators can show, told without loading any."""
    from avfd.asks import parse
    from classify.estimators.base import kind_of

    kinds = [kind_of(parse(m["model"]).name) for m in run.facts["model"]["members"].values()]
    return {name for kind in kinds for name in ("joined", "fused", "maps") if hasattr(kind, name)}


def _curves(
    loaded: Sequence[Run], labels: Mapping[str, str], wish: Wish
) -> Iterator[tuple[str, Figure]]:
    """ROC of all runs that have one, in one picture; a confusion matrix each."""
    from classify.figures import confusion_figure, roc_figure

    scores = {run.name: stored_scores(run) for run in loaded if "test" in run.metrics}
    both = {n: s for n, s in scores.items() if s.is_deepfake and set(s.labels) == set(LABELS)}
    if both:
        named = {labels.get(name) or _short(name): one for name, one in both.items()}
        yield "roc", roc_figure(named, BootstrapOptions(wish.replicates, wish.seed))
    for name, one in scores.items():
        report = measure(one, BootstrapOptions(replicates=0))
        yield f"confusion-{name}", confusion_figure(report.all, report.classes)


def _short(name: str) -> str:
    """A run's name as a legend holds it: its middle may go, its ends tell it from others."""
    return name if len(name) <= LEGEND_LETTERS else f"{name[:14]}…{name[-14:]}"


def _first_tested(home: Home, run: Run, label: str) -> Tested:
    """The run's model with its test samples; of folds the first."""
    from classify.fit import prepare

    prepared = prepare(home, _options(run))
    known = run.facts.get("content")
    if known is not None and known != content_of(prepared):
        raise InputError(
            "the clips or columns have changed since the run was fitted",
            where=run.name,
            next_step="fit it again",
        )
    folders = fold_dirs(run)
    fold, model = prepared.plan.folds[0], Model.load(folders[0])
    ((name, estimator),) = list(model.members_.items())[:1]
    index = fold.sides["test"] if len(fold.sides["test"]) else fold.sides["val"]
    samples = prepared.samples.take(index).only(model.options.members[name].modalities)
    units = [prepared.plan.units[i] for i in index.tolist()]
    place = (fold.number + 1, len(folders))
    return Tested(run.name, label, place, estimator, samples.features, units, samples)


def _options(run: Run) -> FitOptions:
    """What the run was asked for."""
    given = json.loads(json.dumps(run.facts["options"]))
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return replace(FitOptions(**made), replicates=0)


def _title(tested: Tested) -> str:
    fold, folds = tested.fold
    return f"{tested.label}, fold {fold} of {folds}" if folds > 1 else tested.label


def _embedding(tested: Tested, wish: Wish) -> Iterator[tuple[str, Figure]]:
    """t-SNE of the test clips; of folds the first alone, for each has a space of its own."""
    from classify.figures_embedding import FEWEST, embedding_figure, kind_of

    estimator = cast("Any", tested.estimator)
    seen = getattr(estimator, "joined", None) or getattr(estimator, "fused", None)
    if seen is None:
        return
    vectors: Floats = seen(tested.features)
    kinds = [kind_of(u.label, u.video_label, u.audio_label) for u in tested.units]
    kept = [i for i, k in enumerate(kinds) if k and not np.isnan(vectors[i]).any()]
    if len(kept) >= FEWEST:
        known = [k for i in kept if (k := kinds[i])]
        yield (
            f"tsne-{tested.name}",
            embedding_figure(vectors[kept], known, _title(tested), wish.seed),
        )


def _maps(tested: Tested, wish: Wish) -> Iterator[tuple[str, Figure]]:
    """Histogram of the mean of M̂, maps of a few clips; of folds of the first alone.

    Distances of two models are on two scales: side by side they would show the folds.
    """
    from classify.figures_maps import histogram_figure, maps_figure

    looked = _looked(tested)
    means: dict[str, list[float]] = {label: [] for label in LABELS}
    for sample, seconds in looked.items():
        label = tested.units[sample].label
        if label in means:
            means[label].append(float(np.mean([o["weighted"].mean() for _, o in seconds])))
    made = {label: np.array(values) for label, values in means.items()}
    if sum(map(len, made.values())):
        figure = histogram_figure(made, "Mean of M̂", _title(tested))
        yield f"distance-{tested.name}", figure
    shown = clips_to_draw(tested.units, sorted(looked), wish.clips)
    rows = [_heats(tested, i, looked[i]) for i in shown]
    if rows:
        yield f"maps-{tested.name}", maps_figure(rows, DISTANCES)


def _looked(tested: Tested) -> dict[int, list[tuple[int, dict[str, Any]]]]:
    """Sample → its seconds with their maps."""
    estimator = cast("FineGrained", tested.estimator)
    found: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for sample, seconds, out in estimator.maps(tested.features):
        for at, second in enumerate(seconds):
            maps = {name: getattr(out, name)[at] for name in MAPS.values()}
            found.setdefault(sample, []).append((second, maps))
    return found


def _heats(tested: Tested, sample: int, seconds: Sequence[tuple[int, Mapping[str, Any]]]) -> Heats:
    """The middle second of a clip: its middle face and the maps."""
    from classify.figures_maps import Heats

    second, maps = seconds[len(seconds) // 2]
    slots = tested.features["video"].native(sample)
    there = np.flatnonzero(slots.valid[second])
    face = slots.values[second, there[len(there) // 2]]
    unit = tested.units[sample]
    clip = unit.keys[0].partition("/")[2]
    title = f"{unit.label}\n{clip if len(clip) <= CLIP_LETTERS else f'…{clip[1 - CLIP_LETTERS :]}'}"
    return Heats(title, face, {name: maps[key] for name, key in MAPS.items()})


def _cams(tested: Sequence[Tested], wish: Wish) -> Iterator[tuple[str, Figure]]:
    """What each run's video stream looks at in the same clips."""
    from classify.figures_cam import CamRow, cam_figure

    shared = set.intersection(*({u.keys[0] for u in one.units} for one in tested))
    first = tested[0]
    places = [i for i, u in enumerate(first.units) if u.keys[0] in shared]
    for number, i in enumerate(clips_to_draw(first.units, places, wish.clips)):
        key = first.units[i].keys[0]
        rows = []
        for one in tested:
            own = next(j for j, u in enumerate(one.units) if u.keys[0] == key)
            found = _heat(one, own, wish.channels)
            if found is not None:
                rows.append(CamRow(_title(one), *found))
        if rows:
            unit = first.units[i]
            yield f"cam-{number + 1}", cam_figure(rows, f"{unit.label}: {key}")


def _heat(tested: Tested, sample: int, channels: int) -> tuple[Any, Any] | None:
    """Some pictures of a clip and the heat over them; None where it has no picture."""
    import torch

    from classify.estimators.training import device_of
    from classify.score_cam import score_cam

    estimator = cast("SyncStream", tested.estimator)
    network = estimator.module_
    video, head = network.video, network.video_head
    one = {m: s[np.array([sample])] for m, s in tested.features.items()}
    found = next(iter(estimator.pictures(one)), None)
    if found is None or video is None or head is None:
        return None
    device = device_of(estimator.options.device, strict=False)
    network.to(device)
    film, mask = torch.from_numpy(found.seen), torch.from_numpy(found.mask)
    x = network.seen(film[None].to(device), mask[None].to(device))[0]
    heat = score_cam(
        x,
        lambda one: video.layers(one)[-1],
        lambda films: head(video(films))[:, 1],
        channels=channels,
    )
    there = np.flatnonzero(found.mask)
    shown = there[np.linspace(0, len(there) - 1, min(SHOWN_PICTURES, len(there))).astype(int)]
    return found.faces[shown], heat.cpu().numpy()[shown]
