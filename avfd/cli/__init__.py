"""The command line: thin, and the only place of this package that reaches both stages."""

from __future__ import annotations

import signal

import typer

from avfd.cli import cache, data, demo, failures, forge, models, setup, tables
from avfd.errors import AvfdError, Stopped
from avfd.leaving import leave

EPILOG = (
    "Exit status: 0 done; 2 a mistake in the call or its input; 3 done, but clips failed and "
    "--strict was given; 129, 130, 143 stopped by a signal with what was finished kept."
)

INTERRUPTED = 128 + signal.SIGINT
"""What typer returns where Ctrl-C met a command that does not handle it."""

app = typer.Typer(
    name="avfd",
    help="Audio-visual deepfake detection from the emotion that voice and face carry.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("index")(data.index)
app.command("extract")(data.extract)
app.command("fit", epilog=models.PREFERENCE_HELP)(models.fit)
app.command("evaluate")(models.evaluate)
app.command("compare")(models.compare)
app.command("forge")(forge.forge)
app.command("table")(tables.table)
app.command("figures")(tables.figures)
app.add_typer(cache.app, name="cache")
app.add_typer(setup.weights, name="weights")
app.command("doctor")(setup.doctor)
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def version_option(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Only `--version` is handled before a command."""
    if version:
        from avfd import __version__

        print(f"avfd {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point."""
    leave(run())


def run() -> int:
    """The exit status; a person's mistake is a sentence and status 2, a bug is a traceback."""
    try:
        status = app(prog_name="avfd", standalone_mode=False)
        if status == INTERRUPTED:
            status = failures.stopped(Stopped(signal.SIGINT, "what was committed is kept"))
    except Stopped as stop:
        status = failures.stopped(stop)
    except AvfdError as error:
        status = failures.refused(error)
    except failures.CallError as error:
        status = failures.misused(error)
    except OSError as error:
        status = failures.unusable(error)
    return int(status or 0)
