"""A published table as data: rows, columns, what trains them, and the numbers as printed.

One TOML file a table lies beside this file. `Setting` says where a row is trained and tested,
`Row` what is trained, `Column` which number of it is shown; docs/tables.md explains the form.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import Any, Literal, TypeVar, get_args

from avfd.errors import InputError, MissingError

Kind = Literal["built", "quoted", "unbuilt"]
Part = Literal["whole", "audio", "video"]
Target = Literal["deepfake", "emotion"]
METRICS = ("accuracy", "balanced_accuracy", "auc", "unweighted_average_recall", "macro_auc")
RANGE = re.compile(r"(\d*\.?\d+)(?: to (\d*\.?\d+))?")
BOUND = re.compile(r"(over|up to) (\d*\.?\d+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """Where a row is trained and tested.

    Attributes:
        name: as columns and rows of the table call it.
        datasets: trained on, pooled.
        optional: those of them that training can do without; a note then says so.
        protocol: which sides their clips stand on; "": the data set's default.
        target: what is told apart.
        balance: as `fit --balance`.
        test: whose test side counts. "": all of `datasets`; one of them: its clips alone; another
            data set: its clips are scored by the finished run.
        test_protocol: of that other data set.
        test_datasets: tested on by the fit itself, none of their labels seen before: `fit
            --test-dataset`.
        cross: what the training sets give then, as `fit --cross`.
        leave_out: manipulations that training never sees and that alone are tested: `fit
            --leave-out`.
        notes: what must be known of its numbers.
    """

    name: str
    datasets: tuple[str, ...]
    optional: tuple[str, ...] = ()
    protocol: str = ""
    target: Target = "deepfake"
    balance: str = "weights"
    test: str = ""
    test_protocol: str = ""
    test_datasets: tuple[str, ...] = ()
    cross: str = "sides"
    leave_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> str:
        """The data set that a finished run is tried on; "" where the fit tests."""
        return "" if self.test in self.datasets else self.test

    @property
    def crosses(self) -> bool:
        """Whether it is tested on a data set that does not train."""
        return bool(self.elsewhere or self.test_datasets)


@dataclass(frozen=True)
class Column:
    """One number a row.

    Attributes:
        head: as the paper has it.
        metric: one of METRICS.
        setting: name of a setting; "": the row names its own.
        part: the verdict on the whole clip, or on one of its tracks alone.
        percent: the paper's numbers are percentages.
    """

    head: str
    metric: str
    setting: str = ""
    part: Part = "whole"
    percent: bool = False


@dataclass(frozen=True)
class Published:
    """A cell of the paper.

    Attributes:
        text: as printed; "" where the paper has no such cell.
        low, high: the number as a share of one, twice, or the ends of a range, of "over" and
            "up to" the one end that is given; None where the cell holds none.
    """

    text: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, text: str, percent: bool) -> Published:
        """A cell from its text.

        >>> Published.of("88.02", percent=True).low
        0.8802
        >>> Published.of("0.8242 to 0.8304", percent=False).high
        0.8304
        >>> Published.of("over 0.882", percent=False)
        Published(text='over 0.882', low=0.882, high=None)
        >>> Published.of("N/A", percent=False).low
        """
        bare = text.removesuffix("%")
        if bound := BOUND.fullmatch(bare):
            end = _share(bound[2], percent)
            return cls(text, low=end) if bound[1] == "over" else cls(text, high=end)
        found = RANGE.fullmatch(bare)
        if not found:
            return cls(text)
        low, high = (_share(number, percent) for number in (found[1], found[2] or found[1]))
        return cls(text, low, high)


def _share(number: str, percent: bool) -> float:
    """The number as printed, or a percentage moved by two digits without rounding errors."""
    return float(f"{number}e-2") if percent else float(number)


@dataclass(frozen=True)
class Row:
    """One system of the table.

    Attributes:
        id: how other rows and tables call it.
        name: as the paper has it.
        published: a cell a column, as printed; "" where the paper has none, and nothing is run.
        kind: "built": trained and tested here; "quoted": a competitor, as published; "unbuilt":
            of the paper's own, but not to be had here, `why` says why.
        why: see `kind`.
        modality: as the paper has it.
        setting: name of a setting, for all its cells.
        audio, video: backbones of its columns, as asks (`avfd.asks`).
        model, audio_model, video_model: estimators, as asks. `{NAME}` in an ask stands for the
            weight file of that name, or for the run that trained it, `{row:ID}` for the run of
            another row in the same setting.
        fusion: "": feature fusion where there are two columns, else none.
        rule: of decision fusion.
        fuse: ids of rows whose finished runs are fused instead.
        windows: seconds of a window and of a hop; none: as the model wants them.
        note: what the reader must know of it.
    """

    id: str
    name: str
    published: tuple[str, ...]
    kind: Kind = "built"
    why: str = ""
    modality: str = ""
    setting: str = ""
    audio: str = ""
    video: str = ""
    model: str = ""
    audio_model: str = ""
    video_model: str = ""
    fusion: str = ""
    rule: str = "mean"
    fuse: tuple[str, ...] = ()
    windows: tuple[int, int] | None = None
    note: str = ""

    @property
    def asks(self) -> dict[str, str]:
        """Modality → backbone."""
        named = {"audio": self.audio, "video": self.video}
        return {modality: ask for modality, ask in named.items() if ask}


@dataclass(frozen=True)
class Trained:
    """The row that trains some weights."""

    table: str
    row: str


@dataclass(frozen=True)
class Table:
    """A published table, or results that stand in a paper's text.

    Attributes:
        name: as `avfd table` takes it.
        title, paper, place: what it shows, whose it is, where it stands there.
        wrong: what is known to be wrong with the published protocol, or not stated.
        notes: what we chose, and how it differs.
        settings, columns, rows: see there.
        trained: weights → the row of a table that trains them.
        stand_ins: backbone → another that may stand in where its weights cannot be had;
            weights of a `{NAME}` → "", the option is then left out.
    """

    name: str
    title: str
    paper: str
    place: str
    settings: Mapping[str, Setting]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    trained: Mapping[str, Trained] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    def row(self, id: str) -> Row:
        """The row of that id."""
        for row in self.rows:
            if row.id == id:
                return row
        raise MissingError(
            "the table has no such row", where=id, accepted=", ".join(r.id for r in self.rows)
        )

    def cell(self, row: Row, column: int) -> Published:
        """What the paper has there."""
        return Published.of(row.published[column], self.columns[column].percent)

    def setting(self, row: Row, column: Column) -> Setting:
        """Where the cell is trained and tested."""
        return self.settings[row.setting or column.setting]


def names() -> list[str]:
    """Every table, in the papers' order of sections and numbers."""
    found = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in found if f.name.endswith(".toml"))


def load(name: str) -> Table:
    """The table of that name; an unknown name lists the known ones."""
    if name not in names():
        raise MissingError("no such table", where=name, accepted=", ".join(names()))
    text = (resources.files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
    return parse(text, name)


def parse(text: str, name: str) -> Table:
    """A table from its TOML text; what does not fit together is refused."""
    where = f"{name}.toml"
    facts = tomllib.loads(text)
    settings = {
        key: _build(Setting, {"name": key, **one}, f"{where}, setting {key}")
        for key, one in facts.pop("settings", {}).items()
    }
    columns = tuple(_build(Column, one, where) for one in facts.pop("columns", ()))
    rows = tuple(_build(Row, one, f"{where}, row {one.get('id')}") for one in facts.pop("rows", ()))
    trained = {
        key: _build(Trained, one, f"{where}, trained {key}")
        for key, one in facts.pop("trained", {}).items()
    }
    whole = {"name": name, "settings": settings, "columns": columns, "rows": rows}
    table = _build(Table, {**whole, **facts, "trained": trained}, where)
    _check(table, where)
    return table


def _check(table: Table, where: str) -> None:
    """Refuse what a reader of the table would stumble over later."""
    ids = [row.id for row in table.rows]
    wrong = [f"row {i} twice" for i in set(ids) if ids.count(i) > 1]
    wrong += [f"metric {c.metric}" for c in table.columns if c.metric not in METRICS]
    for row in table.rows:
        wrong += [f"row {row.id}: {problem}" for problem in _problems(table, row, ids)]
    if wrong:
        raise InputError("the table does not fit together", where=where, found="; ".join(wrong))


def _problems(table: Table, row: Row, ids: list[str]) -> list[str]:
    wrong = []
    if len(row.published) != len(table.columns):
        wrong.append(f"{len(row.published)} cells for {len(table.columns)} columns")
    if row.kind not in get_args(Kind) or (row.kind == "unbuilt") != bool(row.why):
        wrong.append(f"kind {row.kind} with why {row.why!r}")
    if row.kind == "built":
        if not (row.asks or row.fuse):
            wrong.append("neither columns nor rows to fuse")
        named = {row.setting or column.setting for column in table.columns}
        wrong += [f"setting {name!r}" for name in named - set(table.settings)]
        wrong += [f"fuses {other}" for other in row.fuse if other not in ids]
    return wrong


def _build(kind: type[T], facts: Mapping[str, Any], where: str) -> T:
    """An instance of a dataclass from TOML values; unknown and missing keys are refused."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(facts) - known):
        raise InputError("unknown key", where=where, found=unknown, accepted=sorted(known))
    made = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise InputError("a key is missing", where=where, found=str(error)) from error
