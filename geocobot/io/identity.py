"""By what a change of a file or a scene shows, without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocobot.io.scene import Scene
from geocobot.secrecy import without_secrets


def file_identity(path: str | Path) -> dict[str, Any]:
    """A file's name, size and last change; a remote one has neither size nor change."""
    place = Path(path)
    found = place.stat() if place.is_file() else None
    return {
        "path": without_secrets(str(path)),
        "bytes": None if found is None else found.st_size,
        "modified_ns": None if found is None else found.st_mtime_ns,
    }


def scene_identity(scene: Scene) -> dict[str, Any]:
    """A scene's file, and how it is read."""
    grid = scene.grid
    return file_identity(scene.path) | {
        "crs": grid.crs.to_wkt(),
        "transform": list(grid.transform)[:6],
        "size_px": list(grid.shape),
        "bands": list(scene.bands),
        "nodata": [None if value is None else repr(value) for value in scene.band_nodata],
    }
