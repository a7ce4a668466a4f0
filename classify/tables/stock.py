"""What a table finds here: data sets, columns and weights; and what stage 1 can add to it.

The stages do not know each other: the command line hands stage 1 in as a `Stage1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from avfd.asks import parse
from avfd.cache import Cache, Reader
from avfd.clips import Clip, read_table
from avfd.errors import MissingError
from avfd.home import Home
from avfd.specs import PENDING, BackboneSpec
from classify.protocols.crossing import manipulations

PROSE = ("summary", "licence", "source")


@dataclass(frozen=True)
class WeightsState:
    """A model file that a backbone needs.

    Attributes:
        name: as `avfd weights ls` has it.
        path: where it lies; None where it was not found.
        next_step: what to do then.
    """

    name: str
    path: Path | None
    next_step: str = ""


class Stage1(Protocol):
    """What a table asks of stage 1."""

    def spec(self, ask: str) -> BackboneSpec:
        """The facts of a backbone; an unknown one is an error."""

    def weights(self, ask: str) -> Sequence[WeightsState]:
        """The model files that it needs, and those of the column that it reads."""

    def found(self, name: str) -> WeightsState:
        """One model file."""

    def extract(
        self, dataset: str, columns: Mapping[str, str], weights: Mapping[str, Path]
    ) -> None:
        """Fill columns (name → ask) of a data set; `weights` in place of those that are found."""


@dataclass(frozen=True)
class Tally:
    """What a table asks of a clip table.

    Attributes:
        groups: groups of the labelled clips.
        manipulations: what made its fakes, sorted.
    """

    groups: int
    manipulations: tuple[str, ...]


class Stock:
    """Data sets and columns of a home: each is looked at once, and again after an extraction."""

    def __init__(self, home: Home, stage1: Stage1) -> None:
        self.home, self.stage1 = home, stage1
        self._specs: dict[str, BackboneSpec] = {}
        self._clips: dict[str, list[Clip]] = {}
        self._tallies: dict[str, Tally] = {}
        self._readers: dict[str, Reader] = {}
        self._filled: dict[str, dict[str, object]] = {}

    def clips(self, dataset: str) -> Sequence[Clip]:
        """Its clip table."""
        if dataset not in self._clips:
            self._clips[dataset] = read_table(self.home.clip_table(dataset))
        return self._clips[dataset]

    def tally(self, dataset: str) -> Tally:
        """What its clips are."""
        if dataset not in self._tallies:
            clips = self.clips(dataset)
            groups = {clip.group or clip.key for clip in clips if clip.label}
            made = set().union(*map(manipulations, clips))
            self._tallies[dataset] = Tally(len(groups), tuple(sorted(made)))
        return self._tallies[dataset]

    def extract(
        self, dataset: str, columns: Mapping[str, str], weights: Mapping[str, Path]
    ) -> None:
        """Let stage 1 fill columns; what was known of the cache is looked up anew."""
        try:
            self.stage1.extract(dataset, columns, weights)
        finally:
            self._readers.pop(dataset, None)
            self._filled.pop(dataset, None)

    def indexed(self, dataset: str) -> bool:
        """Whether the data set has a clip table."""
        return dataset in self.home.datasets()

    def check_indexed(self, dataset: str) -> None:
        """Refuse a data set that has none."""
        if not self.indexed(dataset):
            raise MissingError(
                "the data set is not indexed",
                where=dataset,
                next_step=f"run `avfd index {dataset} --root DIR`",
            )

    def column(self, datasets: Iterable[str], ask: str) -> str | None:
        """The column that this backbone filled in all of them, under one name; None: there is none.

        Columns are told by what made them, not by name: `faces` at 10 pictures a second is not
        `faces:rate_hz=30`.
        """
        found = [self._matching(dataset, ask) for dataset in datasets]
        shared = sorted(set.intersection(*map(set, found)))
        own = self._spec(ask).name
        return own if own in shared else next(iter(shared), None)

    def name_for(self, datasets: Iterable[str], ask: str) -> str:
        """A name under which all of them can have the column: taken by nothing else."""
        asked = list(datasets)
        own, spelled = self._spec(ask).name, spelled_name(ask)
        names = [own, spelled, *(f"{spelled}-{i}" for i in range(2, 100))]
        for name in names:
            if all(name not in self._made(d) or name in self._matching(d, ask) for d in asked):
                return name
        raise MissingError("no name is left for the column", where=ask, found=", ".join(names[:3]))

    def pending(self, dataset: str, column: str) -> int:
        """Clips that the column still lacks."""
        reader = self.reader(dataset)
        return int((reader.column(column).statuses(reader.keys) == PENDING).sum())

    def reader(self, dataset: str) -> Reader:
        """The data set's cache as it was when it was first looked at."""
        if dataset not in self._readers:
            home = self.home
            cache = Cache.open(
                home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset)
            )
            self._readers[dataset] = cache.snapshot()
        return self._readers[dataset]

    def _matching(self, dataset: str, ask: str) -> list[str]:
        wanted = plain(self._spec(ask).hashed())
        return [name for name, spec in self._made(dataset).items() if spec == wanted]

    def _made(self, dataset: str) -> Mapping[str, object]:
        """Column → what made it."""
        if dataset not in self._filled:
            reader = self.reader(dataset)
            specs = {name: reader.column(name).spec_facts["spec"] for name in reader.columns}
            self._filled[dataset] = {name: plain(spec) for name, spec in specs.items()}
        return self._filled[dataset]

    def _spec(self, ask: str) -> BackboneSpec:
        if ask not in self._specs:
            self._specs[ask] = self.stage1.spec(ask)
        return self._specs[ask]


def plain(spec: object) -> object:
    """What decides a column's numbers, as JSON has it."""
    facts: dict[str, object] = json.loads(json.dumps(spec))
    return {name: value for name, value in facts.items() if name not in PROSE}


def spelled_name(ask: str) -> str:
    """A column name from the values of the options that made it.

    >>> spelled_name("faces:rate_hz=30,size_px=80")
    'faces-30-80'
    """
    parsed = parse(ask)
    words = [parsed.name, *parsed.options.values()]
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", "-".join(words))
