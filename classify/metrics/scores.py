"""The scores of one run on its clips: what every metric and every comparison starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avfd.clips import LABELS
from avfd.errors import InputError


@dataclass(frozen=True)
class ClipScores:
    """The class probabilities that one run gave its clips, beside the truth.

    Build it with `deepfake_scores` or `emotion_scores`, which check what they are given.

    Attributes:
        keys: clip keys [clips], unique.
        labels: the true class of each clip [clips], each one of `classes`.
        classes: class names in column order; ("real", "fake") for deepfakes.
        probabilities: float64 [clips, classes] in [0, 1]; what stands in the row of an uncovered
            clip is never read.
        covered: bool [clips]; False where the run could not score the clip.
        groups: the group of each clip [clips]; intervals and tests resample whole groups.
        base_rates: float64 [classes], the class frequencies of the training clips.
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    covered: NDArray[np.bool_]
    groups: tuple[str, ...]
    base_rates: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check_lengths(self)
        _check_labels(self)
        _check_probabilities(self)

    @cached_property
    def truth(self) -> NDArray[np.intp]:
        """Index into `classes` of each clip's true class [clips]."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[label] for label in self.labels], dtype=np.intp)

    @cached_property
    def filled(self) -> NDArray[np.float64]:
        """`probabilities` with the training base rates where a clip is not covered."""
        return np.where(self.covered[:, None], self.probabilities, self.base_rates)

    @property
    def is_deepfake(self) -> bool:
        """Whether the classes are real and fake."""
        return self.classes == LABELS

    def take(self, index: NDArray[np.intp]) -> ClipScores:
        """The same run on the clips at those positions, in that order."""
        return ClipScores(
            keys=tuple(self.keys[i] for i in index),
            labels=tuple(self.labels[i] for i in index),
            classes=self.classes,
            probabilities=self.probabilities[index],
            covered=self.covered[index],
            groups=tuple(self.groups[i] for i in index),
            base_rates=self.base_rates,
        )


def deepfake_scores(
    keys: Sequence[str],
    labels: Sequence[str],
    p_fake: ArrayLike,
    *,
    groups: Sequence[str],
    base_rate: float,
    covered: ArrayLike | None = None,
) -> ClipScores:
    """Scores of a real/fake run; fake is the positive class.

    Args:
        keys, labels, groups: [clips]; labels are "real" or "fake".
        p_fake: probability that the clip is fake [clips].
        base_rate: share of fakes among the training clips.
        covered: bool [clips]; all clips where left out.

    Raises:
        InputError: lengths differ, a label is unknown, a probability leaves [0, 1].
    """
    fake = np.asarray(p_fake, dtype=np.float64)
    return emotion_scores(
        keys,
        labels,
        np.stack([1 - fake, fake], axis=1),
        classes=LABELS,
        groups=groups,
        base_rates=[1 - base_rate, base_rate],
        covered=covered,
    )


def emotion_scores(
    keys: Sequence[str],
    labels: Sequence[str],
    probabilities: ArrayLike,
    *,
    classes: Sequence[str],
    groups: Sequence[str],
    base_rates: ArrayLike,
    covered: ArrayLike | None = None,
) -> ClipScores:
    """Scores of a run over any classes; arguments and errors as in `deepfake_scores`.

    Args:
        probabilities: [clips, classes].
        base_rates: class frequencies of the training clips [classes].
    """
    known = np.ones(len(keys), dtype=bool) if covered is None else np.asarray(covered, dtype=bool)
    return ClipScores(
        keys=tuple(keys),
        labels=tuple(labels),
        classes=tuple(classes),
        probabilities=np.asarray(probabilities, dtype=np.float64),
        covered=known,
        groups=tuple(groups),
        base_rates=np.asarray(base_rates, dtype=np.float64),
    )


def _check_lengths(scores: ClipScores) -> None:
    clips, classes = len(scores.keys), len(scores.classes)
    found = {
        "labels": (len(scores.labels),),
        "groups": (len(scores.groups),),
        "covered": scores.covered.shape,
        "probabilities": scores.probabilities.shape,
        "base_rates": scores.base_rates.shape,
    }
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(("labels", "groups", "covered"), (clips,))
    wanted |= {"probabilities": (clips, classes), "base_rates": (classes,)}
    for name, shape in found.items():
        if shape != wanted[name]:
            raise InputError(
                "the shape does not fit the clip keys",
                where=name,
                found=shape,
                accepted=wanted[name],
            )
    twice = sorted(key for key, times in Counter(scores.keys).items() if times > 1)
    if twice:
        raise InputError("clips are scored twice", where="keys", found=", ".join(twice[:10]))


def _check_labels(scores: ClipScores) -> None:
    unknown = sorted({str(label) for label in scores.labels} - set(scores.classes))
    if unknown:
        raise InputError(
            "labels are not among the classes",
            where="labels",
            found=", ".join(unknown),
            accepted=", ".join(scores.classes),
        )


def _check_probabilities(scores: ClipScores) -> None:
    values = scores.probabilities
    wrong = scores.covered & ~((values >= 0) & (values <= 1)).all(axis=1)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{int(wrong.sum())} clips have a score that is no probability",
            where=scores.keys[first],
            found=values[first].tolist(),
            accepted="numbers from 0 to 1",
        )
    if not ((scores.base_rates >= 0) & (scores.base_rates <= 1)).all():
        raise InputError(
            "a base rate is no share",
            where="base_rates",
            found=scores.base_rates.tolist(),
            accepted="numbers from 0 to 1",
        )
