"""Answers over a network that break off, which GDAL tells nobody but in its debug messages.

GDAL (3.10) takes what came of them for the end of the file. Where that is a block, reading it
fails; where it is what describes the mask, there is no mask, or nothing but zeros in it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rasterio.errors import RasterioIOError

from geocobot.secrecy import without_secrets

DEBUG_OPTION = {"CPL_DEBUG": "VSICURL,S3,GS,AZURE,ADLS,OSS,SWIFT"}
"""Has GDAL say what `refused` listens for; set by the user, it has to name the same."""

_BROKEN_OFF = re.compile(
    r"(DownloadRegion|GetFileSize)\(.*\): response_code=\d+, (curl error )?msg=(?P<why>.+)",
    re.DOTALL,
)

_LOGGERS = ("rasterio._env", "rasterio._err")
"""Where rasterio hands on GDAL's debug messages: while it opens, and while it reads."""


class _Listener(logging.Filter):
    """Keeps in mind, thread by thread, that an answer broke off.

    What nobody asked to be told goes no further.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message goes on, in which addresses keep their passwords to themselves."""
        message = record.getMessage()
        found = _BROKEN_OFF.search(message)
        if found:
            self._heard.why = found["why"].strip()
        record.msg, record.args = without_secrets(message), ()
        return record.levelno >= logging.getLogger("rasterio").getEffectiveLevel()

    def taken(self) -> str:
        """What the network said of it since this was last asked; empty where nothing happened."""
        why = str(getattr(self._heard, "why", ""))
        self._heard.why = ""
        return why

    def attach(self) -> None:
        """Listen, once for the whole process."""
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            if self not in logger.filters:
                logger.addFilter(self)
                logger.setLevel(logging.DEBUG)


_LISTENER = _Listener()


@contextmanager
def refused() -> Iterator[None]:
    """Let nothing pass that was read, or concluded, while an answer broke off.

    Raises:
        RasterioIOError: one did.
    """
    _LISTENER.attach()
    _LISTENER.taken()
    try:
        yield
    except Exception:
        _refuse(_LISTENER.taken())
        raise
    _refuse(_LISTENER.taken())


def _refuse(why: str) -> None:
    """Say that an answer broke off, if one did."""
    if why:
        raise RasterioIOError(f"an answer broke off: {why}") from None
