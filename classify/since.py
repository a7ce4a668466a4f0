"""Clips that came to a run's own data set after its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avfd.clips import read_table
from avfd.errors import AvfdError
from avfd.home import Home
from avfd.manifest import SIDES
from avfd.runs import Run
from classify.apply import fitted_runs
from classify.columns import Unit
from classify.data import Opened
from classify.protocols import as_test
from classify.protocols.crossing import WORDS
from classify.sides import assigned, protocol_of, side_units

Sides = Mapping[str, Sequence[Unit]]
_NAMED = 3


def own_dataset(home: Home, run: Run) -> str | None:
    """The only data set of a run that one protocol or plain folds split; None for others."""
    told = next(fitted_runs(home, run)).facts["options"]
    datasets = run.facts["datasets"]
    crossed = told["test_datasets"] or told["leave_out"] or run.facts["protocol"]["name"] in WORDS
    return str(datasets[0]) if len(datasets) == 1 and not crossed else None


def sides_now(home: Home, run: Run, dataset: str, opened: Opened) -> Sides:
    """Side → units, of the clips that are indexed now, by the run's own protocol.

    Of a run with folds every clip is on the test side.
    """
    told = next(fitted_runs(home, run)).facts["options"]
    target = run.facts["target"]
    clips = read_table(home.clip_table(dataset))
    if told["folds"]:
        named = [c for c in clips if (c.label if target == "deepfake" else c.emotion) is not None]
        split = as_test(named, target=target)
    else:
        protocol = protocol_of(home, [dataset], run.facts["protocol"]["name"])
        seed = told["split_seed"]
        split = assigned(home, opened.readers, clips, protocol, target=target, seed=seed)
    classes = set(run.facts["classes"])
    return {
        side: [unit for unit in side_units(split, side) if unit.label in classes] for side in SIDES
    }


def since_notes(home: Home, run: Run, split: str, scored: Sequence[str]) -> list[str]:
    """A sentence where the run's own data set has clips now that its stored scores have not.

    Args:
        split: the side that is evaluated, or "all".
        scored: keys of the stored scores of that side.
    """
    try:
        dataset = own_dataset(home, run)  # of a fused run the runs below it are asked
        if dataset is None:
            return []
        sides = sides_now(home, run, dataset, Opened.at(home, [dataset]))
    except (AvfdError, OSError) as error:
        return [f"Whether clips were indexed since is not known: {error}"]
    asked = SIDES if split == "all" else (split,)
    known = set(scored)
    came = sorted({u.keys[0] for side in asked for u in sides[side]} - known)
    if not came:
        return []
    return [f"{len(came)} clips indexed since are not in it: {', '.join(came[:_NAMED])}."]
