"""Files on their way: under hidden names at first, then all put in place together, or none."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from geocobot.errors import OutputError

# What SQLite and GDAL keep beside a file. A journal left by the old file would be replayed into
# the new one (https://www.sqlite.org/howtocorrupt.html, 1.4), old statistics would stretch it.
_COMPANIONS = ("-wal", "-shm", "-journal", ".aux.xml", ".ovr", ".msk")

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
    def beside(cls, path: str | Path, folder: Path | None = None) -> Unfinished:
        """Choose hidden names in the same folder, or in another one on the same disk."""
        target = Path(path).resolve()
        temporary = temporary_beside(target)
        if folder is not None:
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


def put_files(files: Sequence[Unfinished]) -> None:
    """Put finished files in place of older ones; after an error everything is as before.

    Raises:
        OutputError: the operating system does not let one of them be renamed.
    """
    with ExitStack() as undo:
        for file in files:
            try:
                _put_file(file, undo)
            except OSError as error:
                raise refused(file.path, error) from error
        undo.pop_all()
    for file in files:
        delete_file(file.old)


def _put_file(file: Unfinished, undo: ExitStack) -> None:
    """Put a finished file and its companions in place of the old ones; say how to undo it."""
    # An old journal has to go first: it must never lie beside the new file.
    for suffix in (*_COMPANIONS, ""):
        old, place = _with_suffix(file.old, suffix), _with_suffix(file.target, suffix)
        if os.path.exists(place):
            undo.callback(_put_back, old, place)
            _set_aside(place, old, is_needed=not suffix)
    for suffix in ("", *_COMPANIONS):
        new, place = _with_suffix(file.temporary, suffix), _with_suffix(file.target, suffix)
        if not suffix or os.path.exists(new):
            undo.callback(_take_away, new, place)
            new.replace(place)


def _set_aside(place: Path, old: Path, *, is_needed: bool) -> None:
    """Keep an old file under another name; one that is needed stays in place until replaced."""
    # A second name costs nothing, and the first is never missing, not even if the power fails.
    # Windows would refuse to take the second name away from a file that another program reads.
    if is_needed and os.name == "posix":
        with suppress(OSError):
            os.link(place, old)
            return
    place.rename(old)


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
        if not os.path.exists(new):
            place.unlink(missing_ok=True)
    except OSError as error:
        raise refused(place, error) from error


def delete_file(path: Path) -> None:
    """Delete a file and its companions, as far as the operating system lets us."""
    for suffix in ("", *_COMPANIONS):
        with suppress(OSError):
            _with_suffix(path, suffix).unlink()


def temporary_beside(target: Path) -> Path:
    """A free hidden name in the same folder; GDAL knows some formats by their extension.

    It is short and plain whatever the target is called: pyogrio would take `;`, `?` and `!` in it
    for parts of a URL.
    """
    readable = re.sub(r"\W", "_", target.stem, flags=re.ASCII)[:_READABLE_CHARS]
    return target.with_name(f".{readable}.{uuid.uuid4().hex[:8]}.part{target.suffix}")


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


def _with_suffix(path: Path, suffix: str) -> Path:
    """The companion of a file whose name goes on with the suffix."""
    return path.with_name(path.name + suffix)


def refused(path: str | Path, error: OSError) -> OutputError:
    """What the operating system would not do, in the user's words."""
    return OutputError(
        path,
        f"cannot be written ({error.strerror or error})",
        "geocobot needs a place to write, and no other program may hold the old file",
        "Close it in QGIS, free disk space, or choose another --out",
    )
