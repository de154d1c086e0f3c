"""Files that a name stands for: itself, those in a folder, those that a pattern matches."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geocobot.errors import ConfigError, MissingFileError, UnreadableFileError
from geocobot.io.opening import (
    GDAL_NAME,
    RASTER_ENDINGS,
    file_stem,
    is_raster_name,
    opens_as_raster,
)
from geocobot.io.remote import is_remote
from geocobot.io.stac import find_assets, is_stac_name

_LOG = logging.getLogger("geocobot.io")

PARQUET_ENDINGS = frozenset({".parquet", ".geoparquet", ".pq"})
VECTOR_FOLDER = ".gdb"
"""Ending of folders that GDAL reads as one vector file."""

_VECTOR_ENDINGS = PARQUET_ENDINGS | frozenset(
    {".gpkg", ".shp", ".geojson", ".geojsonl", ".fgb", ".gml", ".kml", ".tab", ".mif", ".dxf"}
)
_EITHER_ENDING = ".vrt"  # GDAL has virtual files of both kinds
_OF_RESULTS = "_pred"
_OWN_RESULTS = re.compile(
    rf".*{_OF_RESULTS}(_scores|_classes)\.tif"
    rf"|.*{_OF_RESULTS}(_centerlines)?\.(gpkg|fgb|geojson|parquet|shp)"
)
_MAGIC = re.compile(r"[*?[]")
_MAX_ENDINGS = 6
_LINES = "_centerlines"


@dataclass(frozen=True)
class FileSet:
    """The files that one name on the command line stands for.

    Attributes:
        given: the name as it was given.
        paths: the files, in natural order; the name itself where it names a file or a URL.
        name: what they have in common in a word, see `name_of`.
    """

    given: str
    paths: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Scenes:
    """Scenes by name.

    Attributes:
        paths: file names, URLs or GDAL names.
        items: id of the STAC item that each belongs to; None for other files.
    """

    paths: tuple[str, ...]
    items: tuple[str | None, ...]


def find_scenes(given: Sequence[str], flag: str = "--raster", asset: str | None = None) -> Scenes:
    """The scenes that names, folders, patterns and STAC items stand for, in the order given.

    Args:
        given: what the flag says.
        flag: for messages.
        asset: which asset of STAC items is the scene; None where that goes without saying.

    Raises:
        MissingFileError: a pattern matches nothing.
        UnreadableFileError: a folder has no raster file, or a JSON file is no STAC.
        LayerError: a STAC item has not the one asset.
        ConfigError: a file is named twice.
    """
    scenes: list[tuple[str, str | None]] = []
    for path in (path for found in _expand(given, flag, _is_raster) for path in found.paths):
        if is_stac_name(path):
            scenes += [(a.path, a.item) for a in find_assets(path, flag, asset)]
        else:
            scenes.append((path, None))
    _refuse_twice([path for path, _ in scenes], flag)
    return Scenes(tuple(path for path, _ in scenes), tuple(item for _, item in scenes))


def find_rasters(
    given: Sequence[str], flag: str = "--raster", asset: str | None = None
) -> tuple[str, ...]:
    """The files of `find_scenes`."""
    return find_scenes(given, flag, asset).paths


def find_labels(given: Sequence[str], flag: str = "--labels") -> tuple[FileSet, ...]:
    """The vector files and rasters that names, folders and patterns stand for, a set for each.

    A folder stands for its vector files; where it has none, for its rasters.

    Args:
        given: what the flag says.
        flag: for messages.

    Raises:
        MissingFileError: a pattern matches nothing.
        UnreadableFileError: a folder has no vector file and no raster.
        ConfigError: a file is named twice.
    """
    sets = []
    for text in given:
        sets += _expand([text], flag, _kind_in(text))
    _refuse_twice([path for s in sets for path in s.paths], flag)
    return tuple(sets)


def find_maps(given: Sequence[str], flag: str = "--pred") -> tuple[str, ...]:
    """The maps that names, folders and patterns stand for, geocobot's own results among them.

    A folder stands for its vector files, without those of centerlines that lie beside their
    polygons; where it has none, for its rasters.

    Args:
        given: what the flag says.
        flag: for messages.

    Raises:
        MissingFileError: a pattern matches nothing.
        UnreadableFileError: a folder has no vector file and no raster.
        ConfigError: a file is named twice.
    """
    paths = []
    for text in given:
        (found,) = _expand([text], flag, _kind_in(text), with_results=True)
        paths += [p for p in found.paths if p == text or not _goes_with_another(p, found.paths)]
    _refuse_twice(paths, flag)
    return tuple(paths)


def _kind_in(text: str) -> Callable[[Path], bool]:
    """Which files a folder stands for: its rasters where it has no vector files."""
    return _is_raster if _has_rasters_alone(text) else _is_vector


def _goes_with_another(path: str, others: Sequence[str]) -> bool:
    """Whether a file holds the centerlines of another one."""
    name = Path(path)
    polygons = name.with_name(f"{name.stem.removesuffix(_LINES)}{name.suffix}")
    return name.stem.endswith(_LINES) and str(polygons) in others


def find_vectors(given: Sequence[str], flag: str) -> tuple[FileSet, ...]:
    """The vector files that names, folders and patterns stand for, a set for each.

    Args:
        given: what the flag says.
        flag: for messages.

    Raises:
        MissingFileError: a pattern matches nothing.
        UnreadableFileError: a folder has no vector file.
        ConfigError: a file is named twice.
    """
    sets = tuple(_expand(given, flag, _is_vector))
    _refuse_twice([path for s in sets for path in s.paths], flag)
    return sets


def _expand(
    given: Sequence[str],
    flag: str,
    wanted: Callable[[Path], bool],
    *,
    with_results: bool = False,
) -> list[FileSet]:
    """One set for each name; results of geocobot among others only where they are asked for."""
    sets = []
    for text in given:
        if os.path.isdir(text) and not wanted(Path(text)):
            paths = _files_in(text, flag, wanted, with_results=with_results)
        elif _is_pattern(text):
            paths = _matches(text, flag, with_results=with_results)
        else:
            paths = (text,)
        sets.append(FileSet(text, paths, name_of(text)))
    return sets


def is_raster_file(path: str) -> bool:
    """Whether a file is a raster: by its ending, and by GDAL where that does not tell."""
    if _is_vector(Path(path)):
        return False
    if is_remote(path):
        return is_raster_name(path)
    is_clear = is_raster_name(path) and Path(path).suffix.lower() != _EITHER_ENDING
    return is_clear or opens_as_raster(path)


def name_of(given: str) -> str:
    """What files have in common in a word: their folder's name, or a file's without extension."""
    if _is_pattern(given):
        # The last folder that is no pattern itself.
        return Path(f"{_MAGIC.split(given, maxsplit=1)[0]}_").resolve().parent.name
    return Path(given).resolve().name if os.path.isdir(given) else file_stem(given)


def _is_pattern(text: str) -> bool:
    """Whether a name stands for all files that match it."""
    return bool(_MAGIC.search(text)) and not os.path.exists(text) and not GDAL_NAME.match(text)


def _files_in(
    folder: str, flag: str, wanted: Callable[[Path], bool], *, with_results: bool
) -> tuple[str, ...]:
    """The wanted files in a folder; how many others there are is told."""
    try:
        entries = sorted(Path(folder).iterdir(), key=_natural)
    except OSError as error:
        raise UnreadableFileError(
            folder,
            f"is a folder that cannot be read ({error.strerror})",
            f"{flag} names files, or a folder with files",
            "Check its permissions",
        ) from error
    results = [e for e in entries if not with_results and _OWN_RESULTS.fullmatch(e.name)]
    found = [e for e in entries if wanted(e) and e not in results]
    if not found:
        endings = sorted({e.suffix.lower() for e in entries if e.is_file() and e.suffix})
        what = f"only {', '.join(endings[:_MAX_ENDINGS])}" if endings else "no file"
        raise UnreadableFileError(
            folder,
            f"is a folder without {'a raster' if wanted is _is_raster else 'a vector'} file "
            f"({what})",
            f"{flag} takes files by name, those of a folder by their endings",
            "Name the folder that holds them, or the files by a pattern such as 'folder/*.png'",
        )
    if results:
        _LOG.info("%s: %d results of geocobot are left out.", folder, len(results))
    _LOG.info("%s: %d files are read.", folder, len(found))
    return tuple(str(entry) for entry in found)


def _matches(pattern: str, flag: str, *, with_results: bool) -> tuple[str, ...]:
    """The files that a pattern matches; ** goes down into folders.

    Results of geocobot are left out where there is more and the pattern does not name them.
    """
    # Path.glob knows no absolute patterns.
    matches = map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207
    found = sorted((match for match in matches if not os.path.isdir(match)), key=_natural)
    others = [match for match in found if not _OWN_RESULTS.fullmatch(match.name)]
    if others and not with_results and _OF_RESULTS not in Path(pattern).name:
        if len(others) < len(found):
            _LOG.info("%s: %d results of geocobot are left out.", pattern, len(found) - len(others))
        found = others
    if not found:
        raise MissingFileError(
            pattern,
            "matches no file",
            f"{flag} names files, or a pattern that some have",
            "Check the folder and the ending; ** stands for folders at any depth",
        )
    _LOG.info("%s: %d files are read.", pattern, len(found))
    return tuple(str(entry) for entry in found)


def _refuse_twice(paths: Sequence[str], flag: str) -> None:
    """Refuse a file that is named twice, which would count twice."""
    known: set[str] = set()
    for path in paths:
        real = path if GDAL_NAME.match(path) else os.path.realpath(path)
        if real in known:
            raise ConfigError(
                flag,
                f"names {path} twice",
                "Every file counts once",
                "Leave it out where a folder or a pattern covers it already",
            )
        known.add(real)


def _has_rasters_alone(folder: str) -> bool:
    """Whether a name is that of a folder with rasters and without vector files."""
    if not os.path.isdir(folder):
        return False
    try:
        entries = list(Path(folder).iterdir())
    except OSError:
        return False
    return any(map(_is_raster, entries)) and not any(map(_is_vector, entries))


def _is_raster(path: Path) -> bool:
    """Whether an entry of a folder is a raster file by its ending."""
    return path.suffix.lower() in RASTER_ENDINGS and not os.path.isdir(path)


def _is_vector(path: Path) -> bool:
    """Whether an entry of a folder is a vector file by its ending."""
    if os.path.isdir(path):
        return path.suffix.lower() == VECTOR_FOLDER
    return path.suffix.lower() in _VECTOR_ENDINGS


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which img2 comes before img10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in parts]
