"""Give large arrays back to the system as soon as they are freed."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc

_THRESHOLD_BYTES = 8 * 2**20
"""Less, and what the model makes of a batch comes from the system anew at every step, which showed
in the time of a map (benchmarks/README.md)."""

_KEPT_BYTES = 64 * 2**20
"""What is free at the heap's end, for the next step."""


def release_large_arrays() -> None:
    """Keep glibc from piling up freed arrays.

    Left alone, glibc takes arrays of up to 32 MB from its heap once it has seen one of them
    freed. Polygons that wait to be written settle between them, and the heap grows with the
    height of the scene although nothing is held: 400 MB instead of 230 MB after 32,000 rows
    (benchmarks/memory.py). Elsewhere than on glibc, or where the user has set
    MALLOC_MMAP_THRESHOLD_, nothing is done.
    """
    if sys.platform != "linux" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
