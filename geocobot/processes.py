"""How processes that work for this one are started."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext


def start_method() -> BaseContext:
    """Never by forking a process whose threads (GDAL, torch) hold locks.

    A fork server imports once and forks from there; Windows has none and spawns.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["geocobot.data.loader"])
    return context
