"""Files on their way: under hidden names at first, then all put in place together, or none."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from geocobot.errors import OutputError

# What SQLite and GDAL keep beside a file. A journal left by the old file would be replayed into
# the new one (https://www.sqlite.org/howtocorrupt.html, 1.4), old statistics would stretch it.
_COMPANIONS = ("-wal", "-shm", "-journal", ".aux.xml", ".ovr", ".msk")
# Indexes of an old shapefile would lead readers of the new one astray.
_SHAPEFILE_INDEXES = (".qix", ".sbn", ".sbx", ".idm", ".ind")

WAITS_S = (0.2, 0.5, 1.0, 2.0) if os.name == "nt" else ()
"""Pauses before a refused move is tried again: on Windows whoever reads a file, a virus scanner
among them, keeps it from being moved."""

_READABLE_CHARS = 40
_HIDDEN_NAME = re.compile(r"\.\w*\.[0-9a-f]{8}\.part(\.\w+)?", flags=re.ASCII)


@dataclass(frozen=True)
class Unfinished:
    """A file on its way.

    Attributes:
        path: its name, in the user's words.
        target: the same, absolute and without links.
        temporary: where it is written.
        old: where the file that it replaces waits until everything is well.
    """

    path: str | Path
    target: Path
    temporary: Path
    old: Path

    @classmethod
    def beside(
        cls, path: str | Path, folder: Path | None = None, token: str | None = None
    ) -> Unfinished:
        """Choose hidden names in the same folder, or in another one if it is on the same disk.

        Args:
            path: the file to come.
            folder: where it is written; default beside it.
            token: what its hidden name shares with those of other parts of the same file.
        """
        target = Path(path).resolve()
        temporary = temporary_beside(target, token)
        if folder is not None and _on_one_disk(folder, target):
            temporary = folder.resolve() / temporary.name
        return cls(path, target, temporary, temporary_beside(target))

    def reach_disk(self) -> None:
        """Wait until the finished file is on the disk.

        Some file systems (NFS, quotas) say only then that there is no room.

        Raises:
            OutputError: there is none, or the file was not written at all.
        """
        try:
            with self.temporary.open("r+b") as opened:
                os.fsync(opened.fileno())
        except OSError as error:
            raise refused(self.path, error) from error


def _on_one_disk(folder: Path, target: Path) -> bool:
    """Whether a file can be renamed from a folder to its place, whose own may not be there yet."""
    parent = next((parent for parent in target.parents if os.path.isdir(parent)), None)
    return parent is not None and folder.stat().st_dev == parent.stat().st_dev


class _LockedError(OutputError):
    """A file may not be moved or replaced."""


def put_files(files: Sequence[Unfinished]) -> None:
    """Put finished files in place of older ones; after an error everything is as before.

    Raises:
        OutputError: the operating system does not let one of them be renamed.
    """
    with ExitStack() as undo:
        for file in files:
            try:
                _put_file(file, undo)
            except PermissionError as error:
                raise refused(file.path, error, _LockedError) from error
            except OSError as error:
                raise refused(file.path, error) from error
        undo.pop_all()
    for file in files:
        delete_file(file.old)


def put_or_keep(files: Sequence[Unfinished], *, is_kept: bool) -> None:
    """Give finished files their names, or others if theirs are locked.

    Raises:
        OutputError: they could not get their names; it says under which others they lie.
    """
    try:
        put_files(files)
    except _LockedError as error:
        kept = _keep_files(files) if is_kept else []
        if not kept:
            raise
        names = ", ".join(path.name for path in kept)
        raise OutputError(
            error.subject,
            error.found,
            f"Another program may hold the old file. The finished results are kept as {names}",
            "Close it in QGIS and rename them",
        ) from error


def _keep_files(files: Sequence[Unfinished]) -> list[Path]:
    """Give finished files that cannot have their own names others, in the same folders.

    Args:
        files: all of them finished, none in its place.

    Returns:
        Where they lie: `roads_new.gpkg` for `roads.gpkg`; nowhere if they cannot be kept.
    """
    if not all(os.path.exists(file.temporary) for file in files):
        return []
    number = next(n for n in range(1, 1000) if not _are_taken(files, n))
    kept = [_kept_name(file, number) for file in files]
    try:
        for file, name in zip(files, kept, strict=True):
            file.temporary.rename(name)
    except OSError:
        return [name for name in kept if os.path.exists(name)]
    return kept


def _are_taken(files: Sequence[Unfinished], number: int) -> bool:
    """Whether one of the other names is in use."""
    return any(os.path.exists(_kept_name(file, number)) for file in files)


def _kept_name(file: Unfinished, number: int) -> Path:
    """Another name for a finished file."""
    ending = "new" if number == 1 else f"new{number}"
    return file.target.with_stem(f"{file.target.stem}_{ending}")


def _put_file(file: Unfinished, undo: ExitStack) -> None:
    """Put a finished file and its companions in place of the old ones; say how to undo it."""
    olds, news, places = (_family(p) for p in (file.old, file.temporary, file.target))
    # An old journal has to go first: it must never lie beside the new file.
    for old, place in reversed(list(zip(olds, places, strict=True))):
        if os.path.exists(place):
            undo.callback(_put_back, old, place)
            _set_aside(place, old, is_needed=place == file.target)
    for new, place in zip(news, places, strict=True):
        if place == file.target or os.path.exists(new):
            undo.callback(_take_away, new, place)
            _patiently(lambda new=new, place=place: new.replace(place))  # type: ignore[misc]


def _set_aside(place: Path, old: Path, *, is_needed: bool) -> None:
    """Keep an old file under another name; one that is needed stays in place until replaced."""
    # A second name costs nothing, and the first is never missing, not even if the power fails.
    # Windows would refuse to take the second name away from a file that another program reads.
    if is_needed and os.name == "posix":
        with suppress(OSError):
            os.link(place, old)
            return
    _patiently(lambda: place.rename(old))


def _patiently(move: Callable[[], object]) -> None:
    """Move a file; try again for a while where it is refused."""
    for wait_s in WAITS_S:
        try:
            move()
        except PermissionError:
            time.sleep(wait_s)
        else:
            return
    move()


def _put_back(old: Path, place: Path) -> None:
    """Undo that an old file was set aside."""
    try:
        if os.path.exists(old):
            old.replace(place)
            # Renaming one of two names of the same file to the other does nothing.
            old.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            place,
            f"could not be put back ({error.strerror or error})",
            f"Its content lies in {old.name} in the same folder",
            "Rename it as soon as the folder can be written to again",
        ) from error


def _take_away(new: Path, place: Path) -> None:
    """Undo that a new file was put in place."""
    try:
        if not os.path.exists(new) and os.path.exists(place):
            place.replace(new)
    except OSError as error:
        raise refused(place, error) from error


def delete_file(path: Path) -> None:
    """Delete a file and its companions, as far as the operating system lets us."""
    for file in _family(path):
        with suppress(OSError):
            file.unlink()


def temporary_beside(target: Path, token: str | None = None) -> Path:
    """A free hidden name in the same folder; GDAL knows some formats by their extension.

    It is short and plain whatever the target is called: pyogrio would take `;`, `?` and `!` in it
    for parts of a URL.

    Args:
        target: the file to come.
        token: eight hexadecimal digits; default random ones.
    """
    readable = re.sub(r"\W", "_", target.stem, flags=re.ASCII)[:_READABLE_CHARS]
    return target.with_name(f".{readable}.{token or new_token()}.part{target.suffix}")


def new_token() -> str:
    """What tells hidden names apart."""
    return uuid.uuid4().hex[:8]


def write_text(file: Path, text: str, path: str | Path) -> None:
    """Write a small text file.

    Args:
        file: where to write.
        text: what to write.
        path: the name that the file will get, for messages.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise refused(path, error) from error


def reveal(text: str, path: str | Path) -> str:
    """A message of GDAL's with the name of the finished file instead of the hidden one."""
    return _HIDDEN_NAME.sub(lambda _: Path(path).name, text)


def _family(path: Path) -> list[Path]:
    """A file and its companions, whether or not they exist."""
    names = [path.name + suffix for suffix in ("", *_COMPANIONS)]
    if path.suffix.lower() == ".shp":
        names += [path.stem + suffix for suffix in _SHAPEFILE_INDEXES]
    return [path.with_name(name) for name in names]


def refused(path: str | Path, error: OSError, kind: type[OutputError] = OutputError) -> OutputError:
    """What the operating system would not do, in the user's words."""
    return kind(
        path,
        f"cannot be written ({error.strerror or error})",
        "geocobot needs a place to write, and no other program may hold the old file",
        "Close it in QGIS, free disk space, or choose another --out",
    )
