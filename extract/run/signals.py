"""Signals as a wish to stop, noticed between two clips, not in the midst of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a batch system's or `kill`'s, a terminal that closes."""


class Signals:
    """While entered, the first of these signals is noted; the second acts as it always did.

    What is ignored stays ignored (`nohup` ignores SIGHUP). Outside the main thread Python delivers
    no signals: then nothing is ever caught.

    Attributes:
        caught: number of the signal, 0 as long as there was none.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            heard = [n for n in CAUGHT if signal.getsignal(n) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]  # as it was given to us
