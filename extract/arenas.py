"""Memory that threads free and none uses again."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # <malloc.h>


def share_memory_between_threads() -> None:
    """Have all threads of this process allocate from one arena, where the C library has any.

    The store writes through threads that come and go. glibc gives nearly each an arena of its own
    and keeps what is freed there: a process that wrote ten commits of 1,000 clips ended with
    113 MB, with one arena with 78 MB.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)
