"""t-SNE of what a model sees last, by the four combinations of real and fake picture and sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from avfd.clips import FAKE, REAL
from avfd.errors import InputError
from classify.metrics.bootstrap import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE_INCHES = 4.2
FEWEST, PERPLEXITY = 5, 30.0
KINDS = {  # (picture, sound) → (name, colour, marker); the paper writes video + audio
    (REAL, REAL): ("real picture, real sound", "C0", "o"),
    (REAL, FAKE): ("real picture, fake sound", "C2", "^"),
    (FAKE, REAL): ("fake picture, real sound", "C1", "s"),
    (FAKE, FAKE): ("fake picture, fake sound", "C3", "X"),
}
UNKNOWN = {REAL: ("real", "C0", "o"), FAKE: ("fake, of what is not known", "0.4", "P")}


def kind_of(label: str | None, video: str | None, audio: str | None) -> tuple[str, str, str] | None:
    """Name, colour and marker of a clip's combination; None without any label."""
    if video and audio:
        return KINDS[video, audio]
    return UNKNOWN.get(label or "")


def placed(vectors: Floats, seed: int = 0) -> Floats:
    """The vectors [n, numbers] in the plane, [n, 2], by scikit-learn's t-SNE.

    Each number is first brought to mean 0 and deviation 1; neighbours are thirty, or a third of
    the vectors where there are fewer.

    Raises:
        InputError: fewer vectors than FEWEST.
    """
    from sklearn.manifold import TSNE

    if len(vectors) < FEWEST:
        raise InputError(
            "too few clips for a t-SNE", found=f"{len(vectors)}", accepted=f"{FEWEST} or more"
        )
    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(tsne.fit_transform(scaled), dtype=np.float64)


def embedding_figure(
    vectors: Floats, kinds: Sequence[tuple[str, str, str]], title: str = "", seed: int = 0
) -> Figure:
    """One dot a clip, its colour and shape the combination; see `kind_of`."""
    from matplotlib.figure import Figure

    points = placed(vectors, seed)
    figure = Figure(figsize=(SIDE_INCHES * 1.5, SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    order = [*KINDS.values(), *UNKNOWN.values()]
    for kind in sorted(set(kinds), key=order.index):
        at = [i for i, one in enumerate(kinds) if one == kind]
        name, colour, marker = kind
        label = f"{name} ({len(at)})"
        across, up = points[at].T
        axes.scatter(across, up, s=24, color=colour, marker=marker, label=label, linewidths=0)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize="small")
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    return figure
