"""Open datasets: one per process and thread, because GDAL's are not shared between either."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Owner: TypeAlias = tuple[int, int]
"""Process and thread."""


class Handles:
    """Opens a dataset whenever a process or a thread first asks for it.

    Pickles and forks freely: no handle travels.
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
        owner = (os.getpid(), threading.get_ident())
        if owner not in self._open:
            self._open[owner] = opened()
        return self._open[owner]

    def renew(self, opened: Callable[[], Any]) -> Any:
        """Another one in place of this process's and thread's own handle.

        Args:
            opened: opens it, after the first is closed.
        """
        handle = self._open.pop((os.getpid(), threading.get_ident()), None)
        if handle is not None:
            handle.close()
        return self.get(opened)

    def close(self) -> None:
        """Close this process's handles; who asks again gets another one."""
        for owner in [o for o in self._open if o[0] == os.getpid()]:
            self._open.pop(owner).close()
