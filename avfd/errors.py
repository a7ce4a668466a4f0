"""Every error that avfd raises on purpose.

Each says what is wrong, what was found, what is accepted and what to do next; each also inherits
the builtin that a caller would catch. A mistake in the call or its input ends the command with
exit status 2 and no traceback; anything that is not an `AvfdError` is a bug and shows one.
"""

from __future__ import annotations

from pathlib import Path


class AvfdError(Exception):
    """Base of all errors that a person, not a programmer, can mend.

    Args:
        problem: what is wrong, one clause, without a full stop.
        where: the file, clip key, column or option concerned.
        found: what was found there.
        accepted: what would have been accepted.
        next_step: what to do now.
        details: all of what `found` tells the first of, as JSON can hold it; `--json` prints it.
    """

    exit_status = 2

    def __init__(
        self,
        problem: str,
        *,
        where: str | Path | None = None,
        found: object = None,
        accepted: object = None,
        next_step: str | None = None,
        details: object = None,
    ) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.found = found
        self.accepted = accepted
        self.next_step = next_step
        self.details = details
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.where}: {self.problem}" if self.where else self.problem]
        if self.found is not None:
            parts.append(f"found: {self.found}")
        if self.accepted is not None:
            parts.append(f"accepted: {_listed(self.accepted)}")
        if self.next_step:
            parts.append(f"next: {self.next_step}")
        return "; ".join(parts)


def _listed(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


class InputError(AvfdError, ValueError):
    """A mistake in the call, an option, a table or a data set's layout."""


class MissingError(AvfdError, LookupError):
    """Something named does not exist here: a data set, column, run, protocol or weights file."""


class MediaError(AvfdError, ValueError):
    """A clip's media cannot be read; the clip ends with status failed, the others go on."""


class AbsentError(AvfdError, LookupError):
    """A clip has no such track, no face, or is too short; it ends with status absent."""


class CacheError(AvfdError, RuntimeError):
    """The cache is not in a state that the request needs."""


class FingerprintError(CacheError):
    """A column was written with other settings or weights than the ones asked for."""


class StoreError(AvfdError, OSError):
    """The disk is full or the store cannot be reached; what was committed stays committed."""

    def __str__(self) -> str:
        return self._message()


class SpoolError(StoreError):
    """No room for a large result on its way; the store itself may be well."""


class Stopped(Exception):
    """A signal ended the command after what was finished had been kept.

    Args:
        signum: the signal's number; the exit status is 128 + signum (129 SIGHUP, 130 SIGINT,
            143 SIGTERM).
        kept: what was kept, for people.
    """

    def __init__(self, signum: int, kept: str) -> None:
        self.signum = signum
        self.kept = kept
        self.exit_status = 128 + signum
        super().__init__(f"stopped by signal {signum}; {kept}")
