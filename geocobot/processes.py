"""How processes that work for this one are started."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.context import BaseContext

PRELOADED: Sequence[str] = ("geocobot.data.loader",)
"""What a fork server imports once for all processes that it starts."""


def start_method() -> BaseContext:
    """Never by forking a process whose threads (GDAL, torch) hold locks.

    A fork server imports once and forks from there; Windows has none and spawns.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context
