"""Runs that can be resumed: who works at one, and whether it is the one asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from geocobot.errors import OutputError


@contextmanager
def held(
    lock: Path, place: Path, rule: str, cannot: Callable[[OSError], Exception]
) -> Iterator[None]:
    """Keep other processes out of a place inside the `with` block.

    Args:
        lock: a file that is there as long; missing parent folders are made.
        place: what is held, for messages.
        rule: why nobody else may work there, as a sentence without its full stop.
        cannot: makes the error of a lock that cannot be written.

    Raises:
        OutputError: another process works there.
    """
    holder = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        holder.acquire(timeout=0)
    except Timeout as error:
        raise _in_use(place, rule) from error
    except OSError as error:
        raise cannot(error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps an open file, and has it deleted below
            lock.unlink(missing_ok=True)
        holder.release()


def refuse_held(lock: Path, place: Path, rule: str) -> None:
    """Refuse a place that another process holds, as `held` does, and leave it as it is.

    Raises:
        OutputError: another process works there.
    """
    if not lock.is_file():
        return
    holder = FileLock(lock)
    try:
        with holder.acquire(timeout=0):
            return
    except Timeout as error:
        raise _in_use(place, rule) from error
    except OSError:  # whoever goes on there is told of it
        return


def _in_use(place: Path, rule: str) -> OutputError:
    """What to say to whoever comes second."""
    return OutputError(place, "is in use", rule, "Wait for the other one, or choose another --out")


def changes(begun: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, former and present value of all that a run was begun with and is no longer the same.

    Args:
        begun: as JSON gives it back.
        now: likewise; what only this has is no change.
    """
    for name, value in begun.items():
        # As text, in which a number that is none (nodata may be) equals itself.
        if json.dumps(value, sort_keys=True) != json.dumps(now.get(name), sort_keys=True):
            yield name, value, now.get(name)
