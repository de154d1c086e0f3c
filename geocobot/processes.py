"""How processes that work for this one are started, and how what stops them comes back."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing import connection
from multiprocessing.context import BaseContext

from geocobot.errors import WorkerError


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


def refuse_import(call: str) -> None:
    """Refuse to begin a script again in a process that was to help it.

    Such a process imports the script that has started it, and without a guard does all it says.

    Args:
        call: what is about to begin, such as "geocobot.train".

    Raises:
        WorkerError: this process is importing the script of the one that has started it.
    """
    # Python itself asks this before it starts a process.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise _unguarded(call, "begins again in a process that was to help it")


def ended_before_it_began(subject: str, code: int | None, call: str) -> WorkerError | None:
    """What to say of a process that Python itself has ended; None where something else has.

    Args:
        subject: what the process was to do.
        code: its exit code.
        call: what belongs below a script's guard.
    """
    if code is None or code <= 0:  # a signal is negative
        return None
    return _unguarded(call, f"has ended before it began (exit code {code})", subject)


def _unguarded(call: str, found: str, subject: str | None = None) -> WorkerError:
    """What to say of a script without a guard."""
    return WorkerError(
        subject or call,
        found,
        "A script that starts processes is imported by each of them",
        f'See what is said above; in a script, call {call} below if __name__ == "__main__"',
    )


def sendable(error: BaseException) -> BaseException:
    """An error, or what it says where it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 # its own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
