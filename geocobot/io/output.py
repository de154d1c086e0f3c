"""Output appears whole or not at all: written under a temporary name, renamed when finished."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from geocobot.errors import OutputError
from geocobot.io.opening import is_utf8
from geocobot.io.unfinished import (
    Unfinished,
    delete_file,
    new_token,
    put_or_keep,
    refused,
    temporary_beside,
)


def check_output(path: str | Path, overwrite: bool) -> None:
    """Find out before the work starts whether a file can be written; create nothing.

    Args:
        path: the file to come; missing parent folders count as creatable.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: it exists and may not be replaced, it is a folder, its folder cannot be
            written to, or the file system refuses its name.
    """
    target = Path(path)
    _check_name(target)
    if os.path.isdir(target):
        raise OutputError(
            path, "is a folder", "The output is a single file", "Name a file inside it"
        )
    if os.path.exists(target):
        if not overwrite:
            raise _exists(path)
        _check_free(target)
    _check_folder_name(target, Path(os.path.realpath(target)).parent)
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
    _check_name(target)
    _check_folder_name(target, Path(os.path.realpath(target)))
    _check_writable(target)
    if not os.path.isdir(target) or not _is_filled(target):
        return
    if not overwrite:
        raise _exists(path)
    if not os.path.isfile(target / marker):
        raise OutputError(
            path,
            f"holds files but no {marker}, so geocobot did not make it",
            "Only folders of earlier results are replaced",
            "Choose another --out, or delete the folder yourself",
        )


def refuse_within(folder: str | Path, inputs: Iterable[str]) -> None:
    """Refuse to replace a folder in which something lies that is read.

    Args:
        folder: what would be replaced.
        inputs: files, folders and patterns.

    Raises:
        OutputError: one of them lies there.
    """
    place = os.path.realpath(folder)
    for path in inputs:
        real = os.path.realpath(path)
        if real == place or real.startswith(place + os.sep):
            raise OutputError(
                folder,
                f"holds {path}, which is one of the inputs",
                "The whole folder is replaced, and geocobot never writes over what it reads",
                "Choose another --out, or move the file elsewhere",
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
    with new_files([path], overwrite=overwrite) as (temporary,):
        yield temporary


@contextmanager
def new_files(
    paths: Sequence[str | Path],
    *,
    overwrite: bool = False,
    folder: Path | None = None,
    when_whole: Callable[[], None] | None = None,
) -> Iterator[tuple[Path, ...]]:
    """Write files that belong together: all appear under their names at the end, or none.

    Older files are put back if a later one cannot be replaced, as one that is open in another
    program on Windows; the finished ones are then kept beside them under other names, unless they
    were written in a folder of their own. What the block leaves unwritten is an error. Files that
    differ in their extensions alone do so while they are written, too.

    Args:
        paths: the files to come, none twice; missing parent folders are made.
        overwrite: whether existing files may be replaced.
        folder: where those are written that will lie on the same disk; default beside each.
        when_whole: called when all are written, and get their names next.

    Yields:
        A hidden path for each, with the same extension, to be written by the block.

    Raises:
        OutputError: see `check_output`; also if a finished file cannot be renamed.
    """
    for path in paths:
        check_output(path, overwrite)
    tokens = {Path(path).with_suffix(""): new_token() for path in paths}
    files = [Unfinished.beside(p, folder, tokens[Path(p).with_suffix("")]) for p in paths]
    try:
        for file in files:
            _make_parents(file.target, file.path)
        yield tuple(file.temporary for file in files)
        for file in files:
            file.reach_disk()
        # Asked again: training or prediction may have taken hours.
        for path in paths:
            check_output(path, overwrite)
        if when_whole is not None:
            when_whole()
        put_or_keep(files, is_kept=folder is None)
    finally:
        for file in files:
            delete_file(file.temporary)


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
    temporary = temporary_beside(target)
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
    old = temporary_beside(target)
    try:
        if target.exists():
            target.rename(old)
        try:
            finished.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise refused(target, error) from error
    shutil.rmtree(old, ignore_errors=True)


def _exists(path: str | Path) -> OutputError:
    """The refusal to replace what is there."""
    return OutputError(
        path,
        "exists already",
        "geocobot does not replace files unasked",
        "Pass --overwrite (-f) to replace it, or choose another --out",
    )


def _check_free(target: Path) -> None:
    """Refuse to replace a file that another program holds, as far as that shows beforehand."""
    try:
        # Does nothing, but Windows refuses it while the file is open elsewhere.
        os.rename(target, target)  # noqa: PTH104 - Path.rename is what moves results
    except PermissionError as error:
        raise OutputError(
            target,
            f"cannot be replaced ({error.strerror})",
            "No other program may hold the old file",
            "Close it in QGIS, or choose another --out",
        ) from error
    except OSError:
        return


def _check_name(target: Path) -> None:
    """Refuse a name that is too long for the file system, not UTF-8, or a link to itself."""
    try:
        target.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:
        raise OutputError(
            target,
            f"cannot be written ({getattr(error, 'strerror', None) or error})",
            "The file system refuses this name",
            "Choose another --out",
        ) from error
    if not is_utf8(os.path.realpath(target)):
        raise OutputError(
            target,
            "has a path that is not UTF-8",
            "GDAL writes files by names in UTF-8",
            "Choose another --out, or rename the folder",
        )


def _check_folder_name(target: Path, folder: Path) -> None:
    """Refuse a folder whose name pyogrio takes for something else."""
    if "!" in str(folder) and os.name == "posix":
        # What is on the left of it would be an archive, and the file would go to the root folder.
        raise OutputError(
            target,
            f"has ! in its path ({folder})",
            "GDAL's Python packages take ! in a path for the end of an archive's name",
            "Rename the folder, or choose another --out",
        )


def _is_filled(folder: Path) -> bool:
    """Whether there is anything in a folder."""
    try:
        return any(folder.iterdir())
    except OSError as error:
        raise refused(folder, error) from error


def _check_writable(target: Path) -> None:
    """Refuse a target whose nearest existing parent is no folder or may not be written to."""
    # Where the target is a link, the folder of what it points to counts.
    parents = Path(os.path.realpath(target)).parents
    parent = next((p for p in parents if os.path.exists(p)), None)
    if parent is None:
        raise OutputError(
            target,
            "lies on a drive that is not there",
            "Output needs a folder",
            "Choose another --out",
        )
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
        raise refused(path, error) from error
