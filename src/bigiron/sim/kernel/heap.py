"""The C heap of a simulator's process, which is kept small although the process has very many threads."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_one_heap() -> bool:
    """Have all threads allocate from one heap; call it before there are threads. False where the C library has none.

    glibc gives each thread one of eight heaps per processor, and each of them keeps the largest XML document that it
    ever held: measured with 500 partitions, 30 MB more after every change of a VIOS. Threads that run Python take
    turns, so that they never wait for each other's allocations.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt is not None and mallopt(_M_ARENA_MAX, 1))
