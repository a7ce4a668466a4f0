"""How a command ends its process."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process with that status, without tearing the interpreter down.

    The store's native threads may still ask for the interpreter's lock. Before Python 3.14 a
    thread that asks during the teardown is ended in the middle of its native frames (CPython
    issue 87135), which aborts a process whose work is done. Exit functions run and both streams
    are flushed; nothing else is left to do.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody may be listening any more
            stream.flush()
    os._exit(status)
