"""Weights that a run trained: for stage 1 with a model card, in `RUN/weights/`; what taught a fold.

Stage 1's are safetensors. Of folds nothing is written for it, but each says what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from avfd import manifest
from avfd.cards import carried
from avfd.home import Home
from avfd.specs import PROSE
from classify.data import Opened
from classify.estimators.starting import TAUGHT_FILE
from classify.model import Model
from classify.run_facts import started_keys, started_media
from classify.sides import Fold, Plan
from classify.taught import known_media, media_of


@runtime_checkable
class Exports(Protocol):
    """An estimator whose network stage 1 can run as a column.

    Attributes:
        weights_name: of its weights there.
        reads: backbone whose column gives it what that column of stage 1 will be made of.
    """

    weights_name: str
    reads: str

    def exported(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name, and the network's own settings."""


def write_weights(folder: Path, model: Model, card: Mapping[str, Any]) -> None:
    """Write what stage 1 can run, each as `<name>.safetensors` beside `<name>.json`.

    The file carries the card too (`avfd.cards`), for whoever copies it alone.

    Args:
        folder: made where anything is written.
        model: of one training; its members that export nothing are passed over.
        card: what stands on every card, see `card_of`; of columns each has its own.
    """
    from safetensors.torch import save

    for member, estimator in exporting(model).items():
        tensors, settings = estimator.exported()
        name = estimator.weights_name
        keys = model.options.members[member].modalities
        own = {about: {k: card[about][k] for k in keys} for about in ("columns", "inputs")}
        facts = {"name": name, "origin": "trained here", "settings": settings, **card, **own}
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.safetensors"
        path.write_bytes(save({n: tensors[n] for n in sorted(tensors)}, carried(facts)))
        stat = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        file = {"sha256": digest, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        text = json.dumps({**facts, "file": file}, indent=2, ensure_ascii=False)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def exporting(model: Model) -> dict[str, Exports]:
    """Member → estimator, of those that export anything."""
    return {name: each for name, each in model.members_.items() if isinstance(each, Exports)}


def unread_notes(models: Sequence[Model], columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each network whose weights an extract would refuse: another column taught it.

    Args:
        models: one a fold; of folds no weights are written.
        columns: as in run.json.
    """
    return [
        f"{each.weights_name} was trained on {columns[key]['name']}, and a column of that name is "
        f"made from {each.reads}: extract will refuse these weights."
        for model in models[: len(models) == 1]
        for member, each in exporting(model).items()
        for key in model.options.members[member].modalities
        if columns[key]["spec"]["name"] != each.reads
    ]


def write_taught(folder: Path, model: Model, plan: Plan, fold: Fold, opened: Opened) -> None:
    """Write which clips a fold's model was trained on, or chosen by, beside it.

    Those of the weights that it began with as well, but for the clips that the fold tests: these
    were found to be none of them before training.
    """
    own, tested = (
        [plan.units[i] for side in sides for i in fold.sides[side].tolist()]
        for sides in (("train", "val"), ("test",))
    )
    apart = media_of(tested, opened)
    keys = {key for unit in own for key in unit.keys} | started_keys([model]) - apart.keys()
    media = {*known_media(own, opened)} | started_media([model]) - set(apart.values())
    facts = {"training_keys": sorted(keys), "training_media": sorted(media)}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / TAUGHT_FILE).write_text(text + "\n", encoding="utf-8")


def card_of(
    home: Home,
    datasets: Sequence[str],
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> dict[str, Any]:
    """The model card: data and their licences, columns, training clips, score with interval.

    `inputs` says of each column that training read how it was made, so that an extract gives the
    network the same and nothing else.

    Args:
        facts: as they stand in run.json.
        metrics: side → report, as in metrics.json.
    """
    found = [manifest.load(home.read_facts(name).layout) for name in datasets]
    return {
        "data": {
            name: {"title": m.title, "licence": m.licence}
            for name, m in zip(datasets, found, strict=True)
        },
        "protocol": facts["protocol"]["name"],
        "target": facts["target"],
        "classes": facts["classes"],
        "columns": {m: c["name"] for m, c in facts["columns"].items()},
        "inputs": {m: _input_facts(c) for m, c in facts["columns"].items()},
        "windows": facts["model"]["windows"],
        "training_keys": facts["training_keys"],
        "training_media": facts["training_media"],
        "scores": metrics,
        "seed": facts["options"]["seed"],
        "versions": facts["versions"],
    }


def _input_facts(column: Mapping[str, Any]) -> dict[str, Any]:
    """Name and fingerprint of a column, and of its spec what decides the numbers.

    Args:
        column: as in run.json.
    """
    spec = {name: value for name, value in column["spec"].items() if name not in PROSE}
    return {"column": column["name"], "fingerprint": column["fingerprint"], "spec": spec}
