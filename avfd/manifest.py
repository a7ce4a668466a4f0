"""What is known of a data set as data: layout, labels, licence and named protocols.

One TOML file a data set in `manifests/`; the wheel carries them as `avfd/manifests`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from avfd.errors import InputError, MissingError

Side = Literal["train", "val", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
Rule = Literal["field", "shipped", "pairs-file", "group-hash", "by-speaker", "clip-hash"]
RULES: tuple[Rule, ...] = get_args(Rule)

T = TypeVar("T")


@dataclass(frozen=True)
class Filters:
    """Which clips a protocol takes at all; the others stand on no side.

    Attributes:
        where: clip field or key of `extra` → accepted values.
        emotions: the data set's emotion → the protocol's; clips of no listed emotion are left
            out. Empty: all emotions, unchanged. `"*"` stands for every emotion not listed.
        min_agreement: smallest accepted `extra["agreement"]`, evaluators who chose the label.
        min_seconds: shortest accepted clip.
        one_face: leave out clips in which more than one face is seen.
    """

    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    emotions: Mapping[str, str] = field(default_factory=dict)
    min_agreement: int = 0
    min_seconds: float = 0.0
    one_face: bool = False


@dataclass(frozen=True)
class Protocol:
    """A named assignment of clips to train, val and test, with the rule it came from.

    The rule says how a clip finds its side; filters come before it, `balance`, `counts` and
    `cluster_seconds` after it.

    Attributes:
        name: as `fit --protocol` takes it.
        rule: "field": `values` of `column`, a clip field or key of
            `extra`, → side; a value listed nowhere stands on no side.
            "shipped": the side in `Clip.split`.
            "pairs-file": the side in `extra["official_split"]`, read at index from the lists that
            the user's copy of the data set carries.
            "group-hash": seeded hash of `Clip.group` cut at `fractions`; adding files moves none.
            "by-speaker": the groups, shuffled with `seed`, cut at `fractions`; where leaky, the
            subjects alone, so a donor may stand on another side.
            "clip-hash": seeded hash of the key; groups are torn apart, so always leaky.
        text: the rule in words, as the paper or the data set has it.
        paper: who used it.
        chosen: how we chose where the paper does not say which clips; empty: it does.
        notes: what else a reader of the results must know.
        leaky: one group may stand on two sides; every table then says so.
        overlap: test clips also stay in train and val, as their authors ran it (always leaky).
        seed: of every random choice in it.
        column, values: of the rule "field": side → values.
        fractions: side → share, summing to 1.
        counts: side → largest number of clips, drawn with `seed`; empty: all.
        balance: fields; on `balance_sides` each combination of their values that occurs keeps
            as many clips as the rarest, drawn with `seed`.
        balance_sides: where `balance` holds.
        filters: which clips it takes at all.
        cluster_seconds: consecutive clips of one subject and emotion are joined to units of at
            least that length; 0: every clip stands alone.
        datasets: layouts trained jointly, each by its own protocol of this name.
        reals_from: layout → number of its real clips added to the training side.
    """

    name: str
    rule: Rule
    text: str
    paper: str = ""
    chosen: str = ""
    notes: tuple[str, ...] = ()
    leaky: bool = False
    overlap: bool = False
    seed: int = 0
    column: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fractions: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    balance: tuple[str, ...] = ()
    balance_sides: tuple[str, ...] = ("test",)
    filters: Filters = field(default_factory=Filters)
    cluster_seconds: float = 0.0
    datasets: tuple[str, ...] = ()
    reals_from: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem, wrong in (
            ("not a rule", self.rule not in RULES),
            ("the rule needs `column` and `values`", self.rule == "field" and not self.values),
            ("fractions must sum to 1", self._needs_fractions and not self._whole),
            ("a side is not one of ours", not self._sides <= set(SIDES)),
            ("this rule tears groups apart: say leaky = true", self._tears and not self.leaky),
        ):
            if wrong:
                raise InputError(
                    problem, where=f"protocol {self.name}", found=self.rule, accepted=RULES
                )

    @property
    def _needs_fractions(self) -> bool:
        return self.rule in ("group-hash", "by-speaker", "clip-hash")

    @property
    def _whole(self) -> bool:
        return abs(sum(self.fractions.values()) - 1) < 1e-9

    @property
    def _sides(self) -> set[str]:
        return {*self.values, *self.fractions, *self.counts, *self.balance_sides}

    @property
    def _tears(self) -> bool:
        return self.rule == "clip-hash" or self.overlap


HASH = Protocol(
    name="hash",
    rule="group-hash",
    text="Seeded hash of the group: 70 % train, 15 % validation, 15 % test.",
    chosen="ours; a clip keeps its side when files are added, unless they join its group",
    fractions={"train": 0.70, "val": 0.15, "test": 0.15},
)


@dataclass(frozen=True)
class Manifest:
    """The facts of one data set.

    Attributes:
        name: of the layout and its reader.
        title: as people call it.
        licence: as its makers state it.
        source: where to get it, in words.
        layout: path patterns, relative to the root.
        labels: how a clip gets its labels, sentence by sentence.
        unverified: points of the layout that nobody here saw on a real copy; index prints them.
        protocols: name → protocol; "hash" is always among them.
        default_protocol: what `fit` takes when none is named.
        audio_apart: its sound may lie in a folder of its own (`--audio-root`).
        notes: what else a user should know.
    """

    name: str
    title: str
    licence: str
    source: str
    layout: tuple[str, ...]
    labels: tuple[str, ...]
    unverified: tuple[str, ...] = ()
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    default_protocol: str = HASH.name
    audio_apart: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.protocol(self.default_protocol)

    def protocol(self, name: str | None = None) -> Protocol:
        """The named protocol, or the default; an unknown name lists the known ones."""
        wanted = name or self.default_protocol
        if wanted not in self.protocols:
            raise MissingError(
                f"{self.title} has no such protocol",
                where=wanted,
                accepted=", ".join(sorted(self.protocols)),
            )
        return self.protocols[wanted]


def folder() -> Traversable:
    """Where the manifests are: in the installed package, else in the checkout."""
    shipped = resources.files("avfd") / "manifests"
    if shipped.is_dir():
        return shipped
    return Path(__file__).resolve().parent.parent / "manifests"


def names() -> list[str]:
    """Every data set with a manifest, sorted."""
    return sorted(f.name[: -len(".toml")] for f in folder().iterdir() if f.name.endswith(".toml"))


def load(name: str) -> Manifest:
    """The manifest of that data set; an unknown name lists the known ones."""
    if name not in names():
        raise MissingError("no such data set layout", where=name, accepted=", ".join(names()))
    return parse((folder() / f"{name}.toml").read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Manifest:
    """A manifest from its TOML text; unknown keys are refused."""
    try:
        facts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("not a TOML file", where=f"{name}.toml", found=str(error)) from error
    tables = facts.pop("protocols", {})
    protocols = {HASH.name: HASH} | {key: _protocol(key, table) for key, table in tables.items()}
    return _build(Manifest, {"name": name, **facts, "protocols": protocols}, f"{name}.toml")


def _protocol(name: str, table: dict[str, Any]) -> Protocol:
    where = f"protocol {name}"
    filters = _build(Filters, table.pop("filters", {}), where)
    return _build(Protocol, {"name": name, **table, "filters": filters}, where)


def _build(kind: type[T], facts: dict[str, Any], where: str) -> T:
    """An instance of a dataclass from TOML values."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(facts) - known)
    if unknown:
        raise InputError("unknown key", where=where, found=unknown, accepted=sorted(known))
    try:
        return kind(**{key: _tuples(value) for key, value in facts.items()})
    except TypeError as error:
        raise InputError("a key is missing", where=where, found=str(error)) from error


def _tuples(value: Any) -> Any:
    """The value with every list as a tuple."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value
