"""Names of vector files that pyogrio takes for addresses, told so that GDAL gets them as they are.

In the name of a file on disk pyogrio takes what follows a `;` for a parameter and what precedes a
`!` for an archive, and hands GDAL the rest.
"""

from __future__ import annotations

import os
from pathlib import Path

from geocobot.errors import UnreadableFileError

_TAKEN_APART = ";!"
_PART_OF_FILE = "/vsisubfile/0,"
"""GDAL's name for the part of a file from its first byte on, and for the files beside it."""


def ogr_path(path: str | Path) -> str | Path:
    """The name under which pyogrio reads a file.

    Raises:
        UnreadableFileError: the file has such a name, and is changed by another program.
    """
    text = str(path)
    is_apart = any(sign in text for sign in _TAKEN_APART)
    if os.name != "posix" or not is_apart or not os.path.exists(text):
        return path
    changes = Path(f"{text}-wal")
    if changes.is_file() and changes.stat().st_size:
        # Under this name SQLite reads a database without what is not yet written to it.
        raise UnreadableFileError(
            path,
            f"has ; or ! in its path, and changes in {changes.name} that are not in it yet",
            "geocobot reads files with such names once they are saved",
            "Close it in QGIS, or rename it",
        )
    return f"{_PART_OF_FILE}{Path(text).absolute()}"


def as_given(text: str) -> str:
    """A message of GDAL's with the names of files instead of what `ogr_path` makes of them."""
    return text.replace(_PART_OF_FILE, "")
