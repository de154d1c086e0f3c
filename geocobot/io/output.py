"""Output appears whole or not at all: written under a temporary name, renamed when finished."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geocobot.errors import OutputError

# What SQLite and GDAL keep beside a file. A journal left by the old file would be replayed into
# the new one (https://www.sqlite.org/howtocorrupt.html, 1.4), old statistics would stretch it.
_COMPANIONS = ("-wal", "-shm", "-journal", ".aux.xml", ".ovr", ".msk")


def check_output(path: str | Path, overwrite: bool) -> None:
    """Find out before the work starts whether a file can be written; create nothing.

    Args:
        path: the file to come; missing parent folders count as creatable.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: it exists and may not be replaced, it is a folder, or its folder cannot be
            written to.
    """
    target = Path(path)
    if os.path.isdir(target):
        raise OutputError(
            path, "is a folder", "The output is a single file", "Name a file inside it"
        )
    if os.path.exists(target) and not overwrite:
        raise _exists(path)
    _check_writable(target)


def check_output_folder(path: str | Path, overwrite: bool, marker: str = "config.yaml") -> None:
    """Find out before the work starts whether a folder can be written; create nothing.

    Args:
        path: the folder to come; missing parents count as creatable. An empty one is free.
        overwrite: whether an existing folder may be replaced.
        marker: a file that shows that the folder is one of ours. A folder without it is never
            replaced, so that `-f -o ~` does not delete a home.

    Raises:
        OutputError: it exists and may not be replaced, it is a file, or its parent cannot be
            written to.
    """
    target = Path(path)
    if os.path.exists(target) and not os.path.isdir(target):
        raise OutputError(path, "is a file", "The output is a folder", "Choose another name")
    _check_writable(target)
    if not os.path.isdir(target) or not any(target.iterdir()):
        return
    if not overwrite:
        raise _exists(path)
    if not (target / marker).is_file():
        raise OutputError(
            path,
            f"holds files but no {marker}, so geocobot did not make it",
            "Only folders of earlier results are replaced",
            "Choose another --out, or delete the folder yourself",
        )


@contextmanager
def new_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file that appears under its name only when it is finished.

    Args:
        path: the file to come; missing parent folders are made.
        overwrite: whether an existing file may be replaced.

    Yields:
        A hidden path in the same folder with the same extension, to be written by the block.

    Raises:
        OutputError: see `check_output`; also if the finished file cannot be renamed.
    """
    check_output(path, overwrite)
    target = Path(path).resolve()
    _make_parents(target, path)
    temporary = _temporary_beside(target)
    try:
        yield temporary
        # Asked again: training or prediction may have taken hours.
        check_output(path, overwrite)
        _rename_file(temporary, target, path)
    finally:
        for name in ("", *_COMPANIONS):
            _with_suffix(temporary, name).unlink(missing_ok=True)


@contextmanager
def new_folder(
    path: str | Path, *, overwrite: bool = False, marker: str = "config.yaml"
) -> Iterator[Path]:
    """Write a folder that appears under its name only when everything in it is finished.

    Args:
        path: the folder to come; missing parents are made.
        overwrite: whether an existing folder may be replaced.
        marker: see `check_output_folder`.

    Yields:
        An empty hidden folder beside it, to be filled by the block.

    Raises:
        OutputError: see `check_output_folder`; also if the finished folder cannot be renamed.
    """
    check_output_folder(path, overwrite, marker)
    target = Path(path).resolve()
    _make_parents(target, path)
    temporary = _temporary_beside(target)
    try:
        temporary.mkdir()
        yield temporary
        check_output_folder(path, overwrite, marker)
        put_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_folder(finished: Path, target: Path) -> None:
    """Put a finished folder in place of an older one; that one comes back if the move fails.

    Raises:
        OutputError: the operating system does not let one of them be renamed.
    """
    old = _temporary_beside(target)
    try:
        if target.exists():
            target.rename(old)
        try:
            finished.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise _refused(target, error) from error
    shutil.rmtree(old, ignore_errors=True)


def _exists(path: str | Path) -> OutputError:
    """The refusal to replace what is there."""
    return OutputError(
        path,
        "exists already",
        "geocobot does not replace files unasked",
        "Pass --overwrite (-f) to replace it, or choose another --out",
    )


def _check_writable(target: Path) -> None:
    """Refuse a target whose nearest existing parent is no folder or may not be written to."""
    parent = next(p for p in target.absolute().parents if os.path.exists(p))
    if not os.path.isdir(parent):
        raise OutputError(
            target,
            f"lies in {parent}, which is a file",
            "Output needs a folder",
            "Choose another --out",
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            target,
            f"lies in {parent}, where you may not write",
            "Output needs a folder with write permission",
            "Choose another --out, or change the permissions of the folder",
        )


def _make_parents(target: Path, path: str | Path) -> None:
    """Make the folders above the target."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def _temporary_beside(target: Path) -> Path:
    """A free hidden name in the same folder; GDAL knows some formats by their extension."""
    return target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}.part{target.suffix}")


def _with_suffix(path: Path, suffix: str) -> Path:
    """The companion of a file whose name goes on with the suffix."""
    return path.with_name(path.name + suffix)


def _rename_file(temporary: Path, target: Path, path: str | Path) -> None:
    """Put a finished file and its companions in place of the old ones."""
    try:
        for suffix in _COMPANIONS:
            _with_suffix(target, suffix).unlink(missing_ok=True)
        temporary.replace(target)
        for suffix in _COMPANIONS:
            if _with_suffix(temporary, suffix).exists():
                _with_suffix(temporary, suffix).replace(_with_suffix(target, suffix))
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: str | Path, error: OSError) -> OutputError:
    """What the operating system would not do, in the user's words."""
    return OutputError(
        path,
        f"cannot be written ({error.strerror or error})",
        "geocobot needs a place to write, and no other program may hold the old file",
        "Close it in QGIS, free disk space, or choose another --out",
    )
