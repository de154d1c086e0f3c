"""By what a change of a file or a scene shows, without reading it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from geocobot.errors import UnreadableFileError
from geocobot.io.opening import look_at
from geocobot.io.scene import Scene
from geocobot.secrecy import without_secrets

_FILE_SYSTEM = re.compile(r"^(?:\w+(?:\+\w+)*://|(?:/vsi[a-z0-9]+/)+)")


def file_identity(path: str | Path) -> dict[str, Any]:
    """A file's name, size and last change; a remote one has neither size nor change.

    A virtual raster changes with the files on this machine that it shows, what lies in an archive
    with this one, and all with a mask beside the file.
    """
    place = _local_file(path)
    found = place.stat() if place.is_file() else None
    sources = [source.stat() for source in _sources(place)]
    said: dict[str, Any] = {
        "path": without_secrets(str(path)),
        "bytes": None if found is None else found.st_size,
        "modified_ns": None if found is None else found.st_mtime_ns,
    }
    if sources:
        changes = [source.st_mtime_ns for source in sources]
        said["sources"] = [len(sources), sum(s.st_size for s in sources), sum(changes)]
        said["modified_ns"] = max(said["modified_ns"], *changes)
    return said


def scene_identity(scene: Scene) -> dict[str, Any]:
    """A scene's file, or all of them, and how it is read; `bytes` is None where one is remote."""
    grid = scene.grid
    is_one = len(scene.parts) == 1
    return (_part_identity(scene.parts[0]) if is_one else _joined_identity(scene.parts)) | {
        "crs": grid.crs.to_wkt(),
        "transform": list(grid.transform)[:6],
        "size_px": list(grid.shape),
    }


def _local_file(path: str | Path) -> Path:
    """The file on this machine that a name of GDAL's speaks of; the name itself for others."""
    place = Path(path)
    if place.is_file():
        return place
    for name in _names_in(str(path)):
        for part in (Path(name), *Path(name).parents):
            if part.is_file():
                return part
    return place


def _names_in(text: str) -> Iterator[str]:
    """What may be a file's name in /vsizip/a.zip/b.tif, NETCDF:"a.nc":b and the like."""
    for mark in '"!:':
        for part in text.split(mark):
            yield _FILE_SYSTEM.sub("", part)


def _sources(path: Path) -> list[Path]:
    """A mask beside a file and the files that a virtual raster shows, all the way down."""
    mask = path.with_name(f"{path.name}.msk")
    found: dict[Path, None] = {mask: None} if mask.is_file() else {}
    waiting = [path]
    while waiting:
        shown = waiting.pop()
        if shown.suffix.lower() != ".vrt" or not shown.is_file():
            continue
        try:
            named = look_at(str(shown), lambda source: list(source.files))
        except UnreadableFileError:  # features may be virtual as well
            continue
        files = (file for name in named if (file := Path(name)) not in (path, shown))
        new = [file for file in files if file.is_file() and file not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def _part_identity(part: Scene) -> dict[str, Any]:
    """A scene's file, and its bands."""
    return file_identity(part.path) | {
        "bands": list(part.bands),
        "alpha": part.alpha,
        "mask": part.masked,
        "nodata": [None if value is None else repr(value) for value in part.band_nodata],
    }


def _joined_identity(parts: Iterable[Scene]) -> dict[str, Any]:
    """The files of several scenes, each under its name, in their order."""
    found = {}
    for number, part in enumerate(parts):
        own = _part_identity(part)
        name = own.pop("path")
        found[name] = {"position": number} | own | {"transform": list(part.grid.transform)[:6]}
    sizes = [own["bytes"] for own in found.values()]
    return found | {"bytes": None if None in sizes else sum(sizes)}
