"""Every system on forgeries of real clips, whose people it never saw.

    python -m benchmarks.forged --root CLIPS --table CLIPS.csv --folder DIR [--set voices swaps …]

CLIPS.csv has path, label and subject; only clips labelled real are forged from. A person must have
one subject: who stands in two would stand on two sides. DIR takes the home (columns, runs) and the
forgeries; nothing of either enters the project. Run again, it goes on where it stopped: files,
columns and runs that are there are used, whatever else was asked for then.

For each set of `forged_systems.SETS`: forge with real twins, extract `COLUMNS`, and fit every
system in K folds by group. Each fold tests on its part, validates on the next one and trains on
the others; no model sees more. A system's line pools the folds' test clips. In each fold the
system that is best on validation is chosen, and the line of the chosen ones is the answer; what
networks stop early on is the same validation side, so the choice favours them a little.

Seconds are scored against the exact segments: fake if half of the second is, left out if less,
but some, is. A track's label says whether that track is fake; systems with a verdict on tracks are
asked for that verdict. The set "real" is the clips as they were found, real and fake, whose
sources differ: it shows that every system runs.

Results go to benchmarks/results/forged.json and forged.md; a set's figures replace its earlier
ones.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from avfd import runs
from avfd.clips import FAKE, REAL, Clip, read_table
from avfd.errors import AvfdError
from avfd.home import Home
from avfd.runs import Run
from benchmarks.forged_lines import report
from benchmarks.forged_probe import probed
from benchmarks.forged_scores import (
    PARTS,
    auc,
    choose,
    clip_verdicts,
    followed,
    second_verdicts,
    validated,
)
from benchmarks.forged_systems import COLUMNS, SETS, ForgedSet, System, chosen
from benchmarks.helpers import RESULTS, write_result
from classify import FitOptions, fit
from classify.fit import prepare
from classify.metrics import BootstrapOptions
from classify.same_run import same_fit, same_fusion
from extract.backbones import load_all
from extract.forge import ForgeOptions, forge
from extract.index import index_dataset
from extract.run import extract_columns

REALS = "real"
Tables = dict[str, pd.DataFrame]


def make(home: Home, made: ForgedSet, folder: Path, options: argparse.Namespace) -> None:
    """Forge and index a set that is not there yet, and fill its columns."""
    into = folder / made.name
    if made.kinds and made.name not in home.datasets():
        told = ForgeOptions(
            made.kinds,
            made.extent,  # type: ignore[arg-type]
            longest_seconds=options.longest,
            variants=made.variants,
            vocoder=made.vocoder,
            seed=options.seed,
        )
        done = forge(home, REALS, into, told)
        say(f"{made.name}: {done.fakes} fakes, {len(done.skipped)} skipped")
        index_dataset(home, made.name, into, table=done.table)
    extract_columns(home, made.name, COLUMNS)


def fitted(
    home: Home, system: System, made: ForgedSet, there: Mapping[str, Run], options: Any
) -> Run:
    """The system's run: a finished one, or a new one."""
    members = [there[name] for name in system.fuses]
    told = system.options(
        made.name, options.folds, options.epochs, [member.name for member in members]
    )
    known = same_fusion(home, told, members) if members else _known(home, told)
    return known or runs.load(home, fit(home, told).run)


def _known(home: Home, told: FitOptions) -> Run | None:
    return same_fit(home, told, prepare(home, told))


def measured(home: Home, made: ForgedSet, options: argparse.Namespace) -> dict[str, Any]:
    """Every number of a set, as JSON."""
    table = read_table(home.clip_table(made.name))
    clips = {clip.key: clip for clip in table if clip.label and not clip.problem}
    drawn = BootstrapOptions(options.replicates, options.seed)
    there: dict[str, Run] = {}
    tables: dict[str, Tables] = {part: {} for part in ("whole", *PARTS, "seconds")}
    lines = []
    parts = [part for part in PARTS if _differs(list(clips.values()), part)]
    for system in chosen(options.systems):
        started = time.perf_counter()
        try:
            run = there[system.name] = fitted(home, system, made, there, options)
        except (AvfdError, KeyError) as error:
            say(f"{made.name}: {system.name}: {error}")
            continue
        for part in ("whole", *parts):
            tables[part][system.name] = clip_verdicts(run, clips, part)
        if (seconds := second_verdicts(run, clips)) is not None:
            tables["seconds"][system.name] = seconds
        found = {
            p: asdict(auc(t[system.name], drawn)) for p, t in tables.items() if system.name in t
        }
        validation = validated(tables["whole"][system.name])
        lines.append(
            {
                "system": system.name,
                "sees": system.sees,
                "validation": validation,
                "run": run.name,
                "auc": found,
            }
        )
        took = time.perf_counter() - started
        say(f"{made.name}: {system.name}: {found['whole']['value']:.3f}, {took:.0f} s")
    root = Path(home.read_facts(made.name).root)
    return {
        "title": made.title,
        "aim": made.aim,
        "facts": facts_of(made.name, list(clips.values()), options),
        "probe": asdict(auc(probed(list(clips.values()), root, options.folds), drawn)),
        "lines": sorted(lines, key=lambda line: -line["validation"]),
        "chosen": nested(tables, clips, drawn),
    }


def nested(
    tables: Mapping[str, Tables], clips: Mapping[str, Clip], drawn: BootstrapOptions
) -> dict[str, Any]:
    """What the systems say that validation chose: for clips, and for seconds by themselves."""
    names, seconds = choose(tables["whole"]), choose(tables["seconds"])
    found = {part: followed(names, t) for part, t in tables.items() if t and part != "seconds"}
    found |= {"seconds": followed(seconds, tables["seconds"])} if seconds else {}
    whole = found["whole"]
    kinds = kinds_of(clips)  # of clips as they were found: none
    of_row = [kinds.get(key) for key in whole["key"]]
    return {
        "names": {str(fold): name for fold, name in names.items()},
        "second_names": {str(fold): name for fold, name in seconds.items()},
        "auc": {part: asdict(auc(table, drawn)) for part, table in found.items()},
        "kinds": {
            kind: asdict(auc(whole[[k == kind for k in of_row]], drawn))
            for kind in sorted(set(kinds.values()))
        },
    }


def kinds_of(clips: Mapping[str, Clip]) -> dict[str, str]:
    """Clip → its kind of forgery, and whether the fake is fake in whole or in part.

    A fake and its twin are files of one name. Clips that were not forged have none.
    """
    extent = {}
    for key, clip in clips.items():
        if clip.label == FAKE and clip.fake_segments:
            start, end = clip.fake_segments[0]
            local = end - start < clip.seconds - 0.5
            extent[Path(key).name] = "in part" if local else "whole"
    return {
        key: f"{clip.method} {extent[Path(key).name]}"
        for key, clip in clips.items()
        if Path(key).name in extent
    }


def _differs(clips: Sequence[Clip], part: str) -> bool:
    """Whether a track's labels are other than those of the clips, and of both classes."""
    labels = [clip.audio_label if part == "audio" else clip.video_label for clip in clips]
    return FAKE in labels and labels != [clip.label for clip in clips]


def facts_of(name: str, clips: Sequence[Clip], options: argparse.Namespace) -> dict[str, Any]:
    """How, when and on what it was measured."""
    return {
        "command": "python -m benchmarks.forged --root CLIPS --table CLIPS.csv --folder DIR "
        f"--set {name}",
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), no GPU",
        "fakes": sum(clip.label == FAKE for clip in clips),
        "reals": sum(clip.label == REAL for clip in clips),
        "people": len({clip.subject for clip in clips}),
        "groups": len({clip.group for clip in clips}),
        "folds": options.folds,
        "epochs": options.epochs,
        "longest": options.longest,
        "seed": options.seed,
        "replicates": options.replicates,
    }


def say(words: str) -> None:
    """A line for whoever waits."""
    print(words, file=sys.stderr, flush=True)


def store(name: str, found: Mapping[str, Any]) -> None:
    """Put a set's figures in place of its earlier ones."""
    path = RESULTS / "forged.json"
    before = json.loads(path.read_text())["sets"] if path.is_file() else {}
    sets = {**before, name: found}
    write_result("forged", {"sets": {s.name: sets[s.name] for s in SETS if s.name in sets}})
    (RESULTS / "forged.md").write_text(report(json.loads(path.read_text())))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the real clips")
    parser.add_argument("--table", type=Path, required=True, help="path, label and subject of each")
    parser.add_argument("--folder", type=Path, required=True, help="for the home and the forgeries")
    parser.add_argument("--set", nargs="+", choices=[s.name for s in SETS], help="default: all")
    parser.add_argument("--systems", nargs="+", metavar="WORD", help="with a word in their name")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8, help="of networks, at the most")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds of a clip")
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    load_all()
    home = Home.at(options.folder / "home").writable()
    if REALS not in home.datasets():
        index_dataset(
            home,
            REALS,
            options.root,
            table=options.table,
            path_column="path",
            label_column="label",
            subject_column="subject",
        )
    extract_columns(home, REALS, ["face_track"])
    for made in SETS:
        if options.set is None or made.name in options.set:
            make(home, made, options.folder, options)
            store(made.name, measured(home, made, options))
    print((RESULTS / "forged.md").read_text(), end="")


if __name__ == "__main__":
    main()
