"""The end of a command's process."""

from __future__ import annotations

import subprocess
import sys

LEAVES = """
import atexit, sys, threading
from avfd.leaving import leave
atexit.register(lambda: print("exit function"))
threading.Thread(target=threading.Event().wait).start()  # would keep an ordinary exit waiting
sys.stderr.write("a word without an end of line")
leave(3)
"""


def test_streams_and_exit_functions_are_served_and_no_thread_is_waited_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (3, "exit function\n")
    assert done.stderr == "a word without an end of line"
