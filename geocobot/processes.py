"""How processes that work for this one are started, and how what stops them comes back."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing import connection
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


def end_with_parent() -> None:
    """End this process when the one that has started it is gone, however it went.

    For processes that are no daemons, which could not have workers that cut patches. Returns at
    once; a thread waits.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    """Wait until the parent is gone, and end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def sendable(error: BaseException) -> BaseException:
    """An error, or what it says where it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 # its own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
