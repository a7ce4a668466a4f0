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
from avfd.errors import MissingError
from avfd.home import Home
from avfd.specs import PENDING, BackboneSpec

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


class Stock:
    """Data sets and columns of a home as they are now."""

    def __init__(self, home: Home, stage1: Stage1) -> None:
        self.home, self.stage1 = home, stage1
        self._specs: dict[str, object] = {}

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
        found = [self._matching(self.reader(dataset), ask) for dataset in datasets]
        shared = sorted(set.intersection(*map(set, found)))
        own = self.stage1.spec(ask).name
        return own if own in shared else next(iter(shared), None)

    def name_for(self, datasets: Iterable[str], ask: str) -> str:
        """A name under which all of them can have the column: taken by nothing else."""
        readers = [self.reader(dataset) for dataset in datasets]
        own, spelled = self.stage1.spec(ask).name, spelled_name(ask)
        names = [own, spelled, *(f"{spelled}-{i}" for i in range(2, 100))]
        for name in names:
            if all(name not in r.columns or name in self._matching(r, ask) for r in readers):
                return name
        raise MissingError("no name is left for the column", where=ask, found=", ".join(names[:3]))

    def pending(self, dataset: str, column: str) -> int:
        """Clips that the column still lacks."""
        reader = self.reader(dataset)
        return int((reader.column(column).statuses(reader.keys) == PENDING).sum())

    def reader(self, dataset: str) -> Reader:
        """The data set's cache as it is now."""
        home = self.home
        return Cache.open(
            home.cache_url(dataset), dataset=dataset, lock_path=home.lock_path(dataset)
        ).snapshot()

    def _matching(self, reader: Reader, ask: str) -> list[str]:
        wanted = self._wanted(ask)
        return [c for c in reader.columns if plain(reader.column(c).spec_facts["spec"]) == wanted]

    def _wanted(self, ask: str) -> object:
        if ask not in self._specs:
            self._specs[ask] = plain(self.stage1.spec(ask).hashed())
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
