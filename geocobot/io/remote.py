"""Files behind a network: how GDAL asks for them, and how often.

GDAL asks again by itself where a server is busy (HTTP 429, 500, 502, 503 and 504) or resets the
connection. It does not where the server closes the connection before its first answer, nor where
an answer breaks off; and what it then takes for true, that the file is not there or that it ends
early, it believes until somebody has it forget (measured with GDAL 3.10: tests/io/test_flaky.py).
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import rasterio
from rasterio.env import getenv, hasenv
from rasterio.errors import RasterioError

from geocobot.io import broken_off
from geocobot.secrecy import without_secrets

_LOG = logging.getLogger("geocobot.io")

_T = TypeVar("_T")

DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""How long to wait before each further attempt, in seconds."""

_REMOTE = re.compile(r"(https?|ftp|s3|gs|az)://|/vsi(curl|s3|gs|az|adls|oss|swift)/")

# Asking again changes none of these: 408 and 429 are a matter of time.
_FINAL = re.compile(
    r"HTTP response code: 4(?!08|29)\d\d|4(?!08|29)\d\d Client Error|[Cc]redentials"
)

_OPTIONS = {
    # Otherwise GDAL asks for a dozen files that could lie beside a raster.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # GDAL asks for the one range again, at first after half a second, then after about twice as
    # long; it waits half a minute where nobody says anything.
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    # A server that does not answer, or stops in the middle, is one that broke off.
    "GDAL_HTTP_CONNECTTIMEOUT": "30",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
} | broken_off.DEBUG_OPTION

# A file that is opened so is asked for anew, whatever GDAL knows of it.
_FORGETTING = {
    "CPL_VSIL_CURL_NON_CACHED": ":".join(
        f"/vsi{store}/" for store in ("curl", "s3", "gs", "az", "adls", "oss", "swift")
    )
}


def is_remote(path: str) -> bool:
    """Whether GDAL fetches a file over a network."""
    return bool(_REMOTE.match(path))


def remote_options(path: str, *, forgetting: bool = False) -> AbstractContextManager[Any]:
    """Open within it, and GDAL asks for a remote file as the head of this module says.

    What the user has set, in the environment or with `rasterio.Env`, is left alone.

    Args:
        path: of the file; nothing is set for local ones.
        forgetting: whether what GDAL knows of the file is to be asked for anew.
    """
    if not is_remote(path):
        return nullcontext()
    said = os.environ.keys() | (getenv().keys() if hasenv() else set())
    chosen = {name: value for name, value in _OPTIONS.items() if name not in said}
    env: AbstractContextManager[Any] = rasterio.Env(**chosen, **_FORGETTING if forgetting else {})
    return env


def patiently(path: str, attempt: Callable[[int], _T]) -> _T:
    """Do something with a file; where it is remote and that fails, do it again after a while.

    Args:
        path: of the file.
        attempt: is told how many attempts have failed.

    Raises:
        RasterioError, OSError: that of the last attempt, with a note that says how many there were.
    """
    if not is_remote(path):
        return attempt(0)
    failed = 0
    while True:
        try:
            with remote_options(path), broken_off.refused():
                return attempt(failed)
        except (RasterioError, OSError) as error:
            failed += 1
            if failed > len(DELAYS_S):
                error.add_note(f"asked {failed} times")
            if failed > len(DELAYS_S) or is_final(error):
                raise
            delay_s = DELAYS_S[failed - 1]
            _LOG.warning(
                "%s: %s. Asking again in %g s (attempt %d of %d).",
                without_secrets(path),
                without_secrets(reason(error)),
                delay_s,
                failed + 1,
                len(DELAYS_S) + 1,
            )
        time.sleep(delay_s)


def is_final(error: BaseException) -> bool:
    """Whether it would be the same at another time."""
    return bool(_FINAL.search(reason(error)))


def reason(error: BaseException) -> str:
    """GDAL's own words, from the innermost cause, and what is noted about the error."""
    notes = getattr(error, "__notes__", [])
    while error.__cause__ is not None:
        error = error.__cause__
    return "; ".join([str(error).strip().rstrip("."), *notes])
