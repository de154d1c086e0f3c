"""Open datasets: one per process and thread, because GDAL's are not shared between either."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Owner: TypeAlias = tuple[int, int]
"""Process and thread."""

MOST_OPEN = 200
"""Of all rasters, in each thread: systems give a process 1,024 files, or fewer."""


class Handles:
    """Opens a dataset whenever a process or a thread first asks for it.

    Pickles and forks freely: no handle travels. Where a thread has more than `MOST_OPEN` of all
    rasters open, the one that it has not asked for the longest is closed.
    """

    def __init__(self) -> None:
        self._open: dict[Owner, Any] = {}

    def __len__(self) -> int:
        """Number of handles, those inherited from a parent process included."""
        return len(self._open)

    def __iter__(self) -> Iterator[Owner]:
        """Whose handles there are."""
        return iter(self._open)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the handles at home when their owner travels to another process."""
        return {"_open": {}}

    def get(self, opened: Callable[[], Any]) -> Any:
        """This process's and thread's own handle.

        Args:
            opened: opens another one.
        """
        owner = _here()
        if owner not in self._open:
            self._open[owner] = opened()
        _USED.note(self)
        return self._open[owner]

    def renew(self, opened: Callable[[], Any]) -> Any:
        """Another one in place of this process's and thread's own handle.

        Args:
            opened: opens it, after the first is closed.
        """
        self.close_own()
        return self.get(opened)

    def close_own(self) -> None:
        """Close this process's and thread's own handle; who asks again gets another one."""
        handle = self._open.pop(_here(), None)
        if handle is not None:
            handle.close()

    def close(self) -> None:
        """Close this process's handles; who asks again gets another one."""
        for owner in [o for o in self._open if o[0] == os.getpid()]:
            self._open.pop(owner).close()


class _Used(threading.local):
    """Whose handles a thread has asked for, those first that it has not for the longest."""

    def __init__(self) -> None:
        self._order: OrderedDict[int, weakref.ref[Handles]] = OrderedDict()

    def note(self, handles: Handles) -> None:
        """Note that somebody's handle is used, and close what has not been for long."""
        self._order[id(handles)] = weakref.ref(handles)
        self._order.move_to_end(id(handles))
        while len(self._order) > MOST_OPEN:
            _, longest = self._order.popitem(last=False)
            if (found := longest()) is not None:
                found.close_own()


_USED = _Used()


def _here() -> Owner:
    """This process and thread."""
    return os.getpid(), threading.get_ident()
