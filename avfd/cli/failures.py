"""How a command ends that did not do its work: a sentence, an exit status, and JSON if asked."""

from __future__ import annotations

import errno
import sys
from typing import cast

import typer

from avfd.cli.output import emit_json, say
from avfd.errors import AvfdError, InputError, Stopped, StoreError

CallError = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""What the parser of the command line raises: click's ClickException, which typer vendors."""

UNUSABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)
"""What the user's machine refuses; any other OSError that gets here is a bug."""

PARTS = ("problem", "where", "found", "accepted", "next_step", "details")


def asked_for_json() -> bool:
    return "--json" in sys.argv[1:]


def refused(error: AvfdError) -> int:
    """A mistake in the call or its input, told."""
    say(f"avfd: {error}")
    if asked_for_json():
        parts = {part: getattr(error, part) for part in PARTS}
        emit_json({"error": {part: value for part, value in parts.items() if value is not None}})
    return error.exit_status


def misused(error: Exception) -> int:
    """A call that the parser does not take, told in the same form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "avfd"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message:  # a group without a command: its help is printed already
        return 2
    return refused(InputError(message.rstrip("."), next_step=f"see `{command} --help`"))


def unusable(error: OSError) -> int:
    """A file or folder that cannot be read or written, told; a bug if it is none of those."""
    if error.errno not in UNUSABLE:
        raise error
    return refused(
        StoreError(
            "cannot be read or written",
            where=error.filename,
            found=error.strerror,
            next_step="check its rights and the disk, or name another --home",
        )
    )


def stopped(stop: Stopped) -> int:
    """A signal ended the command, told."""
    say(f"avfd: {stop}")
    if asked_for_json():
        emit_json({"stopped": {"signal": stop.signum, "kept": stop.kept}})
    return stop.exit_status
