"""The command line: thin, and the only place of this package that reaches both stages."""

from __future__ import annotations

import sys

import typer

from avfd.cli import cache, data, demo, models, setup
from avfd.cli.output import emit_json, say

EPILOG = (
    "Exit status: 0 done; 2 a mistake in the call or its input; 3 done, but clips failed and "
    "--strict was given; 130, 143 stopped by a signal with what was finished kept."
)

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
    """Entry point: a person's mistake is a sentence and status 2, a bug is a traceback."""
    from avfd.errors import AvfdError, Stopped

    try:
        app()
    except Stopped as stopped:
        say(f"avfd: {stopped}")
        sys.exit(stopped.exit_status)
    except AvfdError as error:
        say(f"avfd: {error}")
        if "--json" in sys.argv:
            emit_json({"error": {k: v for k, v in vars(error).items() if v is not None}})
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
