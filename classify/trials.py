"""`--trials N`: settings searched with optuna, judged on the validation side alone.

Every member of a model is searched by itself, in every fold anew: a fold's test clips are other
folds' validation clips, so one search for all folds would choose by the clips that it is scored on.
Trials are kept in a journal file of the home; the same question asked again goes on where it
stopped, and a search that was interrupted gives the same trials as one that was not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avfd.asks import parse, spelled
from avfd.errors import AvfdError, InputError
from classify import estimators
from classify.estimators.settings import Span
from classify.features import Index, Samples
from classify.model import MemberOptions, Model, ModelOptions, Starts
from classify.watching import Trial, tell
from classify.windows import Floats

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial as Asked


@dataclass(frozen=True)
class Search:
    """What a search is given beside the clips.

    Attributes:
        trials: how many settings are tried.
        folder: where the journals lie.
        data: what else tells this question from another: the columns' fingerprints, say.
        starts: weights that training begins with.
    """

    trials: int
    folder: Path
    data: Mapping[str, Any]
    starts: Starts = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a search found for one member.

    Attributes:
        model: the ask that holds the best settings.
        quality: of the best on validation: AUC, of more classes the mean of one against the rest.
        chosen: setting → value, of those searched.
        tried, failed: trials in all, and those whose settings did not work.
        journal: file name of the trials.
    """

    model: str
    quality: float
    chosen: Mapping[str, Any]
    tried: int
    failed: int
    journal: str


def searched(
    options: ModelOptions, training: Samples, validation: Samples | None, search: Search
) -> tuple[ModelOptions, dict[str, Found]]:
    """The model with the best settings found for every member that has any to search.

    Raises:
        InputError: no validation clips, or of one class only; nothing to search; no trial worked.
    """
    _check(options, validation)
    assert validation is not None
    found: dict[str, Found] = {}
    for name, member in options.members.items():
        if _space(member):
            found[name] = _best(name, options, training, validation, search)
    members = {
        name: replace(m, model=found[name].model) if name in found else m
        for name, m in options.members.items()
    }
    return replace(options, members=members), found


def _check(options: ModelOptions, validation: Samples | None) -> None:
    if not any(_space(member) for member in options.members.values()):
        raise InputError(
            "there is nothing to search",
            where="--trials",
            found=", ".join(m.model for m in options.members.values()),
            next_step="leave settings open, or take a model that has some",
        )
    y = np.array([], dtype=np.intp) if validation is None else validation.y
    if len(np.unique(y[y >= 0])) < options.estimator.classes:
        raise InputError(
            "trials are judged on validation clips of every class",
            where="validation side",
            found=f"{len(y)} clips of {len(np.unique(y[y >= 0]))} classes",
            accepted=f"{options.estimator.classes} classes",
            next_step="take a protocol with a validation side, or three folds or more",
        )


def _space(member: MemberOptions) -> dict[str, Span | tuple[Any, ...]]:
    """What is searched: the estimator's space without what the user has set."""
    given = parse(member.model).options
    space = estimators.kind_of(member.name).search
    return {name: values for name, values in space.items() if name not in given}


def _best(
    name: str, options: ModelOptions, training: Samples, validation: Samples, search: Search
) -> Found:
    """Run what is missing of the trials of one member, and take the best of all."""
    member = options.members[name]
    alone = ModelOptions({name: member}, "mean", options.estimator, options.windows)
    journal = _journal(alone, training, validation, search)
    study = _study(search.folder / journal)
    finished = [t for t in study.trials if t.state.is_finished()]
    for number in range(len(finished), search.trials):
        _try(study, number, alone, training, validation, search)
    done = [t for t in study.trials if t.state.is_finished()][: search.trials]
    worked = [(t.value, t) for t in done if t.value is not None]
    if not worked:
        raise InputError(
            "no trial worked",
            where=f"--trials, {member.model}",
            found=str(done[-1].user_attrs.get("error", "")),
        )
    quality, best = max(worked, key=lambda pair: pair[0])  # of equals the first
    return Found(
        model=_asked(member, best.params),
        quality=quality,
        chosen=best.params,
        tried=len(done),
        failed=len(done) - len(worked),
        journal=journal,
    )


def _try(
    study: Study,
    number: int,
    options: ModelOptions,
    training: Samples,
    validation: Samples,
    search: Search,
) -> None:
    """One trial; its number seeds the sampler, so that going on is like never having stopped."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    ((name, member),) = options.members.items()
    study.sampler = TPESampler(seed=options.estimator.seed + number)
    trial = study.ask()
    chosen = {key: _suggested(trial, key, values) for key, values in _space(member).items()}
    asked = replace(member, model=_asked(member, chosen))
    quality: float | None = None
    try:
        trained = Model(replace(options, members={name: asked}), search.starts)
        model = trained.fit(training, validation)
        quality = quality_of(model.score(validation).probabilities, validation.y)
    except AvfdError as error:
        trial.set_user_attr("error", str(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, quality)
    values = [t.value for t in study.trials if t.value is not None]
    tell(Trial(name, number + 1, search.trials, quality, max(values, default=None)))


def _suggested(trial: Asked, name: str, values: Span | tuple[Any, ...]) -> Any:
    if not isinstance(values, Span):
        return trial.suggest_categorical(name, values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def quality_of(p: Floats, y: Index) -> float:
    """AUC of the scored, labelled samples; of more classes the mean of one against the rest.

    0 where scores are missing so that a class is not there at all.
    """
    from sklearn.metrics import roc_auc_score

    known = (y >= 0) & ~np.isnan(p).any(axis=1)
    if len(np.unique(y[known])) < p.shape[1]:
        return 0.0
    if p.shape[1] == 2:
        return float(roc_auc_score(y[known], p[known, 1]))
    return float(roc_auc_score(y[known], p[known], multi_class="ovr"))


def _asked(member: MemberOptions, chosen: Mapping[str, Any]) -> str:
    return spelled(member.name, {**parse(member.model).options, **chosen})


def _journal(options: ModelOptions, training: Samples, validation: Samples, search: Search) -> str:
    """File name of the question: another model, other clips or columns make another one."""
    sides = [[list(s.keys), s.y.tolist(), sorted(s.features)] for s in (training, validation)]
    question = {"model": asdict(options), "sides": sides, "data": dict(search.data)}
    text = json.dumps(question, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    ((_, member),) = options.members.items()
    return f"{member.name}-{digest}.journal"


def _study(path: Path) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name=path.stem,
        direction="maximize",
        load_if_exists=True,
    )
