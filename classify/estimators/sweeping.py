"""One classifier after the other, each under a time limit, judged on samples held out.

A classifier that takes too long, dies or cannot be saved without pickle says so and loses; the
others go on. Under a limit they run in a process of their own, which is ended when it is over.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError, MissingError
from classify.estimators.light_imports import lazypredict, skops_io

Floats = NDArray[np.float64]
START_SECONDS = 600.0  # for the process to import its libraries
# What a saved classifier may hold beyond what skops trusts itself; none of them runs stored code,
# and the nodes of trees are checked before they are walked.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.tree._tree.Tree",
)
_TOLD: dict[str, dict[str, Any]] = {
    "KNeighborsClassifier": {"algorithm": "brute"},  # its trees cannot be saved safely
    "LGBMClassifier": {"verbosity": -1, "n_jobs": 1, "deterministic": True},
}


@dataclass(frozen=True)
class Task:
    """What every classifier is given.

    Attributes:
        x, y, weights: training samples [n, numbers], NaN where missing.
        held_x, held_y: samples that rank the classifiers.
        seed: of those that draw.
    """

    x: Floats
    y: NDArray[np.intp]
    weights: Floats
    held_x: Floats
    held_y: NDArray[np.intp]
    seed: int


@dataclass(frozen=True)
class Attempt:
    """What became of one classifier.

    Attributes:
        name: its class in scikit-learn or LightGBM.
        balanced_accuracy, auc: on the samples held out; None where it did not work. The AUC of
            more classes is the mean of one against the rest.
        seconds: that it took.
        reason: why it did not work; else empty.
        model: `{"model": pipeline, "calibration": …}` as skops writes it.
    """

    name: str
    balanced_accuracy: float | None = None
    auc: float | None = None
    seconds: float = 0.0
    reason: str = ""
    model: bytes = b""

    @property
    def rank(self) -> tuple[float, float]:
        """By balanced accuracy, as Lazypredict ranks, then by AUC."""
        return (self.balanced_accuracy or 0.0, self.auc or 0.0)


def known() -> dict[str, type[Any]]:
    """Name → class of Lazypredict's classifiers, in its order."""
    return dict(lazypredict().CLASSIFIERS)


def attempts(names: Sequence[str], task: Task, limit_seconds: float) -> Iterator[Attempt]:
    """Every classifier in turn; 0: no limit, in this process."""
    if not limit_seconds:
        for name in names:
            yield attempt(name, task)
        return
    child = _Child(task)
    try:
        for name in names:
            yield child.attempt(name, limit_seconds)
    finally:
        child.end()


def attempt(name: str, task: Task) -> Attempt:
    """Fit, judge and write down one classifier; what it raises is its reason."""
    start = time.monotonic()
    try:
        made = _attempt(name, task)
    except Exception as error:  # whatever a stranger's classifier may raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        made = Attempt(name, reason=first)
    return replace(made, seconds=time.monotonic() - start)


def _attempt(name: str, task: Task) -> Attempt:
    from sklearn.metrics import balanced_accuracy_score
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        model = pipeline(name, task.seed)
        told: dict[str, Any] = {}
        if weighs(model[-1]):
            told["classify__sample_weight"] = task.weights
        model.fit(task.x, task.y, **told)
        parts = {"model": model, "calibration": _calibration(model, task)}
        said = probabilities(parts, task.held_x)
        if not np.isfinite(said).all():
            # Label propagation, whose kernel is 0 between any two vectors of many numbers.
            raise InputError("gives no finite probabilities")
        data = skops_io().dumps(parts)
        again = probabilities(restored(data), task.held_x)
        if not np.allclose(said, again):
            raise InputError("it does not come back from its file as it was")
        accuracy = balanced_accuracy_score(task.held_y, model.predict(task.held_x))
    return Attempt(name, float(accuracy), _auc(task.held_y, said, model.classes_), model=data)


def pipeline(name: str, seed: int) -> Any:
    """Missing → training mean, mean 0 and deviation 1, then the classifier with its defaults."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    kind = known()[name]
    classifier = kind(**_TOLD.get(name, {}))
    if "random_state" in classifier.get_params():
        classifier.set_params(random_state=seed)
    impute = SimpleImputer(strategy="mean", keep_empty_features=True)
    return Pipeline([("impute", impute), ("scale", StandardScaler()), ("classify", classifier)])


def weighs(classifier: Any) -> bool:
    """Whether a classifier, or its class, can be told how much each sample counts."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(classifier, "sample_weight"))


def _calibration(model: Any, task: Task) -> Any:
    """Margins → probabilities, learnt on the samples held out; None where there are some."""
    from sklearn.linear_model import LogisticRegression

    if hasattr(model, "predict_proba"):
        return None
    return LogisticRegression(max_iter=2000).fit(_margins(model, task.held_x), task.held_y)


def _margins(model: Any, x: Floats) -> Floats:
    values = np.asarray(model.decision_function(x), dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def probabilities(parts: dict[str, Any], x: Floats) -> Floats:
    """Class probabilities [samples, classes that trained]."""
    model, calibration = parts["model"], parts["calibration"]
    if calibration is None:
        return np.asarray(model.predict_proba(x), dtype=np.float64)
    return np.asarray(calibration.predict_proba(_margins(model, x)), dtype=np.float64)


def _auc(y: NDArray[np.intp], p: Floats, classes: NDArray[np.intp]) -> float | None:
    """Area under the ROC curve; of more classes the mean over those that occur."""
    from sklearn.metrics import roc_auc_score

    areas = [
        float(roc_auc_score(y == c, p[:, i]))
        for i, c in enumerate(classes)
        if 0 < (y == c).sum() < len(y)
    ]
    return areas[-1] if len(classes) == 2 and areas else float(np.mean(areas)) if areas else None


def restored(data: bytes) -> dict[str, Any]:
    """A classifier from what skops wrote; types that none of ours has are refused.

    Raises:
        InputError: such types, or trees whose nodes point out of them.
    """
    io = skops_io()
    strange = sorted(set(io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if strange:
        raise InputError(
            "the saved model holds types that no avfd model has; it was not loaded",
            found=", ".join(strange),
            accepted="models written by avfd",
        )
    parts: dict[str, Any] = io.loads(data, trusted=list(TRUSTED_TYPES))
    check_trees(parts["model"][-1])
    return parts


def check_trees(classifier: Any) -> None:
    """Refuse trees that would be walked out of: children and columns must be there."""
    single = [classifier] if hasattr(classifier, "tree_") else []
    for member in [*single, *getattr(classifier, "estimators_", [])]:
        tree = getattr(member, "tree_", None)
        if tree is None:
            continue
        left, right, column = tree.children_left, tree.children_right, tree.feature
        inner = left >= 0
        down = (left[inner] > np.flatnonzero(inner)) & (right[inner] > np.flatnonzero(inner))
        inside = (left[inner] < tree.node_count) & (right[inner] < tree.node_count)
        seen = (column[inner] >= 0) & (column[inner] < tree.n_features)
        if not (down.all() and inside.all() and seen.all() and (left[~inner] == -1).all()):
            raise InputError("a tree of the saved model is broken; it was not loaded")


class _Child:
    """A process that tries classifiers; ended and started anew when one takes too long."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process: Any = None
        self._pipe: Connection | None = None

    def attempt(self, name: str, limit_seconds: float) -> Attempt:
        """The attempt, or why there is none."""
        try:
            pipe = self._ready()
            pipe.send(name)
            if not pipe.poll(limit_seconds):
                self.end()
                return Attempt(name, seconds=limit_seconds, reason=f"over {limit_seconds:g} s")
            made: Attempt = pipe.recv()
        except (EOFError, OSError):
            self.end()
            return Attempt(name, reason="its process died")
        return made

    def _ready(self) -> Connection:
        """The process, its libraries imported: that does not count against the limit."""
        if self._pipe is not None:
            return self._pipe
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._task), daemon=True)
        with _quiet_main():
            self._process.start()
        theirs.close()
        if not ours.poll(START_SECONDS):
            raise MissingError("the process for the classifiers did not start", where="sweep")
        ours.recv()
        self._pipe = ours
        return ours

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process, self._pipe = None, None


@contextmanager
def _quiet_main() -> Iterator[None]:
    """Start a process without its running the caller's script again."""
    import sys

    main = sys.modules["__main__"]
    kept = {name: getattr(main, name, None) for name in ("__file__", "__spec__")}
    try:
        for name in kept:
            setattr(main, name, None)
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _serve(pipe: Connection, task: Task) -> None:
    """The process: a name in, an attempt out, until its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    known()
    with suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            pipe.send(attempt(pipe.recv(), task))
