"""Windows read from files that stay open; a server that fails is asked again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocobot.io.handles import Handles
from geocobot.io.opening import open_dataset, unreadable_part
from geocobot.io.remote import patiently

_T = TypeVar("_T")


def read_patiently(
    handles: Handles,
    path: str,
    window: Window,
    read: Callable[[Any], _T],
    *,
    opened: Callable[..., Any] = open_dataset,
) -> _T:
    """Read a window of a file; where it is remote and that fails, open it anew and read again.

    Args:
        handles: of the file.
        path: file name, URL or GDAL name.
        window: integer pixels of the file, for messages.
        read: reads the window of what `opened` returned.
        opened: takes the path, and by keyword `anew`, whether what GDAL knows of it is to be
            forgotten.

    Raises:
        UnreadableFileError: the file cannot be opened, or is truncated or corrupt there.
    """

    def attempt(failed: int) -> _T:
        handle = handles.renew if failed else handles.get
        return read(handle(partial(opened, path, anew=failed > 0)))

    try:
        return patiently(path, attempt)
    except RasterioError as error:
        raise unreadable_part(path, window, error) from error
