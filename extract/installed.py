"""Whether what an extra of the package brings is installed; one sentence where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from avfd.errors import MissingError

OURS = ("avfd", "extract", "classify")


def check_installed(modules: Sequence[str], extra: str, where: str) -> None:
    """Refuse to go on without these modules; none of them is imported.

    Args:
        modules: names at the top level.
        extra: what brings them.
        where: who needs them.

    Raises:
        MissingError: all that lack are named, with the command that installs them.
    """
    lacking = [name for name in modules if find_spec(name) is None]
    if lacking:
        raise _missing(", ".join(lacking), extra, where)


@contextmanager
def needs(extra: str, where: str) -> Iterator[None]:
    """The same of whatever is imported inside."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if not name or name in OURS:
            raise
        raise _missing(name, extra, where) from error


def _missing(names: str, extra: str, where: str) -> MissingError:
    return MissingError(
        f"{names} is not installed", where=where, next_step=f"pip install 'avfd[{extra}]'"
    )
