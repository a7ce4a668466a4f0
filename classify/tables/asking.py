"""What a table was asked for, refused where it cannot be meant before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from avfd import asks, manifest
from avfd.errors import InputError
from avfd.home import Home
from classify.choice import FitOptions, check_options
from classify.estimators import kind_of
from classify.protocols.crossing import WORDS
from classify.tables.jobs import Asked
from classify.tables.spec import Row, Setting, Table, load

PRESETS = ("paper", "small")  # every network has them; models without presets take any


def check_asked(home: Home, tables: Sequence[Table], asked: Asked) -> None:
    """Refuse options that none of the tables can mean; cells say what some rows cannot do.

    Raises:
        InputError: which option, and what is accepted.
    """
    _check_datasets(tables, asked)
    _check_folds(asked.folds)
    told = FitOptions(
        protocol=asked.protocol,
        folds=asked.folds,
        epochs=asked.epochs,
        minutes=asked.minutes,
        device=asked.device,
        seed=asked.seed,
    )
    check_options(told)
    _check_one_of("preset", asked.preset, _presets(tables))
    if asked.protocol is not None:
        _check_one_of("protocol", asked.protocol, _protocols(home, tables, asked))


def _check_folds(folds: int | None) -> None:
    if folds is not None and folds < 2:
        raise InputError(
            "too few folds", where="--folds", found=folds, accepted="2 or more, at most one a group"
        )


def _check_datasets(tables: Sequence[Table], asked: Asked) -> None:
    for option, names in (("dataset", asked.datasets), ("test-dataset", asked.test_datasets)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                "a data set is named twice",
                where=f"--{option}",
                found=", ".join(names),
                accepted="each once",
            )
    if not asked.test_datasets:
        return
    tested = f"--test-dataset {' --test-dataset '.join(asked.test_datasets)}"
    if not asked.datasets:
        raise InputError(
            "it goes with data sets that train in place of the table's",
            where="--test-dataset",
            found=f"{tested} alone",
            next_step="name them with --dataset, or leave --test-dataset out",
        )
    if both := sorted(set(asked.datasets) & set(asked.test_datasets)):
        raise InputError(
            "a data set cannot train and be the unseen one",
            where="--dataset, --test-dataset",
            found=", ".join(both),
        )
    if not any(setting.crosses for setting in _settings(tables)):
        raise InputError(
            "no setting of the table tests on a data set that does not train",
            where="--test-dataset",
            found=f"{tested} with {', '.join(table.name for table in tables)}",
            next_step="leave --test-dataset out",
        )


def _check_one_of(option: str, found: str, accepted: Iterable[str]) -> None:
    known = list(dict.fromkeys(accepted))
    if found not in known:
        raise InputError("no such choice", where=f"--{option}", found=found, accepted=known)


def _presets(tables: Iterable[Table]) -> Iterator[str]:
    """The presets of every model that the tables fit, those that train weights included."""
    yield from PRESETS
    for row in _fitted(tables):
        for ask in filter(None, (row.model, row.audio_model, row.video_model)):
            yield from kind_of(asks.parse(ask).name).presets


def _fitted(tables: Iterable[Table]) -> Iterator[Row]:
    for table in tables:
        yield from (row for row in table.rows if row.kind == "built")
        yield from (load(one.table).row(one.row) for one in table.trained.values())


def _protocols(home: Home, tables: Iterable[Table], asked: Asked) -> Iterator[str]:
    """The protocols of the data sets that would train."""
    own = (name for setting in _settings(tables) for name in setting.datasets)
    indexed, known = home.datasets(), manifest.names()
    for name in dict.fromkeys(asked.datasets or own):
        layout = home.read_facts(name).layout if name in indexed else name.removesuffix("-voices")
        if layout in known:
            yield from manifest.load(layout).protocols
    yield from WORDS


def _settings(tables: Iterable[Table]) -> Iterator[Setting]:
    """The settings of the built rows."""
    for table in tables:
        for row in table.rows:
            if row.kind == "built":
                yield from (table.setting(row, column) for column in table.columns)
