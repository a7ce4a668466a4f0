"""Memory that threads free can be had by others."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, re, sys, threading
from extract.arenas import share_memory_between_threads
share_memory_between_threads()
libc = ctypes.CDLL(None)
meet = threading.Barrier(8)
def work():
    meet.wait()
    libc.malloc.restype = ctypes.c_void_p
    held = [libc.malloc(1000) for _ in range(100)]
    meet.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
libc.malloc_stats()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="needs glibc")
def test_eight_threads_share_one_arena():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert done.stderr.count("Arena") == 1
