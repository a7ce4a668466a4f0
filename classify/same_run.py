"""Is there a finished run of exactly this? Then nothing is fitted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from avfd import runs
from avfd.home import Home
from avfd.runs import Run
from classify.apply import FUSED
from classify.choice import FitOptions
from classify.provenance import versions
from classify.run_facts import content_of

if TYPE_CHECKING:
    from classify.fit import Prepared

_OF_NO_MATTER = ("device", "runs")  # where it runs; fused runs are compared by their ids


def same_fit(home: Home, options: FitOptions, prepared: Prepared) -> Run | None:
    """The newest run with the same options, settings, clips, labels, sides and columns.

    Written by the same version of avfd; seeds and budgets are options too.
    """
    content = content_of(prepared)
    settings = _plain(prepared.model.settings)
    for run in _runs(home, options):
        facts = run.facts
        if facts.get("content") == content and facts.get("settings") == settings:
            return run
    return None


def same_fusion(home: Home, options: FitOptions, members: Sequence[Run]) -> Run | None:
    """The newest run that fused these runs, in this order, by the same rule."""
    wanted = [run.facts["id"] for run in members]
    for run in _runs(home, options):
        if run.facts["kind"] == FUSED and run.facts["run_ids"] == wanted:
            return run
    return None


def _runs(home: Home, options: FitOptions) -> Iterator[Run]:
    """Runs of the same options by the same version, the newest first."""
    wanted, version = _asked(asdict(options)), versions()["avfd"]
    folders = [home.runs_dir / name for name in runs.names(home)]
    for folder in sorted(folders, key=lambda f: (f / runs.RUN_FILE).stat().st_mtime_ns)[::-1]:
        facts = json.loads((folder / runs.RUN_FILE).read_text())
        known = facts.get("format_version") == runs.FORMAT_VERSION
        if known and facts["versions"]["avfd"] == version and _asked(facts["options"]) == wanted:
            yield Run(folder, facts)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for; an option that a run does not know yet has its default."""
    whole = {**_plain(asdict(FitOptions())), **_plain(options)}
    return {name: value for name, value in whole.items() if name not in _OF_NO_MATTER}


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))
