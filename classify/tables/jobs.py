"""From a cell of a table to what must be fitted for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from avfd import manifest
from avfd.errors import InputError, MissingError
from classify.choice import FitOptions
from classify.tables.spec import Row, Setting, Table, load
from classify.tables.stock import Stock

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
MANY_GROUPS = 100
FEW_FOLDS = 4


@dataclass(frozen=True)
class Asked:
    """What a table is asked for.

    Attributes:
        datasets: in place of those of the table's settings; none: those that the paper had.
        test_datasets: in place of data sets that are tested and do not train.
        emotions: in place of the data set that trains emotion networks.
        protocol, folds: how other data sets are split; None: their protocol of the same name, else
            the hash of the group, else folds where groups are few.
        preset, epochs, minutes, device, seed, replicates: as `FitOptions` has them.
        stand_ins: let the table's stand-ins stand in where weights cannot be had.
        extract: fill columns that are not there; else they are missing.
    """

    datasets: tuple[str, ...] = ()
    test_datasets: tuple[str, ...] = ()
    emotions: str | None = None
    protocol: str | None = None
    folds: int | None = None
    preset: str = "paper"
    epochs: int | None = None
    minutes: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    replicates: int = 2000
    stand_ins: bool = False
    extract: bool = True


@dataclass(frozen=True)
class Job:
    """One fit, or one fusion of finished runs.

    Attributes:
        table: whose row it is.
        row: what is trained.
        setting: where, after what was asked for.
        options: all but the columns' names and the placeholders in models.
        fuses: the jobs whose runs are fused; then nothing is fitted.
        starts: placeholder in a model → the row of this setting whose run it stands for.
    """

    table: Table = field(repr=False)
    row: Row
    setting: Setting
    options: FitOptions
    fuses: tuple[Job, ...] = ()
    starts: Mapping[str, Job] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people: the row, and where it is trained."""
        return f"{self.row.name} ({'+'.join(self.setting.datasets)})"

    @property
    def placeholders(self) -> list[str]:
        """Weights that stand in a model in braces."""
        models = (self.row.model, self.row.audio_model, self.row.video_model)
        found = [name for model in models for name in PLACEHOLDER.findall(model)]
        return [name for name in dict.fromkeys(found) if not name.startswith("row:")]


def job_of(stock: Stock, table: Table, row: Row, setting: Setting, asked: Asked) -> Job:
    """The job of a row in a setting that is already what was asked for (`setting_for`)."""
    fuses = tuple(job_of(stock, table, table.row(i), setting, asked) for i in row.fuse)
    models = (row.model, row.audio_model, row.video_model)
    rows = {n[4:] for m in models for n in PLACEHOLDER.findall(m) if n.startswith("row:")}
    starts = {i: job_of(stock, table, table.row(i), setting, asked) for i in sorted(rows)}
    return Job(table, row, setting, _options(stock, row, setting, asked), fuses, starts)


def trainer_of(stock: Stock, table: Table, weights: str, asked: Asked) -> Job | None:
    """The job that trains some weights; None where the table names none."""
    known = table.trained.get(weights)
    if known is None:
        return None
    other = load(known.table)
    row = other.row(known.row)
    setting = other.settings[row.setting or other.columns[0].setting]
    own = replace(asked, datasets=(), test_datasets=(), folds=None, protocol=None)
    if asked.emotions:
        setting = replace(setting, datasets=(asked.emotions,), protocol="")
    return job_of(stock, other, row, setting, own)


def setting_for(stock: Stock, table: Table, setting: Setting, asked: Asked) -> Setting:
    """The table's setting on the data sets that were asked for.

    Raises:
        MissingError: it tests on a data set that does not train, and none was named for that; it
            leaves a manipulation out, and of the data sets' own none is left.
    """
    moved = _moved(setting, asked)
    return _leaving_out(stock, table, moved, asked) if setting.leave_out else moved


def untested(setting: Setting, asked: Asked) -> bool:
    """Whether the setting tests on a data set that does not train, and none was named for it."""
    return setting.crosses and bool(asked.datasets) and not asked.test_datasets


def _moved(setting: Setting, asked: Asked) -> Setting:
    protocol = asked.protocol or setting.protocol
    if not asked.datasets:
        return replace(setting, protocol=protocol)
    if not setting.crosses:
        return replace(setting, datasets=asked.datasets, optional=(), test="", protocol=protocol)
    if untested(setting, asked):
        tested = setting.elsewhere or ", ".join(setting.test_datasets)
        raise MissingError(
            "this is tested on a data set that does not train",
            where=f"trained on {', '.join(setting.datasets)}, tested on {tested}",
            found=f"--dataset {' --dataset '.join(asked.datasets)} alone",
            next_step="name the data set to be tested with --test-dataset",
        )
    if set(asked.test_datasets) & set(asked.datasets):
        raise InputError(
            "a data set cannot train and be the unseen one",
            where="--dataset, --test-dataset",
            found=", ".join(asked.test_datasets),
        )
    replaced = replace(setting, datasets=asked.datasets, optional=(), protocol=protocol)
    if setting.elsewhere:
        return replace(replaced, test=asked.test_datasets[0], test_protocol="")
    return replace(replaced, test_datasets=asked.test_datasets)


def _leaving_out(stock: Stock, table: Table, setting: Setting, asked: Asked) -> Setting:
    """The setting with manipulations that its data sets have.

    Other data that have none of the paper's lend their own: the settings that lack theirs take
    those that no setting names, in order.
    """
    indexed = [name for name in setting.datasets if stock.indexed(name)]
    known = {made for name in indexed for made in stock.tally(name).manipulations}
    wanted = setting.leave_out
    there = tuple(name for name in wanted if name in known)
    if there == wanted or not indexed:
        return setting
    if there:
        lacking = " or ".join(name for name in wanted if name not in known)
        note = f"{' and '.join(there)} alone is left out: no fake here by {lacking}"
        return replace(setting, leave_out=there, notes=(*setting.notes, note))
    if not asked.datasets:
        return setting  # the fit says that the paper's data lack them
    own = _own_manipulation(table, setting, known)
    said = f"STAND-IN: {own} is left out for {' and '.join(wanted)}, which made no fake here"
    return replace(setting, leave_out=(own,), notes=(*setting.notes, said))


def _own_manipulation(table: Table, setting: Setting, known: set[str]) -> str:
    """The manipulation that stands in for a setting's own."""
    leaving = [one for one in table.settings.values() if one.leave_out]
    spare = sorted(known.difference(*(one.leave_out for one in leaving)))
    place = [one.name for one in leaving if not known & set(one.leave_out)].index(setting.name)
    if place >= len(spare):
        raise MissingError(
            f"no manipulation is left to leave out for {' and '.join(setting.leave_out)}",
            where="+".join(setting.datasets),
            found=", ".join(sorted(known)) or "the clips name no manipulation",
            accepted="a manipulation of its own for every setting of the table",
        )
    return spare[place]


def _options(stock: Stock, row: Row, setting: Setting, asked: Asked) -> FitOptions:
    told: dict[str, Any] = {
        "datasets": setting.datasets,
        "target": setting.target,
        "balance": setting.balance,
        "preset": asked.preset,
        "epochs": asked.epochs,
        "minutes": asked.minutes,
        "device": asked.device,
        "seed": asked.seed,
        "replicates": asked.replicates,
    }
    if setting.test_datasets:
        told |= {"test_datasets": setting.test_datasets, "cross": setting.cross}
    if setting.leave_out:
        told["leave_out"] = setting.leave_out
    told |= sides_of(stock, setting, asked)
    windows = row.windows or (None, None)
    return FitOptions(
        **told,
        model=row.model or None,
        audio_model=row.audio_model or None,
        video_model=row.video_model or None,
        fusion=_fusion(row),  # type: ignore[arg-type]
        rule=row.rule,  # type: ignore[arg-type]
        window_seconds=windows[0],
        hop_seconds=windows[1],
    )


def _fusion(row: Row) -> str:
    if row.fuse:
        return "decision"
    return row.fusion or ("feature" if len(row.asks) > 1 else "none")


def sides_of(stock: Stock, setting: Setting, asked: Asked) -> dict[str, Any]:
    """Protocol or folds: those asked for, else those of the table where the data sets know them.

    Other data sets are split by their own default protocol, else by the hash of the group, or in
    folds where they have few groups.
    """
    if asked.folds:
        return {"folds": asked.folds}
    present = [name for name in setting.datasets if stock.indexed(name)]
    layouts = [stock.home.read_facts(name).layout for name in present]
    if asked.protocol or not present:
        return {"protocol": setting.protocol or None}
    if any(setting.protocol in manifest.load(layout).protocols for layout in layouts):
        return {"protocol": setting.protocol or None}
    own = [
        stock.home.read_facts(n).protocol or manifest.load(n_).default_protocol
        for n, n_ in zip(present, layouts, strict=True)
    ]
    if len(own) == 1 and own[0] != manifest.HASH.name:
        return {"protocol": own[0]}
    groups = sum(stock.tally(name).groups for name in present)
    if groups >= MANY_GROUPS or setting.crosses:
        return {"protocol": manifest.HASH.name}
    return {"folds": max(2, min(FEW_FOLDS, groups))}
