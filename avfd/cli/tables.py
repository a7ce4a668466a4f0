"""`avfd table`: a published table with our numbers beside the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from avfd.cli.options import HomeOption, JsonOption, SeedOption, VerboseOption
from avfd.cli.output import announced, emit_json, progress, say, set_up_logging
from avfd.cli.output import table as show
from avfd.errors import InputError, MissingError
from avfd.home import Home

if TYPE_CHECKING:
    from avfd.specs import BackboneSpec
    from classify.tables.jobs import Asked
    from classify.tables.needs import Need
    from classify.tables.report import TableReport
    from classify.tables.spec import Table
    from classify.tables.stock import WeightsState

FORMATS = ("text", "markdown", "latex", "csv")


def table(
    name: Annotated[
        list[str] | None,
        typer.Argument(help="Tables, or `all`; none: list them.", metavar="[NAME...]"),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="D", help="Run the same grid on other data."),
    ] = None,
    test_dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--test-dataset", metavar="D", help="With --dataset: what is tested and never trains."
        ),
    ] = None,
    emotions: Annotated[
        str | None,
        typer.Option(metavar="D", help="Data set that trains emotion networks instead."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(metavar="P", help="Another split than the table's.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="K folds by group instead of a protocol.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings of networks: paper, small, or another they have.")
    ] = "paper",
    epochs: Annotated[int | None, typer.Option(help="The most that a network trains.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="The longest that one network trains.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    stand_ins: Annotated[
        bool,
        typer.Option("--stand-ins", help="Let other columns stand in for missing weights, marked."),
    ] = False,
    no_extract: Annotated[
        bool, typer.Option("--no-extract", help="Take cached columns only.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what is needed and missing, and run nothing.")
    ] = False,
    format: Annotated[str, typer.Option(help="text, markdown, latex or csv.")] = "text",
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run a published table and print our numbers beside the published ones."""
    from classify.tables.asking import check_asked
    from classify.tables.jobs import Asked

    set_up_logging(verbose)
    _check_format(format, plan, json)
    if not name:
        _list(json)
        return
    asked = Asked(
        datasets=tuple(dataset or ()),
        test_datasets=tuple(test_dataset or ()),
        emotions=emotions,
        protocol=protocol,
        folds=folds,
        preset=preset,
        epochs=epochs,
        minutes=minutes,
        device=cast("Any", device),
        seed=seed,
        stand_ins=stand_ins,
        extract=not no_extract,
    )
    place = Home.at(home).writable()
    for one in (*asked.datasets, *asked.test_datasets, *([emotions] if emotions else [])):
        place.one_dataset(one)
    tables = _named(name)
    check_asked(place, tables, asked)
    if plan:
        _plan(place, tables, asked, json)
        return
    _run(place, tables, asked, format, json)


def _check_format(format: str, plan: bool, json: bool) -> None:
    if format not in FORMATS:
        raise InputError(
            "no such choice", where="--format", found=format, accepted=", ".join(FORMATS)
        )
    if format != "text" and (plan or json):
        other = "--plan" if plan else "--json"
        raise InputError(
            f"{other} has a form of its own",
            where=f"{other}, --format",
            found=f"--format {format}",
            next_step="leave one of them out",
        )


def figures(
    run: Annotated[
        list[str],
        typer.Argument(help="Runs, or LABEL=RUN; fused ones bring theirs.", metavar="RUN..."),
    ],
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="DIR", help="Folder (default: figures/ of the first run)."),
    ] = None,
    clips: Annotated[int, typer.Option(help="Clips of which single pictures are drawn.")] = 4,
    channels: Annotated[
        int, typer.Option(help="Of Score-CAM, the strongest; 0: all, which takes long.")
    ] = 64,
    seed: SeedOption = 0,
    home: HomeOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw runs as the papers do: ROC, t-SNE, distance maps, Score-CAM, as far as they offer it."""
    from classify.run_pictures import Wish, draw

    set_up_logging(verbose)
    if clips < 1 or channels < 0:
        raise InputError(
            "nothing to draw",
            where="--clips, --channels",
            found=f"{clips}, {channels}",
            accepted="1 clip or more, 0 channels (all) or more",
        )
    place = Home.at(home)
    folder = Path(into) if into else _own_folder(place, run[0])
    paths = draw(place, run, folder, Wish(clips, channels, seed=seed))
    if json:
        emit_json({"figures": paths})
        return
    for path in paths:
        print(path)


def _own_folder(place: Home, asked: str) -> Path:
    from avfd import runs

    return runs.load(place, asked.rpartition("=")[2]).path / runs.FIGURES_FOLDER


def _named(asked: Sequence[str]) -> list[Table]:
    """The tables; an unknown name is said before anything runs."""
    from classify.tables import load, names

    return [load(one) for one in (names() if list(asked) == ["all"] else asked)]


def _list(json: bool) -> None:
    from classify.tables import load, names

    tables = [load(one) for one in names()]
    rows = [(t.name, t.paper, t.place, t.title) for t in tables]
    columns = ("name", "paper", "place", "title")
    if json:
        emit_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show(columns, rows)


def _plan(place: Home, tables: Sequence[Table], asked: Asked, json: bool) -> None:
    from classify.tables.planning import table_needs
    from classify.tables.stock import Stock

    stock = Stock(place, ByExtract(place, asked.device))
    needs = {t.name: table_needs(stock, t, asked) for t in tables}
    if json:
        emit_json([{"table": name, "needs": found} for name, found in needs.items()])
        return
    for name, found in needs.items():
        for line in _needs_lines(name, found):
            print(line)


def _run(place: Home, tables: Sequence[Table], asked: Asked, format: str, json: bool) -> None:
    from classify.tables.making import make

    reports = []
    for table in tables:
        with progress(table.name) as update:
            report = make(
                place,
                table,
                asked,
                ByExtract(place, asked.device),
                tell=partial(_say, table.name),
                needs_found=partial(_say_needs, table.name),
                progress=update,
            )
        reports.append(report)
        if not json:
            _tell(report, format)
    if json:
        told = [report.to_json() for report in reports]
        emit_json(told[0] if len(told) == 1 else told)
    empty = [report.table for report in reports if not report.filled]
    if empty:
        say(
            f"avfd: {', '.join(empty)}: the grid is empty; found: no row could run; next: see why "
            "above, and `avfd table NAME --plan` for what is missing"
        )
        raise typer.Exit(2)


def _say(name: str, words: str) -> None:
    say(f"{name}: {words}")


def _say_needs(name: str, needs: Iterable[Need]) -> None:
    for line in _needs_lines(name, needs):
        say(line)


def _needs_lines(name: str, needs: Iterable[Need]) -> Iterator[str]:
    """What it needs, for people, what is missing last."""
    order = ("here", "can be made", "missing")
    yield f"{name} needs:"
    for need in sorted(needs, key=lambda n: order.index(n.state)):
        optional = " (training can do without)" if need.optional else ""
        yield f"  {need.state:<11}  {need.kind} {need.name}{optional}: {need.detail}"


def _tell(report: TableReport, format: str) -> None:
    from classify.tables import printing

    if format != "text":
        writers = {
            "markdown": printing.markdown,
            "latex": printing.latex,
            "csv": printing.as_csv,
        }
        print(writers[format](report), end="")
        return
    heads, lines, notes = printing.grid(report)
    show(heads, lines, title=printing.heading(report))
    for text in (*notes, *printing.caveats(report)):
        print(text)


class ByExtract:
    """Stage 1 as tables know it (`classify.tables.stock.Stage1`)."""

    def __init__(self, home: Home, device: str) -> None:
        from extract.backbones import load_all

        load_all()
        self.home, self.device = home, device

    def spec(self, ask: str) -> BackboneSpec:
        """The facts of a backbone."""
        from extract.backbones import build

        return build(ask).spec

    def weights(self, ask: str) -> list[WeightsState]:
        """Its model files, and those of the column that it reads."""
        spec = self.spec(ask)
        read = self.spec(spec.reads).weights if spec.reads else ()
        return [self.found(name) for name in dict.fromkeys((*spec.weights, *read))]

    def found(self, name: str) -> WeightsState:
        """One model file."""
        from classify.tables.stock import WeightsState
        from extract.weights import facts, find

        try:
            return WeightsState(name, find(name, self.home).path)
        except MissingError:
            return WeightsState(name, None, facts(name).next_step)

    def extract(
        self, dataset: str, columns: Mapping[str, str], weights: Mapping[str, Path]
    ) -> None:
        """Fill columns; those that bear their backbone's name share one decode."""
        own = {name: ask for name, ask in columns.items() if self.spec(ask).name == name}
        if own:
            self._extract(dataset, list(own.values()), weights, None)
        for name, ask in columns.items():
            if name not in own:
                self._extract(dataset, [ask], weights, name)

    def _extract(
        self,
        dataset: str,
        asks: Sequence[str],
        weights: Mapping[str, Path],
        as_name: str | None,
    ) -> None:
        from extract.run import extract_columns

        needed = {state.name for ask in asks for state in self.weights(ask)}
        given = [f"{name}={path}" for name, path in weights.items() if name in needed]
        with progress(f"extracting {', '.join(asks)}") as update:
            report = extract_columns(
                self.home,
                dataset,
                asks,
                device=self.device,
                as_name=as_name,
                weights=given,
                progress=announced(update),
            )
        for failure in report.failures[:3]:
            say(f"failed: {failure.key} [{failure.column}]: {failure.reason}")
