"""Memory that threads free and none uses again."""

from __future__ import annotations

import ctypes

MOST_ARENAS = 2
_M_ARENA_MAX = -8  # <malloc.h>


def share_memory_between_threads() -> None:
    """Have the threads of this process allocate from few arenas, where the C library has any.

    The store writes through threads that come and go. glibc gives nearly each an arena of its own
    and keeps what is freed there: ten commits left 34 MB behind, with two arenas 8 MB.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, MOST_ARENAS)
